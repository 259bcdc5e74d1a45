/**
 * What pgbun asks on a client's server runs with that server's privileges: functions, operators, types and tables of
 * somebody else's, in front of PostgreSQL's own in whatever search_path, must not be what answers.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'

const ARGUMENTS = ['text', 'name', 'oid', '"char"', 'bigint', 'int', 'boolean', 'anyelement', 'text[]']
const FUNCTIONS = [
  ...[
    'lower',
    'upper',
    'current_setting',
    'set_config',
    'pg_has_role',
    'pg_backend_pid',
    'pg_my_temp_schema',
    'replace',
  ],
  ...['pg_listening_channels', 'regexp_replace', 'regexp_matches', 'strpos', 'translate', 'octet_length', 'unnest'],
  ...[
    'string_agg',
    'md5',
    'concat_ws',
    'chr',
    'pg_get_functiondef',
    'pg_get_keywords',
    'pg_column_size',
    'count',
    'sum',
  ],
  ...['current_database', 'pg_advisory_unlock_all', 'bool_or', 'array_agg'],
]
const OPERATORS = ['=', '<>', '~', '!~', '||', '<', '>', '<=', '>=', '+', '&&', '~~']
const TYPES = ['text', 'name', 'oid', 'bool', 'int4', 'regclass', 'regnamespace', 'xid', 'int8']

/** Whatever of this runs leaves a mark that no rollback takes away. */
function traps(): string[] {
  const sql = [
    'CREATE SEQUENCE public.caught',
    'CREATE SCHEMA evil',
    'GRANT USAGE ON SCHEMA evil TO PUBLIC',
    'GRANT ALL ON SEQUENCE public.caught TO PUBLIC',
    "CREATE FUNCTION public.catch() RETURNS boolean LANGUAGE sql AS $$ SELECT pg_catalog.nextval('public.caught') IS NOT NULL $$",
  ]
  const make = (name: string, args: string, returns: string): void => {
    const body = `BEGIN PERFORM pg_catalog.nextval('public.caught'); RETURN NULL; END`
    sql.push(`CREATE FUNCTION evil.${name}(${args}) RETURNS ${returns} LANGUAGE plpgsql AS $$ ${body} $$`)
  }
  for (const name of FUNCTIONS) {
    make(name, '', 'text')
    make(name, 'VARIADIC text[]', 'text')
    for (const type of ['text', 'name', 'oid', 'int', 'anyelement']) make(name, type, 'text')
    for (const type of ['text', 'name', 'oid']) make(name, `${type}, text`, 'text')
    make(name, 'text, text, boolean', 'text')
    make(name, 'text, boolean', 'text')
  }
  for (const [at, operator] of OPERATORS.entries()) {
    for (const type of ARGUMENTS) {
      make(`op_${at}`, `${type}, ${type}`, 'boolean')
      sql.push(`CREATE OPERATOR evil.${operator} (LEFTARG = ${type}, RIGHTARG = ${type}, FUNCTION = evil.op_${at})`)
    }
    make(`op_${at}`, 'name, text', 'boolean')
    sql.push(`CREATE OPERATOR evil.${operator} (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.op_${at})`)
  }
  for (const type of TYPES) sql.push(`CREATE DOMAIN evil.${type} AS pg_catalog.text CHECK (public.catch())`)
  for (const view of ['pg_settings', 'pg_class', 'pg_proc', 'pg_roles', 'pg_database', 'pg_cursors', 'pg_locks']) {
    sql.push(`CREATE VIEW evil.${view} AS SELECT public.catch()`, `GRANT SELECT ON evil.${view} TO PUBLIC`)
  }
  return sql
}

/** What makes pgbun ask, or set something itself. */
const STATEMENTS = [
  "SET work_mem = '7MB'",
  "SET app.tenant = 'one'",
  "SELECT pg_catalog.set_config('app.' || 'x', '1', false)",
  "SET statement_timeout = '300ms'; SET lock_timeout = '300ms'",
  "DO $$ BEGIN SET work_mem = '8MB'; END $$",
  'LISTEN channel; UNLISTEN channel',
  'SELECT pg_catalog.pg_advisory_lock(1); SELECT pg_catalog.pg_advisory_unlock(1)',
  'CREATE TEMP TABLE mine (a pg_catalog.int4)',
  'CREATE TEMP VIEW pg_settings AS SELECT public.catch()',
  'CREATE TEMP VIEW pg_roles AS SELECT public.catch()',
  'SET ROLE other',
  'SELECT a FROM public.closed',
  'DROP DATABASE nobodys',
  'CREATE DATABASE copied TEMPLATE closed',
  'RESET ROLE',
  'DROP VIEW pg_temp.pg_settings, pg_temp.pg_roles; DROP TABLE mine',
  'PREPARE mine AS SELECT 1; DEALLOCATE mine',
  'BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 1; COMMIT; CLOSE mine',
  'CREATE OR REPLACE FUNCTION public.made() RETURNS pg_catalog.int4 LANGUAGE sql AS $$ SELECT 1 $$',
  'RESET ALL',
  'DISCARD ALL',
]

t.test('pgbun asks PostgreSQL itself', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ['CREATE ROLE other', 'GRANT other TO CURRENT_USER'] })
  await target.query(traps().join(';\n'))
  await target.query('CREATE TABLE public.closed AS SELECT 1 AS a; REVOKE ALL ON public.closed FROM other')
  const path = 'evil, pg_catalog, public'
  const ways: [string, string, Record<string, string>, string][] = [
    ['ALTER ROLE … SET', `ALTER ROLE CURRENT_USER SET search_path = ${path}`, {}, 'SELECT 1'],
    ['ALTER DATABASE … SET', `ALTER DATABASE postgres SET search_path = ${path}`, {}, 'SELECT 1'],
    ['the startup packet', '', { search_path: path }, 'SELECT 1'],
    ['options', '', { options: `-c search_path=${path.replaceAll(' ', '')}` }, 'SELECT 1'],
    ['SET', '', {}, `SET search_path = ${path}`],
    ['set_config()', '', {}, `SELECT pg_catalog.set_config('search_path', '${path}', false)`],
    ['pg_temp first', '', { search_path: `pg_temp, ${path}` }, 'SELECT 1'],
  ]
  for (const mode of ['transaction', 'session'] as const) {
    for (const [way, before, parameters, first] of ways) {
      await t.test(`${way}, ${mode} mode`, async (t) => {
        if (before !== '') await target.query(before)
        const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 2 })
        const open = async (): Promise<RawClient> => {
          const client = await loginRaw(t, pgbun, { parameters })
          t.match(errorOf(await client.query(first)), {})
          return client
        }
        const clients = [await open(), await open()]
        for (const sql of STATEMENTS) {
          for (const client of clients) {
            await client.query(sql)
            if (!sql.startsWith('RESET') && !sql.startsWith('DISCARD')) await client.query('SELECT 1')
          }
        }
        for (const client of clients) await client.end()
        const last = await open()
        await last.end()
        t.same(await target.query('SELECT is_called FROM public.caught'), [{ is_called: false }], 'nothing was caught')
        await target.query('ALTER ROLE CURRENT_USER RESET search_path; ALTER DATABASE postgres RESET search_path')
        t.notMatch(pgbun.logs(), /internal error|cannot look into/)
      })
    }
  }

  await t.test('the traps work', async (t) => {
    await target.query(`SET search_path = ${path}; SELECT lower('x'::pg_catalog.text)`)
    t.same(await target.query('SELECT is_called FROM public.caught'), [{ is_called: true }])
  })
})
