/** Names of parameters in SQL (SQL commands "SET", "RESET", "DISCARD"). */
import t from 'tap'
import { settingNames } from '../../../lib/sql/setting-names.ts'

const only = (...names: string[]) => ({ names, complete: true, unreadable: false, resets: 'none', resetNames: [] })
const reset = (...names: string[]) => ({ names, complete: true, unreadable: false, resets: 'names', resetNames: names })

t.test('one statement that sets or resets', async (t) => {
  const said: [string, object][] = [
    ['SET work_mem = 64', only('work_mem')],
    [' set session Work_Mem to default ;', reset('work_mem')],
    ['SET search_path = a, b', only('search_path')],
    ['SET "App"."x" TO 1', only('app.x')],
    ['SET /* a */ app -- b\r . x = 1', only('app.x')],
    ['-- c\rSET app.x = 1', only('app.x')],
    ['/* /* nested */ */ RESET app.x', reset('app.x')],
    ['SET local.x = 1', only('local.x')],
    ['SET session.x = 1', only('session.x')],
    ['SET session . x = 1', only('session.x')],
    ['SET transaction.x = 1', only('transaction.x')],
    ['SET constraints.x = 1', only('constraints.x')],
    ['SET names.x = 1', only('names.x')],
    ['SET role.x = 1', only('role.x')],
    ['SET schema.x = 1', only('schema.x')],
    ['SET time.x = 1', only('time.x')],
    ['RESET role.x', reset('role.x')],
    ['RESET local.x', reset('local.x')],
    ['SET ROLE bob', only('role')],
    ["SET role = 'bob'", only('role')],
    ['RESET ROLE', reset('role')],
    ['SET SESSION AUTHORIZATION bob', only('session_authorization', 'role')],
    ['SET SESSION SESSION AUTHORIZATION bob', only('session_authorization', 'role')],
    ["SET session_authorization = 'bob'", only('session_authorization', 'role')],
    ['RESET SESSION AUTHORIZATION', reset('session_authorization', 'role')],
    ["SET SCHEMA 'a'", only('search_path')],
    ['SET XML OPTION DOCUMENT', only('xmloption')],
    ["SET TIME ZONE 'UTC'", only('timezone')],
    ['SET TIME ZONE LOCAL', reset('timezone')],
    ['SET SESSION TIME ZONE DEFAULT', reset('timezone')],
    ['RESET TIME ZONE', reset('timezone')],
    ["SET NAMES 'latin1'", only('client_encoding')],
    ['SET NAMES', reset('client_encoding')],
    ['SET NAMES DEFAULT;', reset('client_encoding')],
    ['SET LOCAL work_mem = 64', only()],
    ['SET TRANSACTION READ ONLY', only()],
    ['SET CONSTRAINTS ALL DEFERRED', only()],
    ['RESET ALL', { names: [], complete: false, unreadable: false, resets: 'all', resetNames: [] }],
    ['discard all;', { names: [], complete: false, unreadable: false, resets: 'all', resetNames: [] }],
  ]
  for (const [sql, expected] of said) t.strictSame(settingNames(sql), expected, sql)
})

t.test('texts of other forms', async (t) => {
  const names: [string, string[]][] = [
    ["BEGIN; SET local.x = 'A'; COMMIT", ['local.x']],
    ["SELECT '/*'; SET app /* c */ . x = 1", ['app.x']],
    ["SELECT 1; SET -- c\rapp.x = 'a'", ['app.x']],
    ['DO $$ BEGIN SET app /* -- */ .x = 1; END $$', ['app.x']],
    ["DO $$ BEGIN PERFORM set_config('app.x', '1', false); END $$", ['app.x']],
    ['DO $$ BEGIN UPDATE t SET "a b".c = 1; END $$', []],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', []],
    ["SET app.x = 'a\\'; SELECT 1", ['app.x']],
  ]
  for (const [sql, expected] of names) {
    const found = settingNames(sql)
    t.strictSame(found.names, expected, sql)
    t.notOk(found.complete)
    t.notOk(found.unreadable)
  }
  t.strictSame(settingNames("SELECT set_config('app.x', '1', false)"), only('app.x'))
})

t.test('names that cannot be read', async (t) => {
  for (const sql of [
    `SET U&"app".x = 'A'`,
    `SELECT u&"set\\005fconfig"('app.x', '1', false)`,
    'SET app.größe = 1',
    "SELECT set_config('app.' || 'x', '1', false)",
    `EXPLAIN ANALYZE SELECT "set_config"('app.x', '1', false)`,
    "COPY (SELECT set_config/**/('app.x', '1', false)) TO STDOUT",
    `SELECT 'a\\', "set_config"('app.x', '1', false)`,
    `SET app.${'x'.repeat(70)} = '1'`,
  ]) {
    const found = settingNames(sql)
    t.ok(found.unreadable, sql)
    t.notOk(found.complete, sql)
  }
})

t.test('several statements: what is reset in the end', async (t) => {
  const cases: [string, 'none' | 'names' | 'all', string[]][] = [
    ['RESET a; SET b = 1', 'names', ['a']],
    ['RESET a; SET a = 1', 'none', []],
    ['SET a = 1; RESET a', 'names', ['a']],
    ['BEGIN; SET a TO DEFAULT; RESET "B"; COMMIT', 'names', ['a', 'B'.toLowerCase()]],
    ['RESET a; DISCARD ALL', 'all', []],
    ['RESET a; DO $$ BEGIN RESET b; END $$', 'all', []],
    ['RESET a; RESET U&"\\0061"', 'all', []],
    ["SELECT 'it''s the default'; SET a = 1", 'all', []],
    ['SET a = 1; SET b = 2', 'none', []],
  ]
  for (const [sql, resets, resetNames] of cases) t.match(settingNames(sql), { resets, resetNames }, sql)
})
