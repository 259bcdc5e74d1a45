/**
 * `pgbun -R` takes over from a pgbun that runs: no connection attempt is refused, no transaction fails, clients of the
 * first one stay until they leave, and their cancel keys work at the address that the second one has now.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from 'pg'
import t, { type Test } from 'tap'
import { frontend, int32 } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, runPgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { sharedPostgres } from '../fixtures/postgres.ts'
import { cancel, connectRaw, errorOf, loginRaw, typesOf } from '../fixtures/raw-client.ts'
import { waitFor, withDeadline } from '../fixtures/wait.ts'

if (process.platform !== 'linux') {
  t.pass('only Linux tells which sockets are listened on', { skip: true })
  process.exit(0)
}

const { database, server: sharedServer } = sharedPostgres(t)
const TIMEOUT = { timeout: 120_000 }

function directoryOf(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'pgbun-up-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

function optionsOf(directory: string, options: PgbunOptions = {}): PgbunOptions {
  const args = ['--unix-socket-dir', directory, '--admin-users', 'postgres', '--max-client-conn', '1000']
  return { poolMode: 'transaction', poolSize: 10, ...options, args: [...args, ...(options.args ?? [])] }
}

/** Start the successor of `first`. */
function succeed(t: Test, first: Pgbun, options: PgbunOptions): Promise<Pgbun> {
  return startPgbun(t, { ...options, listenPort: first.port, args: [...(options.args ?? []), '-R'] })
}

/** Connects, asks for encryption and is answered; resolves to what went wrong. */
function attempt(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    const done = (fault: string | undefined): void => {
      socket.destroy()
      resolve(fault)
    }
    socket.on('connect', () => socket.write(Buffer.concat([int32(8), int32(80877103)])))
    socket.on('data', (answer) => done(/^[SN]$/.test(answer.toString('latin1')) ? undefined : 'a strange answer'))
    socket.on('error', (error: NodeJS.ErrnoException) => done(error.code))
    socket.on('close', () => done('closed without an answer'))
  })
}

t.test('under load: nobody is refused, no transaction fails', async (t) => {
  const CLIENTS = 100
  const ATTEMPTS = 10_000
  const directory = directoryOf(t)
  const target = await database(t, ['CREATE TABLE done (client int, n int)'])
  const options = optionsOf(directory, { target })
  const first = await startPgbun(t, options)
  const failures: string[] = []
  let committed = 0
  let stopping = false

  /** Transactions without a pause; half of the clients connect anew now and then. */
  async function work(id: number): Promise<void> {
    let client: Client = await first.connect()
    for (let n = 0; !stopping; n++) {
      try {
        await client.query('BEGIN')
        await client.query('INSERT INTO done VALUES ($1, $2)', [id, n])
        await client.query('COMMIT')
        committed++
        if (id % 2 === 0 && n % 10 === 9) {
          await client.end()
          client = await first.connect()
        }
      } catch (error) {
        failures.push(`client ${id}, transaction ${n}: ${(error as Error).message}`)
        return
      }
    }
    await client.end()
  }

  const faults = new Map<string, number>()
  let attempts = 0
  async function knock(): Promise<void> {
    while (attempts < ATTEMPTS || !stopping) {
      attempts++
      const fault = await attempt(first.port)
      if (fault !== undefined) faults.set(fault, (faults.get(fault) ?? 0) + 1)
    }
  }

  const workers = Promise.all(Array.from({ length: CLIENTS }, (_, id) => work(id)))
  const knockers = Promise.all(Array.from({ length: 16 }, knock))
  await waitFor(() => committed > CLIENTS && attempts > 500, { ...TIMEOUT, what: 'the load' })
  const second = await succeed(t, first, options)
  await first.waitForLog(/succeeded: clients may stay until they leave/)
  const goal = { committed: committed + CLIENTS, attempts: Math.max(attempts + 500, ATTEMPTS) }
  await waitFor(() => committed > goal.committed && attempts > goal.attempts, {
    ...TIMEOUT,
    what: () => `work at the second one; ${committed} committed, ${attempts} attempts\n${failures.join('\n')}`,
  })
  stopping = true
  await Promise.all([workers, knockers])
  t.same(failures, [])
  t.same(Object.fromEntries(faults), {}, `${attempts} attempts to connect`)
  t.same(await target.query('SELECT count(*)::int AS n FROM done'), [{ n: committed }], 'what was committed is there')
  t.same(await withDeadline(first.exit, 'the first one to end when its clients have left'), { code: 0, signal: null })
  t.same(await second.stop(), { code: 0, signal: null })
  t.same(readdirSync(directory), [], 'no sockets are left')
})

