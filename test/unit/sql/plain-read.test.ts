import t from 'tap'
import { isClear, isPlainRead } from '../../../lib/sql/plain-read.ts'

t.test('what only reads, by functions that are known', async (t) => {
  for (const text of [
    'select 1',
    'SELECT abalance FROM pgbench_accounts WHERE aid = 1;',
    "select lower(name), count(*) from t where id in (1, 2) and at > now() - interval '1 day' group by 1",
    'with a as (select 1 as x) select coalesce(max(x), 0) from a',
    'values (1), (2)',
    'table t',
    'select * from t where name = $1 limit 10',
  ])
    t.ok(isPlainRead(text), text)
})

t.test('what writes, locks, or may do anything', async (t) => {
  for (const text of [
    'insert into t values (1)',
    'update t set a = 1',
    'with a as (delete from t returning *) select * from a',
    'select * from t for update',
    'select * from t for key share nowait',
    'select 1 into t',
    'select a as insert into t from b',
    'select bump(1)',
    "select dblink_exec('x', 'insert into t values (1)')",
    "select nextval('s')",
    'select pg_sleep(1)',
    'select "Count"(1)',
    "select 'a\\'",
    'select 1; select 2',
    'explain select 1',
  ])
    t.notOk(isPlainRead(text), text)
})

t.test('bytes that other encodings take for parts of letters', async (t) => {
  t.ok(isClear("select 'a$b' from t where x = $1"))
  t.ok(isClear("select 'é' from t where x = $1"))
  t.notOk(isClear("select $\x95\x5c$ ' $\x95\x5c$ ; begin -- '"))
  t.notOk(isClear("select 'é', $tag$x$tag$"))
  t.notOk(isClear("select 'a\\', 1"))
})
