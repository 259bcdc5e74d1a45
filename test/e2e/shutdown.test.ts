/**
 * SIGTERM and SIGINT end pgbun without cutting work short, SIGHUP changes its configuration while clients work. What
 * counts is what clients and PostgreSQL see of it.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { connectRaw, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor, withDeadline } from '../fixtures/wait.ts'

t.test('the end', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: ['CREATE TABLE sink (line text)', "CREATE ROLE app LOGIN PASSWORD 'app'", 'GRANT ALL ON sink TO app'],
  })
  const APP = { user: 'app', password: 'app' }
  const start = (t: Test, options: PgbunOptions = {}): Promise<Pgbun> =>
    startPgbun(t, { target: server, ...APP, ...options })
  const ADMIN = { S: 'FATAL', C: '57P01', M: 'terminating connection due to administrator command' }

  for (const [mode, signal] of [
    ['session', 'SIGTERM'],
    ['transaction', 'SIGINT'],
  ] as const) {
    await t.test(`${signal} in pool mode ${mode}: work is finished, nobody else is kept`, async (t) => {
      const pgbun = await start(t, { poolMode: mode })
      const clients: Record<string, RawClient> = {}
      for (const name of ['fresh', 'idle', 'querying', 'inTransaction']) clients[name] = await loginRaw(t, pgbun, APP)
      const { fresh, idle, querying, inTransaction } = clients as Record<string, RawClient> & typeof clients
      await idle!.query('SELECT 1')
      await inTransaction!.query(`BEGIN; INSERT INTO sink VALUES ('${mode}')`)
      querying!.send(frontend.query("SELECT pg_sleep(0.8), 'done'"))
      await waitFor(
        async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")).length,
      )
      pgbun.signal(signal)
      t.match(await fresh!.expectFatal(), ADMIN, 'who has no server')
      t.match(await idle!.expectFatal(), ADMIN, 'who is idle')
      await t.rejects(loginRaw(t, pgbun, APP), 'newcomers are not let in')
      t.match(rowsOf(await querying!.readUntil('Z')), [['', 'done']], 'a running query is answered')
      t.match(await querying!.expectFatal(), ADMIN)
      t.same(await inTransaction!.rows('SELECT 1'), [['1']], 'a transaction goes on')
      inTransaction!.send(frontend.query('COMMIT'))
      t.equal(typesOf(await inTransaction!.readUntil('Z')), 'CZ')
      t.match(await inTransaction!.expectFatal(), ADMIN, 'until it ends')
      t.same(await withDeadline(pgbun.exit, 'pgbun to end'), { code: 0, signal: null })
      t.same(await server.query('SELECT line FROM sink WHERE line = $1', [mode]), [{ line: mode }])
    })
  }

  await t.test('shutdown_timeout: what takes longer is rolled back', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 2, args: ['--shutdown-timeout', '600ms'] })
    const open = await loginRaw(t, pgbun, APP)
    const querying = await loginRaw(t, pgbun, APP)
    const waiting = await loginRaw(t, pgbun, APP)
    await open.query("BEGIN; INSERT INTO sink VALUES ('late')")
    querying.send(frontend.query("INSERT INTO sink SELECT 'late' FROM pg_sleep(600)"))
    waiting.send(frontend.sync(), frontend.query("INSERT INTO sink VALUES ('late')"))
    await waiting.readUntil('Z')
    pgbun.signal('SIGTERM')
    t.match(await waiting.expectFatal(), ADMIN, 'who waits for a server')
    t.match(await open.expectFatal(), ADMIN)
    t.match(await querying.expectFatal(), ADMIN)
    t.same(await withDeadline(pgbun.exit, 'pgbun to end'), { code: 0, signal: null })
    await waitFor(
      async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'app'")).length === 0,
      {
        what: 'PostgreSQL to be rid of it',
      },
    )
    t.same(await server.query("SELECT 1 FROM sink WHERE line = 'late'"), [])
  })

  await t.test('a second signal ends it at once', async (t) => {
    const pgbun = await start(t, { args: ['--shutdown-timeout', '1h'] })
    const client = await loginRaw(t, pgbun, APP)
    await client.query('BEGIN')
    pgbun.signal('SIGTERM')
    await pgbun.waitForLog(/SIGTERM received/)
    t.same(await client.rows('SELECT 1'), [['1']])
    const { code } = await pgbun.stop('SIGTERM')
    t.equal(code, 1)
    await client.expectClosed()
  })

  await t.test('PostgreSQL is told goodbye, and nothing is left of pgbun', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-end-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const pidFile = path.join(dir, 'pgbun.pid')
    const pgbun = await start(t, { args: ['--unix-socket-dir', dir, '--pid-file', pidFile] })
    const client = await loginRaw(t, pgbun, APP)
    await client.query('SELECT 1')
    t.ok(existsSync(pidFile))
    t.ok(existsSync(path.join(dir, `.s.PGSQL.${pgbun.port}`)))
    const seen = server.logs().length
    t.same(await pgbun.stop(), { code: 0, signal: null })
    t.notOk(existsSync(pidFile))
    t.notOk(existsSync(path.join(dir, `.s.PGSQL.${pgbun.port}`)))
    await waitFor(async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'app'")).length === 0)
    t.notMatch(server.logs().slice(seen), /unexpected EOF|could not (receive|send)/)
  })

  await t.test('drivers that reconnect lose nothing over restarts of pgbun', async (t) => {
    let pgbun = await start(t, { poolMode: 'transaction', poolSize: 3 })
    const { port } = pgbun
    await server.query('CREATE TABLE counted (n int)')
    await server.query('GRANT ALL ON counted TO app')
    let confirmed = 0
    let stopping = false
    const work = Array.from({ length: 8 }, async () => {
      let client: Awaited<ReturnType<typeof pgbun.connect>> | undefined
      while (!stopping) {
        try {
          client ??= await pgbun.connect()
          await client.query('BEGIN')
          await client.query('INSERT INTO counted VALUES (1)')
          await client.query('COMMIT')
          confirmed++
        } catch {
          // Told 57P01 between two transactions, or not let in: nothing was begun that is not finished.
          await client?.end().catch(() => {})
          client = undefined
          await new Promise((resolve) => setTimeout(resolve, 10))
        }
      }
      await client?.end()
    })
    for (let restart = 0; restart < 2; restart++) {
      const goal = confirmed + 50
      await waitFor(() => confirmed > goal)
      t.same(await pgbun.stop(), { code: 0, signal: null })
      pgbun = await startPgbun(t, {
        ...{ target: server, listenPort: port, poolMode: 'transaction', poolSize: 3, ...APP },
      })
    }
    const goal = confirmed + 50
    await waitFor(() => confirmed > goal)
    stopping = true
    await Promise.all(work)
    const [{ n }] = await server.query('SELECT count(*)::int AS n FROM counted')
    t.equal(n, confirmed, 'every COMMIT that was answered counts, and no other happened')
  })
})

t.test('SIGHUP', async (t) => {
  const server = await startPostgres(t)
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-reload-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const file = path.join(dir, 'pgbun.toml')
  const write = (text: string): void => writeFileSync(file, text)
  const reload = async (pgbun: Pgbun, expected: RegExp): Promise<void> => {
    pgbun.signal('SIGHUP')
    await pgbun.waitForLog(expected)
  }
  write('[pool]\npool_mode = "transaction"\npool_size = 1\n')
  const pgbun = await startPgbun(t, { target: server, args: ['--config', file] })
  const holder = await loginRaw(t, pgbun)
  const client = await loginRaw(t, pgbun)
  await holder.query('BEGIN')
  client.send(frontend.sync(), frontend.query("SELECT 'served'"))
  await client.readUntil('Z')

  write('[pool]\npool_mode = "transaction"\npool_size = 2\n[logging]\nlog_level = "debug"\n')
  await reload(pgbun, /configuration reloaded changed="?(pool_size,log_level|log_level,pool_size)/)
  t.same(rowsOf(await client.readUntil('Z')), [['served']], 'a larger pool serves who waits already')
  t.notMatch(pgbun.logs(), / DEBUG /)
  ;(await connectRaw(t, pgbun)).destroy()
  await pgbun.waitForLog(/ DEBUG /)
  t.same(await holder.rows('SELECT 1'), [['1']], 'a transaction under way is not disturbed')

  write('[pool]\npool_mode = "transaction"\npool_size = 2\n[timeouts]\nidle_transaction_timeout = "400ms"\n')
  await reload(pgbun, /changed="?[a-z_,]*idle_transaction_timeout/)
  t.match(await holder.expectFatal(), { C: '25P03' }, 'a timeout holds for those who are connected')

  write('[pool]\npool_mode = "transaction"\npool_syze = 3\n')
  await reload(pgbun, /pool_syze.*pool_size/s)
  await pgbun.waitForLog(/not reloaded/)
  t.same(await client.rows('SELECT 1'), [['1']], 'what cannot be read changes nothing')
  write('[server]\nlisten_backlog = 77\n[pool]\npool_mode = "session"\n')
  await reload(pgbun, /listen_backlog has changed; it takes effect when pgbun is started again/)
  t.same(await client.rows('SELECT 2'), [['2']])
  const [[first]] = (await client.rows('SELECT pg_backend_pid()')) as [[string]]
  const session = await loginRaw(t, pgbun)
  await session.query('SELECT 1')
  t.same(await client.rows('SELECT pg_backend_pid() > 0'), [['t']], 'who logged in before keeps its pool mode')
  t.ok(first)
})
