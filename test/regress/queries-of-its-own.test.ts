/**
 * What pgbun asks PostgreSQL itself depended on what the client, its role or the database has set: with SERIALIZABLE READ
 * ONLY DEFERRABLE as the default it waited for all other serializable transactions, and its client and server with it.
 * Where a database keeps set_config() from its users, every client was refused.
 */
import t from 'tap'
import { backend, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, type LoginOptions, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { answerQueries, startScriptedPostgres } from '../fixtures/scripted-postgres.ts'

/** `statements` in transactions that wait for nobody. */
const atOnce = (...statements: string[]): string[] =>
  statements.map((sql) => `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ${sql}; COMMIT`)
const DEFERRABLE = ['isolation = serializable', 'read_only = on', 'deferrable = on'].map(
  (setting) => `default_transaction_${setting}`,
)

t.test('transactions that wait for others by default', async (t) => {
  const target = await startPostgres(t, {
    bootstrapSql: [
      "CREATE ROLE careful SUPERUSER LOGIN PASSWORD 'careful'",
      ...DEFERRABLE.map((setting) => `ALTER ROLE careful SET ${setting}`),
      'CREATE TABLE t (a int)',
      'CREATE SEQUENCE ids',
      "CREATE FUNCTION sets() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.x', 'set', false); END$$",
    ],
  })
  const holder = await loginRaw(t, target)
  await holder.query('BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO t VALUES (1)')
  const direct = await loginRaw(t, target, { user: 'careful', password: 'careful' })
  await direct.query('SET statement_timeout = 100')
  t.equal(errorOf(await direct.query('SELECT 1')).C, '57014', 'an ordinary statement waits')

  const WAYS: readonly (readonly [string, LoginOptions, readonly string[]])[] = [
    ['of the role', { user: 'careful', password: 'careful' }, []],
    ['of the startup packet', { parameters: Object.fromEntries(DEFERRABLE.map((set) => set.split(' = '))) }, []],
    ['of SET', {}, ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE']],
  ]
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, {
      target,
      poolMode: mode,
      poolSize: 1,
      args: ['--server-check-delay', '0'],
    })
    for (const [what, login, before] of WAYS) {
      await t.test(`${what}, ${mode} mode`, async (t) => {
        const parameters = { ...login.parameters, 'app.x': 'started', IntervalStyle: 'iso_8601' }
        const one = await loginRaw(t, pgbun, { ...login, parameters })
        const run = async (...statements: string[]): Promise<void> => {
          for (const sql of statements) t.equal(errorOf(await one.query(sql)).M, undefined, sql)
        }
        await run(...before, "SET app.x = 'mine'", "SET work_mem = '7MB'", 'RESET work_mem')
        await run(...atOnce('PREPARE p AS SELECT 1', 'DEALLOCATE p', 'SELECT sets()', 'CREATE TEMP TABLE mine ()'))
        await run(...atOnce("DO $$BEGIN PERFORM set_config('app.x', 'done', false); END$$"))
        t.equal(await setting(one, 'app.x'), 'done')
        await run(...atOnce('DROP TABLE mine', "SELECT nextval('ids'), currval('ids')"), 'RESET app.x')
        await run(...atOnce('PREPARE p AS SELECT 1'))
        t.equal(await setting(one, 'app.x'), 'started')
        await one.end()
        const other = await loginRaw(t, pgbun, { user: login.user, password: login.password })
        t.match(await setting(other, 'app.x'), /^$/, 'the next client has the server')
        await other.end()
      })
    }
  }
})

/** SHOW takes no snapshot. */
async function setting(client: RawClient, name: string): Promise<string> {
  const messages = await client.query(`SHOW "${name}"`)
  const row = messages.find(({ type }) => type === 'D')
  return row === undefined ? '' : parse.dataRow(row.body)[0]!
}

