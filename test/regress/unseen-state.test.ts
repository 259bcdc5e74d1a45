/**
 * Session state that no text named plainly enough stayed for the next client: what EXECUTE runs, names in an escaped
 * spelling, functions that run a text, objects of other kinds in the temporary schema, temporary replication slots,
 * a library loaded by DO.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'

const LOOK =
  "SELECT current_setting('work_mem'), coalesce(current_setting('app.tenant', true), '')," +
  " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())," +
  ' (SELECT count(*) FROM pg_replication_slots WHERE active_pid = pg_backend_pid()),' +
  " (SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema())," +
  " (SELECT count(*) FROM pg_settings WHERE name LIKE 'auto_explain.%')"
const FRESH = [['4MB', '', '0', '0', '0', '0']]

const STATES: readonly (readonly [string, readonly string[]])[] = [
  [
    'EXECUTE',
    [
      "PREPARE p AS SELECT set_config('app.tenant', 'A', false), set_config('work_mem', '17MB', false), pg_advisory_lock(7)",
      'EXECUTE p',
      'DEALLOCATE p',
    ],
  ],
  ['an escaped name', ['SELECT U&"set\\005fconfig"(\'work_mem\', \'17MB\', false), U&"pg_advisory\\005flock"(9)']],
  [
    'query_to_xml()',
    [
      "SELECT query_to_xml('SELECT set_conf'||'ig(''work_mem'', ''17MB'', false), pg_adv'||'isory_lock(5)', true, true, '')",
    ],
  ],
  ['a collation', ['CREATE COLLATION pg_temp.c FROM "C"']],
  ['a text search configuration', ['CREATE TEXT SEARCH CONFIGURATION pg_temp.cfg (COPY = simple)']],
  ['the temporary schema by its number', ['CREATE TEMP TABLE x (a int)', 'SCHEMA', 'DROP TABLE x']],
  ['a temporary replication slot', ["SELECT pg_create_physical_replication_slot('slot', false, true)"]],
  ['LOAD in DO', ["DO $$ BEGIN LOAD 'auto_explain'; END $$"]],
  ['a view of pg_settings', ["UPDATE changing SET setting = '17MB' WHERE name = 'work_mem'"]],
]

t.test('state that is not seen at once', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ['CREATE VIEW changing AS SELECT * FROM pg_settings'] })
  for (const leaves of ['stays', 'leaves'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: leaves === 'stays' ? 2 : 1 })
    for (const [what, statements] of STATES) {
      await t.test(`${what}: its client ${leaves}`, async (t) => {
        const client = await loginRaw(t, pgbun)
        for (const sql of statements) {
          if (sql === 'SCHEMA') {
            const [[schema]] = (await client.rows(
              'SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()',
            )) as [[string]]
            await client.query(`CREATE TABLE ${schema}.yy (a int)`)
          } else t.equal(errorOf(await client.query(sql)).M, undefined, sql)
        }
        if (leaves === 'leaves') await client.end()
        const other = await loginRaw(t, pgbun)
        t.same(await other.rows(LOOK), FRESH, 'nothing of it')
        if (leaves === 'stays') t.notSame(await look(client), FRESH, 'its own is there')
        await Promise.all([client.end(), other.end()])
      })
    }
  }

  await t.test('EXECUTE of a statement prepared by the protocol', async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse('SELECT pg_advisory_lock(5)', 'l'), frontend.sync())
    await client.readUntil('Z')
    await client.query('EXECUTE l')
    const other = await loginRaw(t, pgbun)
    t.same(await other.rows(LOOK), FRESH)
    t.same((await look(client))[0]![2], '1', 'its lock is there')
  })
})

const look = (client: RawClient): Promise<(string | null)[][]> => client.rows(LOOK)
