/** What a text may leave in a session, by its words. */
import t from 'tap'
import { ANY, effectsOf, SETTINGS, TEMPORARY } from '../../../lib/sql/state-effects.ts'

const all = (text: string): boolean => (effectsOf(text) & ANY) === ANY

t.test('DO runs code, ON CONFLICT DO and rules do not', async (t) => {
  for (const text of [
    'DO $$ BEGIN END $$',
    'SELECT 1; do language plpgsql $$ BEGIN END $$',
    "DO 'BEGIN END'",
    'DO/* nothing */$$ BEGIN END $$',
    'DO $$ nothing $$',
  ]) {
    t.ok(all(text), text)
  }
  for (const text of [
    'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING',
    'CREATE TABLE t (a int); INSERT INTO t VALUES (1) ON CONFLICT (a) do\n  nothing',
    'SELECT 1; INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET a = 1',
    'CREATE TABLE t (a int); CREATE RULE r AS ON INSERT TO t DO INSTEAD NOTHING; CREATE RULE s AS ON UPDATE TO t DO ALSO NOTHING',
  ]) {
    t.notOk(all(text), text)
  }
})

t.test('SET of an UPDATE is told from the statement, also where there are several', async (t) => {
  for (const text of [
    'update t set a = 1',
    'UPDATE t SET a = 1;',
    "BEGIN; UPDATE t SET a = 'x;y'; update t set b = 2 ;\n COMMIT",
    'select 1;\tinsert into t values (1) on conflict (a) do update set a = 2',
    'update t set a = 1 /* set */ where b',
    "with x as (select 1) update t set a = ';'",
    'alter table t alter a set default 1',
    'create function f() returns int language sql set a.b = 1 as $$ select 1 $$',
  ]) {
    t.equal(effectsOf(text) & SETTINGS, 0, text)
  }
  for (const text of [
    'set a.b = 1',
    ';set a.b = 1',
    'update t set a = 1; set a.b = 1',
    'update t set a = 1; \n\tset a.b = 1',
    'select 1 as "; update "; set a.b = \'; update\'',
    // A semicolon in a comment is not the end of a statement.
    'update t set a = 1; /* ; update */ set a.b = 1',
    '/* ; update */ set a.b = 1',
    '-- ; update\nset a.b = 1',
    '/* ; update t */ update t set a = 1',
    "update pg_settings set setting = '1'; update t set a = 1",
    'update t set a = 1; select set_config($$a.b$$, $$1$$, false)',
    "create function f() returns int language plpgsql as $$ begin; set a.b = '1'; return 1; end $$",
    // The code of a function, which may be called by what stands behind it.
    "create function f() returns int language plpgsql as $$ begin set a.b = '1'; return 1; end $$",
    "create function f() returns void language sql as 'set a.b to 1'; select f()",
    "update t set a = 1; create function f() returns void language sql as 'set a.b to 1'; select f()",
    'alter function f() set a.b = 1; select f()',
  ]) {
    t.not(effectsOf(text) & SETTINGS, 0, text)
  }
})

t.test('what creates a table is told from the data of a statement that writes', async (t) => {
  for (const text of [
    "insert into t values ('create, into x');",
    "update t set a = 'create'; delete from t where a = 'into';",
    'begin; insert into t select * from x; merge into t using x on true when not matched then insert values (1)',
  ]) {
    t.equal(effectsOf(text) & TEMPORARY, 0, text)
  }
  for (const text of [
    'insert into t values (1); create table x (a int)',
    'insert into t values (1); select 1 into x',
    'delete from t; /* ; insert */ select 1 into x',
    'create table x (a int);',
    'explain analyze create table x as select 1;',
  ]) {
    t.not(effectsOf(text) & TEMPORARY, 0, text)
  }
})

t.test('a long text is read once', async (t) => {
  // Thousands of words and pieces: what is known of a piece is found once.
  const pieces = 'update t set a = 1 where set; '.repeat(20_000)
  t.equal(effectsOf(pieces), 0)
  t.not(effectsOf(`${pieces} set a.b = 1`), 0)
  t.equal(effectsOf(`update t set ${'set '.repeat(100_000)};`), 0)
})
