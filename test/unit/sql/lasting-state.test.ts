/** What is refused by its text with session_state = error, and, as much, what must not be. */
import t from 'tap'
import { lastingState, setConfigCalls } from '../../../lib/sql/lasting-state.ts'
import { splitStatements } from '../../../lib/sql/tokens.ts'

const words = (sql: string): string | undefined =>
  splitStatements(sql)
    ?.map((tokens) => tokens.map(({ text }) => text).join(' '))
    .join(' ; ')

t.test('the words of a text', async (t) => {
  t.equal(
    words(`SELECT a."B""c", 'it''s; --' FROM t -- ; x\n; SET x = 1`),
    `select a . B"c , 'it''s; --' from t ; set x = 1`,
  )
  t.equal(words('/* ; /* nested */ ; */ SELECT $1, $2 /**/'), 'select $1 , $2')
  t.equal(words(`SELECT $$ ; ' $$, $a$ $$ ; $a$ ;; SELECT 2`), `select $$ ; ' $$ , $a$ $$ ; $a$ ; select 2`)
  t.equal(words(`SELECT E'\\'; ' , b'1'`), `select E'\\'; ' , b'1'`.replace('E', '').replace('b', ''))
  t.equal(words('CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)')?.includes(' ; '), true)
  t.equal(splitStatements('CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)')?.length, 1)
  t.equal(words(' ; ;'), '')
  for (const open of [`SELECT 'a`, `SELECT "a`, 'SELECT $$ a', '/* a', `SELECT 'a\\' -- '`]) {
    t.equal(splitStatements(open), undefined, `${open} cannot be told`)
  }
})

const REFUSED: Record<string, string> = {
  'LISTEN jobs': 'LISTEN',
  ' /* x */ listen "Jobs";': 'LISTEN',
  'SELECT 1; LISTEN jobs': 'LISTEN',
  "LOAD 'auto_explain'": 'LOAD',
  'PREPARE p AS SELECT 1': 'PREPARE',
  'PREPARE transaction (int) AS SELECT $1': 'PREPARE',
  'DECLARE c CURSOR WITH HOLD FOR SELECT 1': 'DECLARE CURSOR WITH HOLD',
  'DECLARE c BINARY NO SCROLL CURSOR WITH HOLD FOR SELECT 1': 'DECLARE CURSOR WITH HOLD',
  'CREATE TEMP TABLE x (a int)': 'CREATE TEMPORARY TABLE',
  'CREATE LOCAL TEMPORARY TABLE x (a int) ON COMMIT DELETE ROWS': 'CREATE TEMPORARY TABLE',
  'CREATE OR REPLACE TEMP VIEW x AS SELECT 1': 'CREATE TEMPORARY VIEW',
  'CREATE TEMP RECURSIVE VIEW x (a) AS SELECT 1': 'CREATE TEMPORARY VIEW',
  'CREATE TEMP SEQUENCE x': 'CREATE TEMPORARY SEQUENCE',
  'CREATE TABLE pg_temp.x (a int)': 'CREATE in schema pg_temp',
  'CREATE TABLE IF NOT EXISTS pg_temp.x (a int)': 'CREATE in schema pg_temp',
  "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'": 'CREATE in schema pg_temp',
  'SELECT 1 AS a INTO TEMP x': 'SELECT INTO TEMPORARY',
  'SELECT 1 AS a INTO TEMPORARY TABLE x': 'SELECT INTO TEMPORARY',
  'SELECT pg_advisory_lock(1)': 'pg_advisory_lock()',
  'SELECT pg_catalog.pg_try_advisory_lock_shared(1, 2)': 'pg_try_advisory_lock_shared()',
  'WITH x AS (SELECT "pg_advisory_lock"(1)) SELECT 1 FROM x': 'pg_advisory_lock()',
  "SELECT currval('s')": 'currval()',
  'INSERT INTO t VALUES (lastval ())': 'lastval()',
  'SELECT set_config($1, $2, false)': 'set_config() with a computed name',
  "SELECT set_config('app.' || $1, $2, $3)": 'set_config() with a computed name',
}

