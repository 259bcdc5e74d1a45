import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import t from 'tap'
import { createPooler, type Pooler, type PoolerOptions } from '../../../lib/index.ts'
import { backend, frontend } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { startPostgres, type Teardown, type TestPostgres } from '../../fixtures/postgres.ts'
import { connectRaw, loginRaw } from '../../fixtures/raw-client.ts'
import { gate, waitFor, withDeadline } from '../../fixtures/wait.ts'
import { startLab } from '../../wire/lab.ts'

// A program that wants to end at once, having begun to close its pooler patiently, had to wait all the same.
t.test('a second close of a pooler with a shorter time ends it at once', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  await client.query('begin')
  const first = lab.pooler.close({ timeoutMs: 600_000 })
  await withDeadline(lab.pooler.close({ timeoutMs: 0 }), 'the end')
  await first
  t.match(await client.expectFatal(), { C: '57P01' })
})

// A pooler that was closed while a server did not answer went on connecting to it, for up to server_connect_timeout,
// and kept its process alive for as long.
t.test('a closed pooler opens no connection any more', async (t) => {
  /** A pooler, one client that wants a server, and the connections a server that says nothing has got. */
  async function startSilent(t: Teardown, options: PoolerOptions = {}) {
    const sockets: Socket[] = []
    const server = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => {})
      socket.resume()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    t.teardown(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    const { port: serverPort } = server.address() as { port: number }
    const pooler = await createPooler(
      { listenHost: '127.0.0.1', listenPort: 0, serverHost: '127.0.0.1', serverPort, authType: 'trust', ...options },
      { logger: false },
    )
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    const client = await connectRaw(t, { host: '127.0.0.1', port: (pooler.address as { port: number }).port })
    client.send(frontend.startup({ user: 'a', database: 'b' }))
    await waitFor(() => sockets.length === 1, { what: 'a connection' })
    return { pooler, sockets }
  }

  for (const [what, options] of Object.entries<PoolerOptions>({
    'TLS is negotiated': { serverTlsMode: 'prefer' },
    'it logs in': { serverTlsMode: 'disable' },
    'it logs in to prove a password': { serverTlsMode: 'disable', authType: 'passthrough' },
  })) {
    await t.test(`a connection is given up while ${what}`, async (t) => {
      const { pooler, sockets } = await startSilent(t, options)
      await pooler.close({ timeoutMs: 0 })
      await waitFor(() => sockets[0]!.readableEnded || sockets[0]!.destroyed, { what: 'its end', timeout: 5000 })
      t.equal(sockets.length, 1, 'and no other is opened')
    })
  }

  await t.test('a cancel request is given up, too', async (t) => {
    const held = gate()
    const lab = await startLab(t, {
      script: {
        onCancel: () => held.opened,
        onMessage(connection, message) {
          if (message.type === 'X') connection.end()
        },
      },
    })
    t.teardown(() => held.open())
    const client = await lab.client()
    client.send(frontend.query('select 1'))
    await waitFor(() => lab.servers().active === 1, { what: 'its query' })
    const canceller = await lab.connect()
    canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
    await waitFor(() => lab.server.cancels.length === 1, { what: 'the cancel request' })
    await lab.pooler.close({ timeoutMs: 0 })
    await lab.logged('cancel request not acknowledged by PostgreSQL')
  })
})

// They counted as waiting for it: their pools were never forgotten, each tried to connect once a second, and a
// recovery that took hours kept everybody who had ever come.
t.test('clients that left while PostgreSQL was starting up are forgotten', async (t) => {
  let starting = true
  const lab = await startLab(t, {
    script: {
      onStartup: (connection) =>
        starting
          ? connection.end(backend.error('57P03', 'the database system is starting up', 'FATAL'))
          : connection.greet(),
    },
  })
  const staying = lab.client({ user: 'staying' })
  const leaving = await lab.connect()
  leaving.send(frontend.startup({ user: 'leaving', database: 'postgres' }))
  const users = () => lab.pooler.snapshot().pools.map(({ user }) => user)
  await waitFor(() => users().length === 2 && lab.server.accepted >= 2, { what: 'their logins' })
  leaving.destroy()
  await waitFor(() => users().join() === 'staying', { what: 'the end of the pool nobody wants' })
  t.ok(lab.pooler.snapshot().forgotten.openFailures > 0, 'but for what it had counted')
  starting = false
  t.strictSame(await (await staying).rows('select 1'), [['select 1']], 'who stays is served')
})