t.test('what limits of time have canceled is asked again without them', async (t) => {
  const asked: string[] = []
  const target = await startScriptedPostgres(t, {
    onMessage(connection, message) {
      const [sql = ''] = message.type === 'Q' ? parse.strings(message.body) : []
      if (sql.includes('set_config')) asked.push(sql)
      if (asked.length === 1 && sql.includes('set_config')) {
        connection.send(backend.error('57014', 'canceled'), backend.ready('I'))
      } else answerQueries(connection, message)
    },
  })
  const pgbun = await startPgbun(t, {
    target,
    poolMode: 'transaction',
    args: ['--auth-type', 'trust', '--no-check-functions'],
  })
  const client = await loginRaw(t, pgbun, { parameters: { 'app.x': 'mine' } })
  await client.query('SELECT 1')
  t.equal(asked.length, 2)
  t.match(
    asked[1],
    `SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL transaction_timeout = 0; ${asked[0]}`,
  )
})

/** What a database may keep from its users, of what pgbun uses. */
const KEPT_BACK = [
  'EXECUTE ON FUNCTION pg_catalog.set_config(text, text, bool)',
  'EXECUTE ON FUNCTION pg_catalog.current_setting(text)',
  'EXECUTE ON FUNCTION pg_catalog.current_setting(text, bool)',
  'EXECUTE ON FUNCTION pg_catalog.pg_advisory_unlock_all()',
  'SELECT ON pg_catalog.pg_settings',
  'SELECT ON pg_catalog.pg_prepared_statements',
  'SELECT ON pg_catalog.pg_locks',
  'SELECT ON pg_catalog.pg_db_role_setting',
  'SELECT ON pg_catalog.pg_depend',
]
const PARAMETERS: Record<string, string> = {
  application_name: "it's a \\ name",
  search_path: '"$user", "Odd, one", public, pg_catalog',
  DateStyle: 'SQL, DMY',
  TimeZone: 'Asia/Tokyo',
  'app.tenant': "a'b\\c \u00e4\u20ac\u{1f600}",
  options: '-c work_mem=9MB -c statement_timeout=54321 -c role=other',
}
const LOOK = [
  'application_name',
  'search_path',
  'DateStyle',
  'TimeZone',
  'app.tenant',
  'work_mem',
  'statement_timeout',
  'role',
]

t.test('privileges that are kept back', async (t) => {
  const target = await startPostgres(t, {
    bootstrapSql: ['CREATE ROLE other', "CREATE ROLE plain LOGIN PASSWORD 'plain'", 'GRANT other TO plain'],
  })
  const login = { user: 'plain', password: 'plain', parameters: PARAMETERS }
  for (const kept of [...KEPT_BACK, KEPT_BACK.join('; ')]) {
    await t.test(kept.length > 100 ? 'all of them' : kept, async (t) => {
      for (const what of kept.split('; ')) await target.query(`REVOKE ${what} FROM PUBLIC`)
      const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 3 })
      const look = async (client: RawClient): Promise<string[]> => {
        const values: string[] = []
        for (const name of LOOK) values.push(await setting(client, name))
        return values
      }
      const direct = await loginRaw(t, target, login)
      const [mine, other, bare] = [
        await loginRaw(t, pgbun, login),
        await loginRaw(t, pgbun, login),
        await loginRaw(t, pgbun, { user: 'plain', password: 'plain' }),
      ]
      const fresh = await look(await loginRaw(t, target, { user: 'plain', password: 'plain' }))
      t.same(await look(mine), await look(direct), 'its startup parameters')
      t.same(await look(bare), fresh, 'and nobody else’s')
      for (const sql of [
        "SET work_mem = '5MB'",
        "SET search_path = 'B', a",
        "SET app.tenant = 'x'",
        'RESET statement_timeout',
      ]) {
        for (const client of [mine, direct]) t.equal(errorOf(await client.query(sql)).M, undefined, sql)
        t.same(await look(bare), fresh, `nothing of ${sql}`)
        t.same(await look(mine), await look(direct), sql)
      }
      for (const sql of ["DO $$BEGIN EXECUTE 'SET work_mem = ''6MB'''; END$$", 'RESET ROLE', 'RESET ALL']) {
        for (const client of [other, mine, direct]) t.equal(errorOf(await client.query(sql)).M, undefined, sql)
        t.same(await look(bare), fresh, `nothing of ${sql}`)
        t.same(await look(mine), await look(direct), sql)
      }
      await Promise.all([mine.end(), other.end()])
      t.same(await look(bare), fresh)
      for (const what of kept.split('; ')) await target.query(`GRANT ${what} TO PUBLIC`)
    })
  }
})
