/**
 * pgbun inside a program: createPooler, what its snapshot shows, reload, close, two of them side by side; and the
 * README's example run as a program of its own, which must end when its pooler is closed.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createPooler, type Pooler, type PoolerDeps, type PoolerOptions } from '../../lib/index.ts'
import { frontend } from '../fixtures/messages.ts'
import { rootDir, startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { waitFor, withDeadline } from '../fixtures/wait.ts'

t.test('createPooler', async (t) => {
  const server = await startPostgres(t)
  const behind = { listenPort: 0, listenHost: ['127.0.0.1'], serverHost: server.host, serverPort: server.port }
  /** A pooler that is closed with the test, quiet unless told. */
  async function start(t: Test, options: PoolerOptions = {}, deps: PoolerDeps = { logger: false }): Promise<Pooler> {
    const pooler = await createPooler({ ...behind, ...options }, deps)
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    return pooler
  }
  const portOf = (pooler: Pooler): number => {
    if (typeof pooler.address === 'string') throw new Error(`a unix socket: ${pooler.address}`)
    return pooler.address.port
  }
  const login = (t: Test, pooler: Pooler) => loginRaw(t, { host: '127.0.0.1', port: portOf(pooler) })

  await t.test('serves, and shows what it does', async (t) => {
    // On a busy machine one more server is opened while the first is asked for the functions of the database.
    const options = { poolMode: 'transaction', poolSize: 3, queryWaitTimeout: '5s', maxClientConn: 20 } as const
    const pooler = await start(t, { ...options, checkFunctions: false })
    t.match(pooler.address, { host: '127.0.0.1', port: Number })
    t.same(pooler.addresses, [pooler.address])
    const first = await login(t, pooler)
    const second = await login(t, pooler)
    await first.query('BEGIN')
    t.same(await second.rows('SELECT 1'), [['1']])
    await waitFor(() => pooler.snapshot().pools[0]?.servers.idle === 1)
    const snapshot = pooler.snapshot()
    t.match(snapshot, {
      version: /^\d+\.\d+\.\d+/,
      uptime: Number,
      clientCount: 2,
      pools: [
        {
          database: 'postgres',
          user: 'postgres',
          mode: 'transaction',
          size: 3,
          clients: 2,
          waiting: 0,
          maxWait: 0,
          servers: { active: 1, idle: 1, busy: 0, draining: 0, beingCanceled: 0 },
          counters: { logins: 2, queries: 2, transactions: 1 },
        },
      ],
      clients: [
        { user: 'postgres', database: 'postgres', state: 'active', address: /^127\.0\.0\.1:\d+$/, tls: '', pinned: '' },
        { state: 'idle', server: 0 },
      ],
      servers: [{ address: new RegExp(`port ${server.port}`), pid: Number, age: Number, idle: Number }, {}],
    })
    t.same(JSON.parse(JSON.stringify(snapshot)), snapshot, 'plain data')
    const backends = await server.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'")
    const pids = backends.map(({ pid }) => pid)
    for (const { pid } of snapshot.servers) t.ok(pids.includes(pid), `${pid} is a process of PostgreSQL`)
    await first.end()
    await waitFor(() => pooler.snapshot().clientCount === 1)
  })

  await t.test('reload changes what can change, for clients that are connected, too', async (t) => {
    const pooler = await start(t, { poolMode: 'transaction', poolSize: 1, logLevel: 'error' })
    const holder = await login(t, pooler)
    const client = await login(t, pooler)
    await holder.query('BEGIN')
    client.send(frontend.query("SELECT 'served'"))
    await waitFor(() => pooler.snapshot().pools[0]!.waiting === 1)
    await pooler.reload({ poolSize: 2 })
    t.same(rowsOf(await client.readUntil('Z')), [['served']])
    t.equal(pooler.snapshot().pools[0]!.size, 2)
    await pooler.reload({ idleTransactionTimeout: '300ms' })
    t.match(await holder.expectFatal(), { C: '25P03' })
    t.equal(pooler.snapshot().pools[0]!.size, 2, 'what is not named keeps its value')
    await t.rejects(pooler.reload({ listenPort: 7777 }), /listenPort/)
    await t.rejects(pooler.reload({ poolSize: 0 }), /poolSize: 0. Must be between 1 and/)
    t.equal(pooler.snapshot().pools[0]!.size, 2)
    t.same(await client.rows('SELECT 1'), [['1']])
  })

  await t.test('close waits for transactions, for as long as it is told', async (t) => {
    const patient = await start(t, { poolMode: 'transaction' })
    const client = await login(t, patient)
    const idle = await login(t, patient)
    await client.query('BEGIN')
    const port = portOf(patient)
    const closing = patient.close()
    t.match(await idle.expectFatal(), { C: '57P01' })
    t.same(await client.rows('SELECT 1'), [['1']])
    client.send(frontend.query('COMMIT'))
    t.equal(typesOf(await client.readUntil('Z')), 'CZ')
    await withDeadline(closing, 'the pooler to be closed')
    await withDeadline(patient.close(), 'a second close')
    t.equal(await canConnect(port), false, 'nobody listens any more')

    const hasty = await start(t, { poolMode: 'transaction' })
    const cut = await login(t, hasty)
    await cut.query('BEGIN')
    await withDeadline(hasty.close({ timeoutMs: 100 }), 'the pooler to be closed')
    t.match(await cut.expectFatal(), { C: '57P01' })
    await waitFor(async () => {
      const rows = await server.query("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
      return rows.length === 0
    })
  })

  await t.test('close ends connections that have not said who they are', async (t) => {
    const pooler = await start(t, { clientLoginTimeout: '10min' })
    const silent = connect(portOf(pooler), '127.0.0.1')
    t.teardown(() => silent.destroy())
    const closed = new Promise((resolve) => silent.on('close', resolve).on('error', () => {}))
    await new Promise((resolve) => silent.on('connect', resolve))
    // The pooler has it when a client that came later is in.
    await login(t, pooler)
    await withDeadline(pooler.close({ timeoutMs: 50 }), 'the pooler to close')
    await withDeadline(closed, 'the silent connection to end')
  })

  await t.test('two in one process keep to themselves', async (t) => {
    const one = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const two = await start(t, { poolMode: 'session', poolSize: 1 })
    t.not(portOf(one), portOf(two))
    const holder = await login(t, one)
    await holder.query('BEGIN')
    const other = await login(t, two)
    t.same(await other.rows('SELECT 2'), [['2']], 'a pool that is full is not the other’s')
    t.equal(one.snapshot().clientCount, 1)
    t.equal(two.snapshot().pools[0]!.mode, 'session')
    await one.close({ timeoutMs: 0 })
    t.match(await holder.expectFatal(), { C: '57P01' })
    t.same(await other.rows('SELECT 3'), [['3']], 'the end of one is not the end of the other')
  })

  await t.test('a logger of the program’s own', async (t) => {
    const lines: string[] = []
    const take =
      (level: string) =>
      (text: string, fields?: object): void =>
        void lines.push(`${level} ${text} ${JSON.stringify(fields ?? {})}`)
    const logger = {
      enabled: () => true,
      debug: take('debug'),
      info: take('info'),
      warn: take('warn'),
      error: take('error'),
    }
    const pooler = await start(t, {}, { logger })
    const client = await login(t, pooler)
    await t.rejects(loginRaw(t, { host: '127.0.0.1', port: portOf(pooler) }, { password: 'wrong' }), { code: '28P01' })
    await client.end()
    await waitFor(() => lines.some((line) => /^info client disconnected .*"user":"postgres"/.test(line)))
    t.ok(lines.some((line) => /^info client connected /.test(line)))
    t.ok(lines.some((line) => /^warn client refused: password authentication failed/.test(line)))
  })

  await t.test('mistakes are errors that name the option', async (t) => {
    const mistakes: [PoolerOptions, RegExp][] = [
      [{ listenPort: 99999 }, /listenPort.*99999/],
      [{ poolMode: 'sessions' as 'session' }, /pool mode 'sessions'. Must be one of: session, transaction, statement/i],
      [{ serverConnectTimeout: 500 }, /serverConnectTimeout.*at least 1000/],
      [{ poolSyze: 3 } as PoolerOptions, /pool_?syze.*pool_?size/i],
      [{ authFile: '/nowhere/users.txt' }, /\/nowhere\/users\.txt/],
      [{ clientTlsMode: 'require' }, /key\/cert files are not configured/],
      [{ serverHost: '' }, /serverHost/],
    ]
    for (const [options, words] of mistakes) {
      await t.rejects(createPooler({ ...behind, ...options }, { logger: false }), { message: words })
    }
    const taken = await start(t)
    const again = createPooler({ ...behind, listenPort: portOf(taken) }, { logger: false })
    await t.rejects(again, { message: new RegExp(`${portOf(taken)}`) })
  })

  const runtime = pgbunRuntime()
  const skip = runtime.kind === 'binary' ? 'a compiled program is no library' : false
  await t.test('the example of the README', { skip }, async (t) => {
    const example = readFileSync(path.join(rootDir, 'README.md'), 'utf8').match(
      /```ts\n(import \{ createPooler \} from 'pgbun'\n[\s\S]*?)```/,
    )?.[1]
    if (!example) throw new Error('README.md has no example of createPooler')
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-library-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    const library = pathToFileURL(path.join(rootDir, 'dist', 'index.js')).href
    const driver = pathToFileURL(path.join(rootDir, 'node_modules', 'pg', 'lib', 'index.js')).href
    // In its middle, where a program would work, one client does.
    const program = example
      .replace("'pgbun'", JSON.stringify(library))
      .replace(/serverPort: \d+/, `serverPort: ${server.port}`)
      .replace("serverHost: 'localhost'", "serverHost: '127.0.0.1'")
      .replace(
        /^await pooler\.close\(\)/m,
        [
          `const { default: pg } = await import(${JSON.stringify(driver)})`,
          "const client = new pg.Client({ ...pooler.address, user: 'postgres', password: 'postgres', database: 'postgres' })",
          'await client.connect()',
          "console.log((await client.query('SELECT 40 + 2 AS answer')).rows[0])",
          'await client.end()',
          'await pooler.close()',
        ].join('\n'),
      )
    const file = path.join(dir, 'example.mjs')
    writeFileSync(file, program)
    const child = spawn(runtime.command, [file], { stdio: ['ignore', 'pipe', 'pipe'] })
    t.teardown(() => void child.kill('SIGKILL'))
    let output = ''
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => void (output += chunk))
    const code = await withDeadline(
      new Promise((resolve) => child.once('close', resolve)),
      'the program to end by itself',
    )
    t.equal(code, 0, output)
    t.match(output, /answer: 42/)
  })

  await t.test('a pool of pg over a pooler in the same process', async (t) => {
    const pooler = await start(t, { poolMode: 'transaction', poolSize: 2 })
    const pool = new pg.Pool({
      ...{ host: '127.0.0.1', port: portOf(pooler), user: 'postgres', password: 'postgres', database: 'postgres' },
      max: 20,
    })
    pool.on('error', () => {})
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, at) => pool.query('SELECT $1::int AS value', [at])),
    )
    t.same(
      answers.map(({ rows }) => rows[0].value),
      answers.map((_, at) => at),
    )
    t.ok(pooler.snapshot().servers.length <= 2)
    await pool.end()
  })
})

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