// The second one took back what the first had changed.
t.test('two reloads of a pooler at once add up', async (t) => {
  await t.test('the pooler has the changes of both reloads', async (t) => {
    const { pooler, client } = await startLab(t, { poolSize: 6 })
    await client()
    const [first, wrong, last] = await Promise.allSettled([
      pooler.reload({ poolSize: 3 }),
      pooler.reload({ poolSize: 0 }),
      pooler.reload({ maxClientConn: 1 }),
    ])
    t.match([first.status, wrong.status, last.status], ['fulfilled', 'rejected', 'fulfilled'])
    t.equal(pooler.snapshot().pools[0]!.size, 3)
    await t.rejects(client(), /too many clients|max_client_conn/)
  })

  await t.test('log_level changes the log of a library, too', async (t) => {
    let written = ''
    const { write } = process.stderr
    process.stderr.write = (text: string | Uint8Array) => {
      written += String(text)
      return true
    }
    t.teardown(() => {
      process.stderr.write = write
    })
    const pooler = await createPooler({ listenHost: '127.0.0.1', listenPort: 0, logLevel: 'error' })
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    await pooler.reload({ logLevel: 'debug' })
    const client = await connectRaw(t, { host: '127.0.0.1', port: (pooler.address as { port: number }).port })
    client.destroy()
    await waitFor(() => / DEBUG connection closed before its login/.test(written), { what: 'a line of the log' })
  })
})

// SIGHUP ended a pgbun whose pid file was there and which did not listen yet.
t.test('a SIGHUP to a pgbun that does not listen yet reloads it', async (t) => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-hang-up-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const pidFile = path.join(dir, 'pid')
  const started = startPgbun(t, { args: ['--pid-file', pidFile] })
  started.catch(() => {})
  const pid = await waitFor(() => existsSync(pidFile) && Number(readFileSync(pidFile, 'utf8')), {
    what: 'the pid file',
  })
  process.kill(pid, 'SIGHUP')
  const pgbun = await started
  await pgbun.waitForLog(/configuration reloaded/)
  t.equal(pgbun.pid, pid)
  t.match(await pgbun.stop(), { code: 0 })
})

t.test('a reload works nothing against the clients that are connected', async (t) => {
  async function start(t: Teardown, server: TestPostgres, options: PoolerOptions) {
    const { host: serverHost, port: serverPort } = server
    const common = { listenHost: '127.0.0.1', listenPort: 0, serverHost, serverPort, poolMode: 'transaction' } as const
    const pooler: Pooler = await createPooler({ ...common, ...options }, { logger: false })
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    return { pooler, address: { host: '127.0.0.1', port: (pooler.address as { port: number }).port } }
  }

  const server = await startPostgres(t)

  await t.test('from transaction to session mode, clients from before leave nothing to session clients', async (t) => {
    await server.query(
      `CREATE FUNCTION leave() RETURNS void LANGUAGE plpgsql AS $$
       BEGIN PERFORM set_config('work_mem', '7MB', false); END $$`,
    )
    const { pooler, address } = await start(t, server, { poolSize: 1 })
    const [client, other] = [await loginRaw(t, address), await loginRaw(t, address)]
    const before = await other.rows('SHOW work_mem')
    await pooler.reload({ poolMode: 'session' })
    await client.query('SELECT leave()')
    t.strictSame(await other.rows('SHOW work_mem'), before)
    await client.query('SELECT leave()')
    const session = await loginRaw(t, address)
    t.strictSame(await session.rows('SHOW work_mem'), before)
  })

  await t.test('a new password in auth_file is used for clients that are connected', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-userlist-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const authFile = path.join(dir, 'users')
    writeFileSync(authFile, '"app" "old"\n')
    await server.query("CREATE ROLE app LOGIN PASSWORD 'old'")
    const { pooler, address } = await start(t, server, { authFile })
    const client = await loginRaw(t, address, { user: 'app', password: 'old', database: 'postgres' })
    await client.query('SELECT 1')
    await server.query("ALTER ROLE app PASSWORD 'new'")
    writeFileSync(authFile, '"app" "new"\n')
    await pooler.reload({})
    await server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
    await waitFor(() => pooler.snapshot().servers.length === 0, { what: 'the end of its server' })
    t.strictSame(await client.rows('SELECT 2'), [['2']])
  })
})