t.test('who has connected to the first one and not said who it is yet is a client of it', async (t) => {
  const target = await database(t)
  const options = optionsOf(directoryOf(t), { target })
  const first = await startPgbun(t, options)
  const stays = await loginRaw(t, first)
  const early = await connectRaw(t, first)
  // The answer says that the first one has accepted it.
  early.send(frontend.gssEncRequest())
  t.equal(await early.readBytes(1), 'N')
  const second = await succeed(t, first, options)
  await first.waitForLog(/succeeded: clients may stay until they leave/)
  await early.login({ user: 'postgres', database: target.database })
  t.equal(typesOf(await early.query('SELECT 1')), 'TDCZ')
  await stays.end()
  t.equal(typesOf(await early.query('SELECT 2')), 'TDCZ')
  await early.end()
  t.same(await withDeadline(first.exit, 'the first one to end when its clients have left'), { code: 0, signal: null })
  t.same(await second.stop(), { code: 0, signal: null })
})

t.test('clients of the first one stay, and can be canceled; the console shows both', async (t) => {
  const directory = directoryOf(t)
  const pidFile = join(directory, 'pid')
  const http = `127.0.0.1:${await freePort()}`
  const args = ['--pid-file', pidFile, '--http-listen', http]
  const options = optionsOf(directory, { target: await sharedServer(), args })
  const first = await startPgbun(t, options)
  const stays = await loginRaw(t, first)
  const unix = { path: join(directory, `.s.PGSQL.${first.port}`) }
  const [viaUnix, atFirst] = [await loginRaw(t, unix), await loginRaw(t, first, { database: 'pgbouncer' })]
  t.equal(Number(readFileSync(pidFile, 'utf8')), first.pid)
  const second = await succeed(t, first, options)
  await first.waitForLog(/succeeded/)
  t.not(Number(readFileSync(pidFile, 'utf8')), first.pid, 'the pid file is the second one’s')
  const healthy = () =>
    fetch(`http://${http}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await waitFor(healthy, { what: 'the address of HTTP to change hands' })

  const console = await loginRaw(t, unix, { database: 'pgbouncer' })
  const processes = () => console.rows('SELECT pid, state, clients FROM processes')
  await waitFor(async () => (await processes())[1]?.[1] === 'leaving', { what: 'both to be shown' })
  const [[successor], predecessor] = (await processes()) as [string[], string[]]
  t.not(successor, String(first.pid))
  t.same(predecessor, [String(first.pid), 'leaving', '2'])
  t.same(
    (await atFirst.rows('SELECT pid, state FROM processes')).map(([, state]) => state),
    ['leaving'],
    'whoever is at the console of the first one stays there',
  )

  const running = async () => {
    const found = async () => (await sharedServer()).query("SELECT FROM pg_stat_activity WHERE query ~ 'sleep.3600'")
    await waitFor(async () => (await found()).length > 0, { what: 'the query to run' })
  }
  for (const client of [stays, viaUnix]) {
    client.send(frontend.query('SELECT pg_sleep(3600)'))
    await running()
    await cancel(t, second, client.session.pid, client.session.secret)
    t.match(errorOf(await client.readUntil('Z')), { C: '57014' })
    t.same(await client.rows("SELECT 'stays'"), [['stays']])
  }
  await cancel(t, second, stays.session.pid ^ 1, stays.session.secret)

  await t.test('once more, while the first one is still there', async (t) => {
    const third = await succeed(t, second, options)
    await second.waitForLog(/succeeded/)
    const newest = await loginRaw(t, unix, { database: 'pgbouncer' })
    await waitFor(async () => (await newest.rows('SELECT pid FROM processes')).length === 3, { what: 'all three' })
    stays.send(frontend.query('SELECT pg_sleep(3600)'))
    await running()
    await cancel(t, third, stays.session.pid, stays.session.secret)
    t.match(errorOf(await stays.readUntil('Z')), { C: '57014' }, 'passed on twice')
    await newest.end()
    await third.stop('SIGINT')
  })

  await stays.end()
  await viaUnix.end()
  await atFirst.end()
  t.same(await withDeadline(first.exit, 'the first one to end'), { code: 0, signal: null })
  await console.end()
  t.same(await withDeadline(second.exit, 'the second one to end'), { code: 0, signal: null })
  t.notOk(existsSync(unix.path))
})

t.test('upgrade_timeout, and a signal to the first one', async (t) => {
  for (const way of ['timeout', 'signal'] as const) {
    const directory = directoryOf(t)
    const options = optionsOf(directory, { target: await sharedServer() })
    const args = [...options.args!, '--upgrade-timeout', way === 'timeout' ? '1ms' : '1h']
    const first = await startPgbun(t, { ...options, args })
    const client = await loginRaw(t, first)
    await client.query('BEGIN')
    await succeed(t, first, options)
    await first.waitForLog(/succeeded/)
    if (way === 'signal') first.signal('SIGTERM')
    t.same(await client.rows('SELECT 1'), [['1']], 'a transaction goes on')
    client.send(frontend.query('COMMIT'))
    await client.readUntil('Z')
    t.match(await client.expectFatal(), { C: '57P01' })
    t.same(await withDeadline(first.exit, 'the first one to end'), { code: 0, signal: null })
  }
})

t.test('a successor that fails changes nothing', async (t) => {
  const directory = directoryOf(t)
  const options = optionsOf(directory, { target: await sharedServer() })
  const first = await startPgbun(t, options)
  const client = await loginRaw(t, first)
  // It gets the sockets, but there is an address that it cannot listen on.
  const broken = {
    ...options,
    listenPort: first.port,
    args: [...options.args!, '-R', '--listen-host', '127.0.0.1,203.0.113.77'],
  }
  await t.rejects(startPgbun(t, broken), /pgbun ended before it listened \(1\).*203\.0\.113\.77/s)
  await first.waitForLog(/the other pgbun did not take over; this one goes on/)
  t.equal(await attempt(first.port), undefined)
  t.same(await client.rows('SELECT 1'), [['1']])
  const second = await succeed(t, first, options)
  await first.waitForLog(/succeeded/)
  t.same(
    await second
      .connect()
      .then((other) => other.query('SELECT 2 AS n'))
      .then(({ rows }) => rows),
    [{ n: 2 }],
  )
})

t.test('where nothing runs it starts as usual; without a unix socket it says what it needs', async (t) => {
  const directory = directoryOf(t)
  const options = optionsOf(directory, { target: await sharedServer() })
  const first = await startPgbun(t, options)
  first.signal('SIGKILL')
  await first.exit
  t.ok(readdirSync(directory).length > 0, 'a crash has left its sockets')
  const second = await succeed(t, first, options)
  t.match(second.logs(), /-R: no other pgbun accepts clients here; this one starts as usual/)
  t.same(readdirSync(directory).length, 2, 'what the crash has left is gone')
  const faults: [string[], RegExp][] = [
    [['-R'], /-R finds the pgbun that runs by its unix socket: set unix_socket_dir to a directory/],
    [['-R', '--unix-socket-dir', directory, '-p', '0'], /set listen_port/],
    [['-R', '--embedded'], /--reboot takes over from a pgbun that runs, and --embedded cannot/],
  ]
  for (const [args, message] of faults) {
    const { code, stderr } = await runPgbun(t, args)
    t.equal(code, 2)
    t.match(stderr, message)
  }
})

t.test('the process in front is killed: its successor ends as well', async (t) => {
  const directory = directoryOf(t)
  const options = optionsOf(directory, { target: await sharedServer() })
  const first = await startPgbun(t, options)
  const second = await succeed(t, first, options)
  await first.exit
  second.signal('SIGKILL')
  await second.waitForLog(/SIGTERM received/)
  await waitFor(() => readdirSync(directory).length === 0, { what: 'its sockets to go' })
})

t.test('in the background', async (t) => {
  const directory = directoryOf(t)
  const options = optionsOf(directory, { target: await sharedServer() })
  const first = await startPgbun(t, options)
  const { target } = options
  const server = ['--server-host', target!.host, '--server-port', String(target!.port)]
  const listen = ['--listen-host', '127.0.0.1', '-p', String(first.port), '--pid-file', join(directory, 'pid')]
  const launcher = await runPgbun(t, ['-R', '-d', ...listen, ...server, ...options.args!])
  t.equal(launcher.code, 0, launcher.stderr)
  t.match(launcher.stdout, /running in the background, process \d+/)
  const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'))
  t.teardown(() => process.kill(pid, 'SIGKILL'))
  t.same(await withDeadline(first.exit, 'the first one to end'), { code: 0, signal: null })
  const client = await loginRaw(t, first)
  t.same(await client.rows('SELECT 1'), [['1']])
})

t.test('by the unix socket alone', async (t) => {
  const directory = directoryOf(t)
  const { host, port: serverPort } = await sharedServer()
  const pidFile = join(directory, 'pid')
  const port = await freePort()
  const args = ['-d', '--listen-host', '', '-p', String(port), '--unix-socket-dir', directory, '--pid-file', pidFile]
  const all = [...args, '--server-host', host, '--server-port', String(serverPort)]
  const pid = (): number => Number(readFileSync(pidFile, 'utf8'))
  t.equal((await runPgbun(t, all)).code, 0)
  const first = pid()
  t.teardown(() => process.kill(pid(), 'SIGKILL'))
  const second = await runPgbun(t, ['-R', ...all])
  t.equal(second.code, 0, second.stderr)
  t.not(pid(), first)
  const client = await loginRaw(t, { path: join(directory, `.s.PGSQL.${port}`) })
  t.same(await client.rows('SELECT 1'), [['1']])
  const left = (): string[] => readdirSync(directory).filter((name) => name.endsWith(`.${first}`))
  await waitFor(() => left().length === 0, { what: 'the first one to end' })
})
