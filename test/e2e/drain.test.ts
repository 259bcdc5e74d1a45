/**
 * SIGTERM under load, with a second pgbun to go to: clients leave one after the other, and none of their transactions
 * fails. And what SIGINT, SIGQUIT and impatience do instead.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'pg'
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { sharedPostgres } from '../fixtures/postgres.ts'
import { cancel, connectRaw, errorOf, loginRaw, rowsOf } from '../fixtures/raw-client.ts'
import { waitFor, withDeadline } from '../fixtures/wait.ts'

const { database, server: sharedServer } = sharedPostgres(t)
const ADMIN = { S: 'FATAL', C: '57P01', M: 'terminating connection due to administrator command' }

async function start(t: Test, options: PgbunOptions = {}): Promise<Pgbun> {
  return startPgbun(t, { target: await sharedServer(), poolMode: 'transaction', ...options })
}

t.test('SIGTERM under load: no transaction fails', async (t) => {
  const CLIENTS = 100
  const target = await database(t, ['CREATE TABLE done (client int, n int)'])
  const options: PgbunOptions = {
    ...{ target, poolMode: 'transaction', poolSize: 20, args: ['--max-client-conn', '200'] },
  }
  const [first, second] = await Promise.all([startPgbun(t, options), startPgbun(t, options)])
  const failures: string[] = []
  const told: string[] = []
  let committed = 0
  let moved = 0
  let stopping = false
  let connected = 0

  /** Transactions without a pause, at the first pgbun until it says that it ends, then at the second. */
  async function work(id: number): Promise<void> {
    const connect = (pgbun: Pgbun): Promise<Client> =>
      pgbun.connect().then((client) =>
        client.on('error', ({ code }: Error & { code?: string }) => {
          // That the connection has ended comes behind it, as an error of pg's own.
          if (code !== undefined) told.push(code)
        }),
      )
    let client = await connect(first)
    connected++
    for (let n = 0; !stopping; n++) {
      try {
        await client.query('BEGIN')
      } catch (error) {
        // Told between two transactions: nothing was begun. pg says so by the event, or by the statement if it was sent
        // already.
        const { code } = error as { code?: string }
        if (code !== undefined) told.push(code)
        moved++
        client = await connect(second)
        continue
      }
      try {
        await client.query('INSERT INTO done VALUES ($1, $2)', [id, n])
        await client.query('SELECT pg_sleep(0.005)')
        await client.query('COMMIT')
        committed++
      } catch (error) {
        failures.push(`client ${id}, transaction ${n}: ${(error as Error).message}`)
        return
      }
    }
    await client.end()
  }

  const workers = Promise.all(Array.from({ length: CLIENTS }, (_, id) => work(id)))
  await waitFor(() => connected === CLIENTS && committed > CLIENTS, { timeout: 60_000, what: 'the load' })
  t.same(await first.stop('SIGTERM'), { code: 0, signal: null })
  t.notMatch(first.logs(), /what still runs is canceled/)
  const goal = committed + CLIENTS
  await waitFor(() => moved === CLIENTS && committed > goal, {
    timeout: 60_000,
    what: () => `all clients to work at the second pgbun; ${moved} do\n${failures.join('\n')}`,
  })
  stopping = true
  await workers
  t.same(failures, [])
  t.same(told, Array(CLIENTS).fill('57P01'), 'each was told why')
  t.same(await target.query('SELECT count(*)::int AS n FROM done'), [{ n: committed }], 'what was committed is there')
})

t.test('SIGTERM: who waits for a server is served first, who idles is let go one after the other', async (t) => {
  const pgbun = await start(t, { poolSize: 1, args: ['--shutdown-timeout', '1h'] })
  const idle = await Promise.all(Array.from({ length: 60 }, () => loginRaw(t, pgbun)))
  const holder = await loginRaw(t, pgbun)
  const waiting = await loginRaw(t, pgbun)
  await holder.query('BEGIN')
  waiting.send(frontend.sync(), frontend.query("SELECT 'served'"))
  await waiting.readUntil('Z')
  pgbun.signal('SIGTERM')
  t.match(await idle[0]!.expectFatal(), ADMIN)
  t.match(await idle.at(-1)!.expectFatal(), ADMIN)
  t.same(await holder.rows('SELECT 1'), [['1']], 'a transaction goes on')
  holder.send(frontend.query('COMMIT'))
  await holder.readUntil('Z')
  t.match(await holder.expectFatal(), ADMIN, 'until it ends')
  t.same(rowsOf(await waiting.readUntil('Z')), [['served']], 'what was sent before is run')
  t.match(await waiting.expectFatal(), ADMIN)
  t.same(await withDeadline(pgbun.exit, 'pgbun to end'), { code: 0, signal: null })
})

