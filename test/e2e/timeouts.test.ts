/** Every option of [timeouts] does what CONFIG.md says of it. No exact times: each test waits for what must happen. */
import t, { type Test } from 'tap'
import { backend, frontend, parse } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { connectRaw, errorOf, loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'
import { answerQueries, type Script, startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'

const TRANSACTION = { poolMode: 'transaction', poolSize: 1 } as const

t.test('with PostgreSQL', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: ["CREATE ROLE app LOGIN PASSWORD 'app'", 'CREATE TABLE sink (line text)', 'GRANT ALL ON sink TO app'],
  })
  const APP = { user: 'app', password: 'app' }
  const start = (t: Test, options: PgbunOptions = {}): Promise<Pgbun> =>
    startPgbun(t, { target: server, ...APP, ...options })
  const pid = async (client: RawClient): Promise<string> => (await client.rows('SELECT pg_backend_pid()'))[0]![0]!
  const backends = async (where = 'true'): Promise<number> =>
    (await server.query(`SELECT 1 FROM pg_stat_activity WHERE usename = 'app' AND ${where}`)).length

  await t.test('client_login_timeout', async (t) => {
    const pgbun = await start(t, { args: ['--client-login-timeout', '400ms'] })
    const silent = await connectRaw(t, pgbun)
    const halfway = await connectRaw(t, pgbun)
    halfway.send(frontend.startup(APP).subarray(0, 9))
    const undecided = await connectRaw(t, pgbun)
    undecided.send(frontend.startup({ user: 'app', database: 'postgres' }))
    t.match(await undecided.expectFatal(), { S: 'FATAL', C: '57014', M: 'client_login_timeout' })
    await silent.expectClosed()
    await halfway.expectClosed()
    // Where the machine is slow, the time is over for others, too.
    const next = await waitFor(() => loginRaw(t, pgbun, APP).catch(() => undefined), { what: 'a login' })
    t.same(await next.rows('SELECT 1'), [['1']])
  })

  await t.test('client_idle_timeout', async (t) => {
    const pgbun = await start(t, { args: ['--client-idle-timeout', '1s'] })
    const idle = await loginRaw(t, pgbun, APP)
    const holding = await loginRaw(t, pgbun, APP)
    const working = await loginRaw(t, pgbun, APP)
    await holding.query('SELECT 1')
    working.send(frontend.query("SELECT pg_sleep(2.2), 'done'"))
    for (const client of [idle, holding]) {
      t.match(await client.expectFatal(), { S: 'FATAL', C: '57P05', M: 'client_idle_timeout' })
    }
    t.match(rowsOf(await working.readUntil('Z')), [['', 'done']], 'who waits for an answer is not idle')
  })

  await t.test('query_timeout', async (t) => {
    const pgbun = await start(t, { ...TRANSACTION, args: ['--query-timeout', '3s'] })
    const client = await loginRaw(t, pgbun, APP)
    const held = await pid(client)
    client.send(frontend.query('SELECT pg_sleep(600)'))
    t.match(await client.expectFatal(), { S: 'FATAL', C: '57014', M: 'query_timeout' })
    const next = await loginRaw(t, pgbun, APP)
    t.equal(await pid(next), held, 'the query was canceled, the server goes on')
  })

  await t.test('idle_transaction_timeout', async (t) => {
    const pgbun = await start(t, { ...TRANSACTION, args: ['--idle-transaction-timeout', '400ms'] })
    const client = await loginRaw(t, pgbun, APP)
    const held = await pid(client)
    await client.query("BEGIN; INSERT INTO sink VALUES ('idle')")
    t.match(await client.expectFatal(), { S: 'FATAL', C: '25P03', M: 'idle transaction timeout' })
    const next = await loginRaw(t, pgbun, APP)
    t.equal(await pid(next), held)
    t.same(await next.rows('SELECT * FROM sink'), [], 'rolled back')
    t.ok(await waitFor(async () => (await backends("state LIKE 'idle in transaction%'")) === 0))
  })

  await t.test('idle_transaction_timeout: a batch without its Sync, all of it answered', async (t) => {
    const pgbun = await start(t, { ...TRANSACTION, args: ['--idle-transaction-timeout', '400ms'] })
    const [client, next] = [await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP)]
    client.send(frontend.parse('SELECT 1'), frontend.bind(), frontend.describe('P'), frontend.flush())
    await client.readUntil('T')
    next.send(frontend.query('SELECT 2'))
    t.match(await client.expectFatal(), { C: '25P03' })
    t.same(rowsOf(await next.readUntil('Z')), [['2']])
  })

  await t.test('a client that idles behind a Query inside of a batch does not keep its server', async (t) => {
    const pgbun = await start(t, TRANSACTION)
    const [client, next] = [await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP)]
    client.send(frontend.parse('SELECT 1'), frontend.bind(), frontend.execute(), frontend.parse('SELECT 1'))
    client.send(frontend.query(''), frontend.sync())
    await client.readUntil('Z')
    t.same(await next.rows('SELECT 2'), [['2']])
    await client.readUntil('Z')
    t.same(await client.rows('SELECT 3'), [['3']])
  })

  await t.test('transaction_timeout', async (t) => {
    const pgbun = await start(t, { ...TRANSACTION, args: ['--transaction-timeout', '1s'] })
    const client = await loginRaw(t, pgbun, APP)
    await client.query("BEGIN; INSERT INTO sink VALUES ('long')")
    client.send(...Array.from({ length: 200 }, () => frontend.query('SELECT pg_sleep(0.05)')))
    t.match(await client.expectFatal(), { S: 'FATAL', C: '25P04', M: 'transaction timeout' }, 'however busy it is')
    const next = await loginRaw(t, pgbun, APP)
    t.same(await next.rows('SELECT * FROM sink'), [])
    for (let count = 0; count < 30; count++) await next.query('SELECT pg_sleep(0.05)')
    t.pass('short transactions may go on for longer than that')
  })

  await t.test('server_idle_timeout', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', args: ['--server-idle-timeout', '400ms'] })
    const client = await loginRaw(t, pgbun, APP)
    const first = await pid(client)
    await waitFor(async () => (await backends()) === 0, { what: 'the unused server to be closed' })
    t.not(await pid(client), first, 'a new one is opened when it is needed')
  })

  await t.test('server_lifetime', async (t) => {
    const pgbun = await start(t, {
      poolMode: 'transaction',
      args: ['--server-lifetime', '600ms', '--server-idle-timeout', '0'],
    })
    const client = await loginRaw(t, pgbun, APP)
    const first = await pid(client)
    await waitFor(async () => (await pid(client)) !== first, { what: 'the server in constant use to be renewed' })
    await client.query('BEGIN')
    const held = await pid(client)
    const other = await loginRaw(t, pgbun, APP)
    await waitFor(async () => {
      const current = await pid(other)
      return current !== first && current !== held
    })
    t.equal(await pid(client), held, 'never in a transaction')
    await client.query('COMMIT')
  })

  await t.test('client_stall_timeout', async (t) => {
    const pgbun = await start(t, { ...TRANSACTION, args: ['--client-stall-timeout', '500ms'] })
    const stalled = await loginRaw(t, pgbun, APP)
    stalled.pause()
    stalled.send(frontend.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
    const next = await loginRaw(t, pgbun, APP)
    t.same(await next.rows('SELECT 1'), [['1']], 'the server of one that does not read is given to others')
    await pgbun.waitForLog(/client_stall_timeout/)
    stalled.resume()
    await waitFor(() => stalled.closed)
  })

  await t.test('query_wait_timeout 0 waits for as long as it takes', async (t) => {
    const pgbun = await start(t, { ...TRANSACTION, args: ['--query-wait-timeout', '0'] })
    const holder = await loginRaw(t, pgbun, APP)
    const client = await loginRaw(t, pgbun, APP)
    await holder.query('BEGIN')
    client.send(frontend.sync(), frontend.query('SELECT 1'))
    await client.readUntil('Z')
    await holder.query('SELECT pg_sleep(1)')
    await holder.query('COMMIT')
    t.same(rowsOf(await client.readUntil('Z')), [['1']])
  })
})

