import t from 'tap'
import { backend, frontend, type Message, parse } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { errorOf, type LoginOptions, loginRaw, type RawClient } from '../../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection, startScriptedPostgres } from '../../fixtures/scripted-postgres.ts'
import { waitFor } from '../../fixtures/wait.ts'
import { startLab } from '../../wire/lab.ts'

const postgres = sharedPostgres(t)

// What pgbun asks PostgreSQL itself depended on what the client, its role or the database has set: with SERIALIZABLE
// READ ONLY DEFERRABLE as the default it waited for all other serializable transactions, and its client and server
// with it. Where a database keeps set_config() from its users, every client was refused.
t.test('a client is served whatever its role or database has set or keeps back', async (t) => {
  /** `statements` in transactions that wait for nobody. */
  const atOnce = (...statements: string[]): string[] =>
    statements.map((sql) => `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ${sql}; COMMIT`)

  const DEFERRABLE = ['isolation = serializable', 'read_only = on', 'deferrable = on'].map(
    (setting) => `default_transaction_${setting}`,
  )

  await t.test('with SERIALIZABLE READ ONLY DEFERRABLE as the default', async (t) => {
    const target = await postgres.database(t, [
      "CREATE ROLE careful SUPERUSER LOGIN PASSWORD 'careful'",
      ...DEFERRABLE.map((setting) => `ALTER ROLE careful SET ${setting}`),
      'CREATE TABLE t (a int)',
      'CREATE SEQUENCE ids',
      "CREATE FUNCTION sets() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('app.x', 'set', false); END$$",
    ])
    const holder = await loginRaw(t, target)
    await holder.query('BEGIN ISOLATION LEVEL SERIALIZABLE; INSERT INTO t VALUES (1)')
    const direct = await loginRaw(t, target, { user: 'careful', password: 'careful' })
    await direct.query('SET statement_timeout = 100')
    t.equal(errorOf(await direct.query('SELECT 1')).C, '57014', 'an ordinary statement waits')

    const WAYS: readonly (readonly [string, LoginOptions, readonly string[]])[] = [
      ['of the role', { user: 'careful', password: 'careful' }, []],
      ['of the startup packet', { parameters: Object.fromEntries(DEFERRABLE.map((set) => set.split(' = '))) }, []],
      [
        'of SET',
        {},
        ['SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE'],
      ],
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

  await t.test('where a limit of time cancels what pgbun asks', async (t) => {
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

  await t.test('where the database keeps functions and views from its users', async (t) => {
    const target = await postgres.database(t, [
      'CREATE ROLE other',
      "CREATE ROLE plain LOGIN PASSWORD 'plain'",
      'GRANT other TO plain',
    ])
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
})

// A statement_timeout or transaction_timeout of one client stopped the queries of pgbun itself: the next client
// ended with 57014 while it was given its settings, or the client itself kept its server because it could not be
// asked.
t.test('a short statement_timeout of one client does not end the next one', async (t) => {
  /**
   * Runs a text that may be too slow for its client's limit, on a machine that is busy with other tests, too: a
   * statement_timeout ends the statement, a transaction_timeout the connection, as PostgreSQL does without a pooler. Anything
   * else that ends the connection is thrown.
   */
  async function survives(client: RawClient, sql: string): Promise<boolean> {
    client.send(frontend.query(sql))
    for (;;) {
      const { type, body } = await client.readMessage()
      if (type === 'Z') return true
      if (type === 'E' && parse.fields(body).C === '25P04') {
        await client.expectClosed()
        return false
      }
    }
  }

  await t.test('a limit of a few milliseconds stays with its client', async (t) => {
    const server = await postgres.server()
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const names = server.major >= 17 ? ['statement_timeout', 'transaction_timeout'] : ['statement_timeout']
    for (const name of names) {
      let client = await loginRaw(t, pgbun)
      const other = await loginRaw(t, pgbun)
      for (let round = 0; round < 50; round++) {
        if (!(await survives(client, `SET ${name} = 1; SELECT 1`))) client = await loginRaw(t, pgbun)
        await other.rows("SELECT set_config('app.x', 'x', false)")
        if (round % 10 === 0) t.strictSame(await other.rows(`SHOW ${name}`), [['0']])
        if (!(await survives(client, `RESET ${name}`))) client = await loginRaw(t, pgbun)
      }
      // The last RESET may have been too slow for a statement_timeout.
      await client.end()
      client = await loginRaw(t, pgbun)
      t.strictSame(await client.rows(`SET ${name} = 500; SHOW ${name}`), [['500ms']])
      t.strictSame(await other.rows(`SHOW ${name}`), [['0']])
      t.strictSame(await client.rows(`SHOW ${name}`), [['500ms']], 'they follow the client')
      await client.rows(`BEGIN; SET LOCAL ${name} = 700; COMMIT`)
      t.strictSame(await client.rows(`SHOW ${name}`), [['500ms']])
      await client.rows(`RESET ${name}; SELECT 100`)
      t.strictSame(await client.rows(`SHOW ${name}`), [['0']])
      await client.end()
      await other.end()
    }
    t.notMatch(pgbun.logs(), /keeps its server|ERROR/)
  })

  await t.test('a limit of the startup packet that its client switches off stays off', async (t) => {
    const server = await postgres.server()
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun, { parameters: { statement_timeout: '500' } })
    const other = await loginRaw(t, pgbun)
    await client.rows('SET statement_timeout = 0; SELECT 100')
    await other.rows('SELECT 1')
    t.strictSame(await client.rows('SHOW statement_timeout'), [['0']])
    await client.rows('RESET statement_timeout; SELECT 100')
    await other.rows('SELECT 1')
    t.strictSame(await client.rows('SHOW statement_timeout'), [['500ms']])
  })

  const setsSettings = (message: Message): boolean =>
    message.type === 'Q' && (parse.strings(message.body)[0] ?? '').includes('set_config')

  await t.test('a server that cannot be given the settings of a client is given up, not the client', async (t) => {
    for (const how of ['lost', 'limited']) {
      let failures = 0
      const script = {
        onMessage(connection: ScriptedConnection, message: Message): void {
          if (!setsSettings(message) || connection.received.length < 4 || failures === 3) {
            answerQueries(connection, message)
            return
          }
          failures = how === 'lost' ? 3 : failures + 1
          if (how === 'lost') connection.end(backend.error('25P04', 'limit', 'FATAL'))
          else connection.send(backend.error('57014', 'limit'), backend.ready())
        },
      }
      const lab = await startLab(t, { poolSize: 1, script })
      const client = await lab.client({ parameters: { search_path: 'a' } })
      await (await lab.client()).query('select 1')
      t.strictSame(await client.rows('select 2'), [['select 2']], how)
      t.equal(failures, 3)
    }
  })

  await t.test('a client whose own limit ends every server is told so in PostgreSQL’s words', async (t) => {
    let working = true
    let failures = 0
    const script = {
      onMessage(connection: ScriptedConnection, message: Message): void {
        if (working || !setsSettings(message)) {
          answerQueries(connection, message)
          return
        }
        failures++
        connection.end(backend.error('25P04', 'terminating connection due to transaction timeout', 'FATAL'))
      },
    }
    const lab = await startLab(t, { poolSize: 1, script })
    const client = await lab.client({ parameters: { transaction_timeout: '1' } })
    await (await lab.client()).query('select 1')
    working = false
    client.send(frontend.query('select 2'))
    t.match(await client.expectFatal(), { S: 'FATAL', C: '25P04', M: /transaction timeout/ })
    t.ok(failures > 1)
  })

  await t.test('a client that keeps its server is not stopped by a limit of its own', async (t) => {
    const script = {
      onMessage(connection: ScriptedConnection, message: Message): void {
        const [sql = ''] = message.type === 'Q' ? parse.strings(message.body) : []
        if (sql === 'RESET TimeZone') connection.send(backend.parameterStatus('TimeZone', 'UTC'))
        else if (sql.includes('set_config')) connection.send(backend.parameterStatus('TimeZone', 'Asia/Tokyo'))
        answerQueries(connection, message)
      },
    }
    const lab = await startLab(t, { poolMode: 'session', script })
    const client = await lab.client({ parameters: { TimeZone: 'Asia/Tokyo' } })
    await client.query('RESET TimeZone')
    t.strictSame(await client.rows('select 1'), [['select 1']])
    const server = await lab.server.connection(0)
    t.ok(
      server.received.some(({ body }) =>
        /^SET LOCAL statement_timeout = 0;.*set_config\('timezone'/.test(body.toString()),
      ),
    )
  })
})

// The limit stayed on the server between two leases: PostgreSQL ended the session when another client had just got
// it, whose connection was closed with it.
t.test(
  'an idle_session_timeout of one client does not end the next one',
  { skip: Number(process.env.PGBUN_TEST_PG ?? 18) < 14 },
  async (t) => {
    const target = await postgres.server()
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
    const [client, other] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    const pid = async () => (await other.rows('SELECT pg_backend_pid()'))[0]![0]
    const server = await pid()
    // A second: so long pgbun may take to take it back, however slow the machine is.
    const work = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND clock_timestamp() - state_change < '1500 ms'"
    const idles = (): Promise<unknown> =>
      waitFor(async () => (await target.query(work, [server])).length === 0, {
        what: 'it to idle for longer, or to be gone',
      })
    await client.rows("SET idle_session_timeout = '1s'")
    await idles()
    t.equal(await pid(), server, 'the server is there')
    t.same(await other.rows('SHOW idle_session_timeout'), [['0']])
    t.same(await client.rows('SHOW idle_session_timeout'), [['1s']], 'its own client has it')
    await idles()
    t.equal(await pid(), server)
  },
)