t.test('while it drains, the unix socket is for the console and for cancel requests', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pgbun-drain-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const pgbun = await start(t, {
    args: ['--unix-socket-dir', directory, '--admin-users', 'postgres', '--shutdown-timeout', '1h'],
  })
  const unix = { path: join(directory, `.s.PGSQL.${pgbun.port}`) }
  const holder = await loginRaw(t, pgbun)
  await holder.query('BEGIN')
  pgbun.signal('SIGTERM')
  await waitFor(
    () =>
      connectRaw(t, pgbun).then(
        () => false,
        () => true,
      ),
    { what: 'TCP to be closed' },
  )
  const console = await loginRaw(t, unix, { database: 'pgbouncer' })
  t.ok((await console.rows('SHOW POOLS')).some(([database]) => database === 'postgres'))
  await t.rejects(loginRaw(t, unix), { code: '57P01', message: /the connection pooler is shutting down/ })
  holder.send(frontend.query('SELECT pg_sleep(3600)'))
  const running = async () => (await sharedServer()).query("SELECT FROM pg_stat_activity WHERE query ~ 'sleep.3600'")
  await waitFor(async () => (await running()).length > 0, { what: 'the query to run' })
  await cancel(t, unix, holder.session.pid, holder.session.secret)
  t.match(errorOf(await holder.readUntil('Z')), { C: '57014' })
  holder.send(frontend.query('ROLLBACK'))
  await holder.readUntil('Z')
  t.match(await holder.expectFatal(), ADMIN)
  t.match(await console.expectFatal(), ADMIN, 'who is at the console sees the end')
  t.same(await withDeadline(pgbun.exit, 'pgbun to end'), { code: 0, signal: null })
  t.notOk(existsSync(unix.path))
})

t.test('shutdown_delay: newcomers are served for a while; a second signal does not wait for it', async (t) => {
  const pgbun = await start(t, { args: ['--shutdown-delay', '1h'] })
  pgbun.signal('SIGTERM')
  await pgbun.waitForLog(/shutting down.* mode=wait_for_clients .*delay_ms=3600000/)
  const client = await loginRaw(t, pgbun)
  t.same(await client.rows('SELECT 1'), [['1']])
  await client.query('BEGIN')
  t.same(await pgbun.stop('SIGINT'), { code: 1, signal: null })
  t.match(await client.expectFatal(), ADMIN, 'what runs is lost, and is told so')
})

t.test('SIGINT: who waits for a server is not served', async (t) => {
  const pgbun = await start(t, { poolSize: 1, args: ['--shutdown-delay', '1h'] })
  const holder = await loginRaw(t, pgbun)
  const waiting = await loginRaw(t, pgbun)
  await holder.query('BEGIN')
  waiting.send(frontend.sync(), frontend.query('SELECT 1'))
  await waiting.readUntil('Z')
  pgbun.signal('SIGINT')
  t.match(await waiting.expectFatal(), ADMIN)
  holder.send(frontend.query('COMMIT'))
  await holder.readUntil('Z')
  t.match(await holder.expectFatal(), ADMIN)
  t.same(await withDeadline(pgbun.exit, 'pgbun to end'), { code: 0, signal: null })
})

t.test('SIGQUIT: what runs is lost', async (t) => {
  const server = await sharedServer()
  const pgbun = await start(t)
  const open = await loginRaw(t, pgbun)
  await open.query("BEGIN; SET LOCAL application_name = 'quitting'")
  t.same(await pgbun.stop('SIGQUIT'), { code: 1, signal: null })
  t.match(await open.expectFatal(), ADMIN)
  await waitFor(
    async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE application_name = 'quitting'")).length === 0,
    { what: 'PostgreSQL to be rid of it' },
  )
})

t.test('the console: SIGUSR2 resumes, SHUTDOWN can only hurry', async (t) => {
  const pgbun = await start(t, { args: ['--admin-users', 'postgres', '--shutdown-delay', '1h'] })
  const console = await loginRaw(t, pgbun, { database: 'pgbouncer' })
  const client = await loginRaw(t, pgbun)
  await console.query('PAUSE')
  client.send(frontend.query("SELECT 'resumed'"))
  await waitFor(async () => (await console.rows('SHOW POOLS')).some((row) => row[0] === 'postgres' && row[3] === '1'), {
    what: 'a client that waits',
  })
  pgbun.signal('SIGUSR2')
  t.same(rowsOf(await client.readUntil('Z')), [['resumed']])
  console.send(frontend.query('SHUTDOWN WAIT_FOR_CLIENTS'))
  await console.readUntil('Z')
  await pgbun.waitForLog(/shutting down.* mode=wait_for_clients/)
  t.same(await client.rows('SELECT 1'), [['1']], 'the delay')
  await client.query('BEGIN')
  console.send(frontend.query('SHUTDOWN WAIT_FOR_SERVERS'))
  await console.readUntil('Z')
  await pgbun.waitForLog(/shutting down faster mode=wait_for_servers/)
  client.send(frontend.query('COMMIT'))
  await client.readUntil('Z')
  t.match(await client.expectFatal(), ADMIN)
  t.same(await withDeadline(pgbun.exit, 'pgbun to end'), { code: 0, signal: null })
})