t.test('with a scripted server', async (t) => {
  const withServer = async (t: Test, script: Script, options: PgbunOptions) => {
    const server = await startScriptedPostgres(t, script)
    return { server, pgbun: await startPgbun(t, { target: server, ...options }) }
  }
  const sqlOf = (message: { type: string; body: Buffer }): string | undefined =>
    message.type === 'Q' ? parse.strings(message.body)[0] : undefined

  await t.test('server_connect_timeout', async (t) => {
    const { pgbun } = await withServer(t, { onStartup: () => {} }, { args: ['--server-connect-timeout', '1s'] })
    const error = await loginRaw(t, pgbun).catch((error) => error)
    t.match(error, { code: '57P03', fields: { S: 'FATAL', M: /did not complete the login in time/ } })
  })

  await t.test('server_login_retry: a failure is told at once until the next attempt is due', async (t) => {
    let full = true
    const { server, pgbun } = await withServer(
      t,
      {
        onStartup(connection) {
          if (full) connection.end(backend.error('53300', 'sorry, too many clients already', 'FATAL'))
          else connection.greet()
        },
      },
      { args: ['--auth-type', 'trust', '--server-login-retry', '1200ms'] },
    )
    await t.rejects(loginRaw(t, pgbun), { code: '53300', fields: { M: /too many clients already/ } })
    const before = server.accepted
    for (let count = 0; count < 5; count++) await t.rejects(loginRaw(t, pgbun), { code: '53300' })
    t.ok(server.accepted - before < 5, 'not every client makes an attempt')
    full = false
    t.ok(await waitFor(() => loginRaw(t, pgbun)), 'and it is tried again')
  })

  await t.test('server_check_delay and server_check_query', async (t) => {
    const cases: [string[], string[]][] = [
      [
        ['--server-check-delay', '0'],
        ['select 1', '', 'select 2'],
      ],
      [
        ['--server-check-delay', '0', '--server-check-query', 'select check'],
        ['select 1', 'select check', 'select 2'],
      ],
      [
        ['--server-check-delay', '0', '--server-check-query', 'none'],
        ['select 1', 'select 2'],
      ],
      [
        ['--server-check-delay', '1h'],
        ['select 1', 'select 2'],
      ],
    ]
    for (const [args, expected] of cases) {
      const { server, pgbun } = await withServer(t, {}, { poolMode: 'transaction', args })
      const client = await loginRaw(t, pgbun)
      await client.rows('select 1')
      await client.rows('select 2')
      const seen = (await server.connection(0)).received.map(sqlOf)
      // What comes before the first query is the first check, of the connection that proved the login.
      t.same(seen.slice(seen.indexOf('select 1')), expected, args.join(' '))
    }
  })

  await t.test('a server that is dead when it is checked is replaced, and nobody hears of it', async (t) => {
    let dead = false
    const script: Script = {
      onMessage(connection, message) {
        if (sqlOf(message) === '' && dead) {
          dead = false
          connection.cut()
        } else answerQueries(connection, message)
      },
    }
    const { server, pgbun } = await withServer(t, script, {
      poolMode: 'transaction',
      args: ['--server-check-delay', '0'],
    })
    const client = await loginRaw(t, pgbun)
    await client.rows('select 1')
    dead = true
    t.same(await client.rows('select 2'), [['select 2']])
    t.equal(server.connections.filter(({ closed }) => !closed).length, 1)
  })

  await t.test('cancel_wait_timeout', async (t) => {
    const held = gate()
    t.teardown(() => held.open())
    const script: Script = {
      async onMessage(connection, message) {
        if (sqlOf(message) === 'hold') await held.opened
        else answerQueries(connection, message)
      },
      onCancel: () => held.opened,
    }
    const { server, pgbun } = await withServer(t, script, { ...TRANSACTION, args: ['--cancel-wait-timeout', '400ms'] })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.query('hold'))
    await waitFor(() => server.connections.some((connection) => connection.received.some((m) => sqlOf(m) === 'hold')))
    const canceller = await connectRaw(t, pgbun)
    canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
    t.same(await canceller.expectClosed(), [], 'a canceller is let go')
    t.equal(server.cancels.length, 1)
    client.destroy()
    const next = await loginRaw(t, pgbun)
    t.same(await next.rows('select 1'), [['select 1']], 'a server that does not end in time is replaced')
    t.same(errorOf(await next.query('select 2')), {})
  })
})