const ALLOWED = [
  'SELECT temporary, temp, hold, load, listen, prepare FROM t',
  'UPDATE t SET temporary = true, load = 1',
  "INSERT INTO t VALUES ('LISTEN jobs; PREPARE p AS SELECT 1')",
  'SELECT $$pg_advisory_lock(1)$$ -- ; LISTEN jobs',
  'SELECT "pg_advisory_lock(1)" FROM t',
  'INSERT INTO temp VALUES (1)',
  'INSERT INTO temp (a) VALUES (1)',
  'MERGE INTO temp t USING s ON s.a = t.a WHEN MATCHED THEN DELETE',
  'SELECT 1 AS a INTO temp FROM t',
  'SELECT 1 AS a INTO temp',
  'UNLISTEN *',
  "PREPARE TRANSACTION 'x'",
  'LOAD',
  'DECLARE c CURSOR FOR SELECT 1',
  'DECLARE c CURSOR WITHOUT HOLD FOR SELECT "with hold" FROM t',
  'CREATE TEMP TABLE x (a int) ON COMMIT DROP',
  'CREATE TABLE temp (temporary bool)',
  'CREATE TABLE x AS SELECT * FROM pg_temp.y',
  "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET search_path = public, pg_temp AS 'SELECT pg_advisory_lock(1)'",
  "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT pg_advisory_lock(1); SELECT currval('s'); END",
  "CREATE VIEW v AS SELECT currval('s')",
  'CREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT pg_advisory_lock(1))',
  'SELECT pg_advisory_xact_lock(1), pg_advisory_unlock(1), pg_try_advisory_xact_lock(2)',
  'SELECT mine.pg_advisory_lock(1), mine.currval(2)',
  'SELECT currval FROM t',
  'EXPLAIN SELECT pg_advisory_lock(1)',
  "SELECT nextval('s'), setval('s', 3)",
  "SELECT set_config('app.tenant', $1, false), set_config($2, $3, true)",
  'DO $$ BEGIN PERFORM pg_advisory_lock(1); END $$',
  'CALL p()',
  'SET search_path = pg_temp',
  "SELECT 'a\\'; LISTEN jobs; --'",
]

t.test('what a text leaves behind', async (t) => {
  for (const [sql, statement] of Object.entries(REFUSED)) t.equal(lastingState(sql)?.statement, statement, sql)
  for (const sql of ALLOWED) t.equal(lastingState(sql), undefined, sql)
})

t.test('calls of set_config()', async (t) => {
  t.same(setConfigCalls("SELECT set_config('App.Tenant'::text, f(1, 2), false), pg_catalog.set_config($1, $2, true)"), [
    { name: 'app.tenant', local: false },
    { name: undefined, local: true },
  ])
  t.same(setConfigCalls("SELECT set_config('a.b', $1, $2)"), [{ name: 'a.b', local: false }], 'not said in the text')
  t.same(setConfigCalls("SELECT set_config('a.b', $1, NOT true)"), [{ name: 'a.b', local: false }])
  t.same(setConfigCalls("SELECT set_config('a.b' || 'c', $1, false)"), [{ name: undefined, local: false }])
  t.same(setConfigCalls("SELECT 'set_config($1, $2, false)'"), [])
  t.equal(setConfigCalls("SET a.b = 1; SELECT set_config('a.c', $1, false)"), undefined, 'it sets otherwise, too')
  t.equal(setConfigCalls('DO $$ BEGIN PERFORM set_config(a, b, false); END $$'), undefined)
  t.equal(setConfigCalls(''), undefined, 'a text that was too long to be looked at')
  t.equal(setConfigCalls("SELECT mine.set_config('a.b', $1, false)"), undefined, 'who knows what that does')
})
