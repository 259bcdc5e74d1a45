/**
 * The console as its users have it: by psql's protocol and by drivers', in front of a real PostgreSQL; what it counts is
 * compared with what clients did and what pg_stat_activity sees; what it is told to do happens to living pools.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import t, { type Test } from 'tap'
import { createPooler, type Pooler, type PoolerOptions } from '../../lib/index.ts'
import { cstring, frontend, int16, int32, message } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { rootDir, startPostgres } from '../fixtures/postgres.ts'
import { connectRaw, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('console', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      "CREATE ROLE app LOGIN PASSWORD 'app'",
      "CREATE ROLE eye LOGIN PASSWORD 'eye'",
      'CREATE DATABASE shop',
    ],
  })
  const BOSS = { user: 'postgres', password: server.password, database: 'pgbouncer' }

  interface Lab {
    pooler: Pooler
    login(database?: string, user?: string): Promise<RawClient>
    console: RawClient
  }

  async function start(t: Test, options: PoolerOptions = {}): Promise<Lab> {
    const pooler = await createPooler(
      {
        listenPort: 0,
        listenHost: ['127.0.0.1'],
        serverHost: server.host,
        serverPort: server.port,
        poolMode: 'transaction',
        adminUsers: ['postgres'],
        statsUsers: ['eye'],
        ...options,
      },
      { logger: false },
    )
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    const { port } = pooler.address as { port: number }
    const login = (database = 'shop', user = 'app'): Promise<RawClient> => {
      const password = user === 'postgres' ? server.password : user
      return loginRaw(t, { host: '127.0.0.1', port }, { user, password, database })
    }
    return { pooler, login, console: await login('pgbouncer', 'postgres') }
  }

  /** What the console shows, by column. */
  async function shown(client: RawClient, sql: string): Promise<Record<string, string | null>[]> {
    const messages = await client.query(sql)
    const columns = messages.find(({ type }) => type === 'T')
    if (columns === undefined) throw new Error(errorOf(messages).M)
    const names = namesOf(columns.body)
    return rowsOf(messages).map((row) => Object.fromEntries(row.map((value, i) => [names[i]!, value])))
  }
  const one = async (client: RawClient, sql: string): Promise<Record<string, string | null>> =>
    (await shown(client, sql))[0]!
  const backends = async (database = 'shop'): Promise<number> => {
    const [row] = await server.query('SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = $1', [database])
    return row.n
  }

  await t.test('who may use it', async (t) => {
    const { login, console } = await start(t)
    await t.rejects(login('pgbouncer', 'app'), { code: '42501', message: /user "app" may not use the console/ })
    const eye = await login('pgbun', 'eye')
    t.equal((await shown(eye, 'SHOW POOLS')).length > 0, true)
    for (const sql of [
      'PAUSE',
      'RELOAD',
      'KILL',
      'SHUTDOWN',
      'SET pool_size = 1',
      'KILL_CLIENT 1',
      'SHOW FDS',
      'SHOW PREPARED',
    ])
      t.match(errorOf(await eye.query(sql)), { C: '08P01', M: 'admin access needed' }, sql)
    t.match(errorOf(await console.query('RELOAD')), { C: '0A000' }, 'its program reloads it')
  })

  await t.test('nobody, unless somebody is named', async (t) => {
    const pooler = await createPooler(
      { listenPort: 0, listenHost: ['127.0.0.1'], serverHost: server.host, serverPort: server.port },
      { logger: false },
    )
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    const { port } = pooler.address as { port: number }
    await t.rejects(loginRaw(t, { host: '127.0.0.1', port }, BOSS), { code: '42501' })
    await t.rejects(loginRaw(t, { host: '127.0.0.1', port }, { ...BOSS, password: 'wrong' }), { code: '28P01' })
  })

  await t.test('the account that runs pgbun, where no other can open the socket', async (t) => {
    const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-console-'))
    t.teardown(() => rmSync(dir, { recursive: true, force: true }))
    for (const mode of ['0700', '0777']) {
      const { pooler } = await start(t, { unixSocketDir: dir, unixSocketMode: mode, adminUsers: ['postgres'] })
      const socket = pooler.addresses.find((address) => typeof address === 'string')!
      const client = await connectRaw(t, { path: socket })
      const login = client.login({ user: 'pgbun', database: 'pgbun' })
      if (mode === '0700') {
        await login
        t.same(await client.rows("SHOW STATE (value) WHERE key = 'active'"), [['yes']])
      } else await t.rejects(login, { code: '28P01' })
      await pooler.close({ timeoutMs: 0 })
    }
  })

  await t.test('the extended protocol, text and binary', async (t) => {
    const { pooler, login, console } = await start(t)
    await (await login()).rows('SELECT 1')
    const client = new pg.Client({ ...BOSS, ...(pooler.address as { host: string; port: number }) })
    await client.connect()
    const { rows } = await client.query('SHOW CLIENTS (id, user, database) WHERE database = $1 AND id > $2 LIMIT $3', [
      'shop',
      0,
      5,
    ])
    t.match(rows, [{ id: Number, user: 'app', database: 'shop' }])
    t.same(
      (await client.query({ name: 'again', text: 'SELECT count(*) FROM clients WHERE user = $1', values: ['app'] }))
        .rows,
      [{ count: '1' }],
    )
    t.same(
      (await client.query({ name: 'again', text: 'SELECT count(*) FROM clients WHERE user = $1', values: ['eve'] }))
        .rows,
      [{ count: '0' }],
    )
    await t.rejects(client.query('SHOW CLIENTS WHERE id = $1', ['x']), { code: '22023' })
    const [, examples] = /```sql\n([\s\S]*?)```/.exec(readFileSync(path.join(rootDir, 'CONSOLE.md'), 'utf8'))!
    for (const text of examples!.split(';\n').filter((text) => text !== '')) {
      t.ok((await client.query(text, text.includes('$1') ? ['app'] : [])).fields.length > 0, text)
    }
    await client.query('BEGIN')
    await client.query('ROLLBACK')
    await client.end()

    // As drivers do that know the types: the parameter and the result in binary formats.
    console.send(
      frontend.parse('SELECT id, database, port FROM clients WHERE id >= $1 ORDER BY id LIMIT 1', 's', [23]),
      frontend.describe('S', 's'),
      message('B', cstring(''), cstring('s'), int16(1), int16(1), int16(1), int32(4), int32(1), int16(1), int16(1)),
      frontend.describe('P'),
      frontend.execute(),
      frontend.sync(),
    )
    const binary = await console.readUntil('Z')
    t.equal(typesOf(binary), '1tT2TDCZ')
    const row = binary.find(({ type }) => type === 'D')!.body
    t.equal(row.readInt32BE(2), 4, 'four bytes')
    t.ok(row.readInt32BE(6) >= 1)
    console.send(
      frontend.parse('SHOW STATS (total_query_count)'),
      frontend.bind([], '', '', 1),
      frontend.execute(),
      frontend.sync(),
    )
    t.match(typesOf(await console.readUntil('Z')), /^12D+CZ$/)

    // Portals in parts, closing, errors up to the Sync.
    console.send(
      frontend.parse('SHOW LISTS'),
      frontend.bind(),
      frontend.execute(10),
      frontend.execute(10),
      frontend.sync(),
    )
    t.match(typesOf(await console.readUntil('Z')), /^12D{10}sD{4}CZ$/)
    console.send(
      frontend.parse('nonsense'),
      frontend.bind(),
      frontend.execute(),
      frontend.sync(),
      frontend.query('SHOW VERSION'),
    )
    t.equal(typesOf(await console.readUntil('Z')), 'EZ')
    t.equal(typesOf(await console.readUntil('Z')), 'TDCZ')
    console.send(frontend.parse(''), frontend.bind(), frontend.execute(), frontend.close('S', ''), frontend.sync())
    t.equal(typesOf(await console.readUntil('Z')), '12I3Z')
    t.equal(typesOf(await console.query('')), 'IZ')
    t.equal(typesOf(await console.query('SHOW STATE; SHOW VERSION')), 'TDDDCTDCZ')
  })

  await t.test('hostile input: an error each, and the console stays', async (t) => {
    const { console } = await start(t)
    for (const [sql, code] of [
      ['x'.repeat(100_000), '08P01'],
      ['x'.repeat(1_000_000), '54000'],
      [`SHOW CLIENTS WHERE ${'('.repeat(50_000)}`, '42601'],
      [`SHOW CLIENTS WHERE user LIKE '${'%a'.repeat(50_000)}'`, '22023'],
      ["SHOW CLIENTS WHERE user = 'x", '42601'],
      ['SHOW POOLS /*', '42601'],
      ['\u0001\u0002', '08P01'],
      ['PAUSE "no" "such"', '08P01'],
    ] as const) {
      t.equal(errorOf(await console.query(sql)).C, code, sql.slice(0, 30))
    }
    console.send(frontend.functionCall(1, []))
    t.match(errorOf(await console.readUntil('Z')), { C: '0A000' })
    console.send(
      frontend.parse(
        'SHOW CLIENTS WHERE id = $1',
        's',
        Array.from({ length: 20_000 }, () => 0),
      ),
      frontend.sync(),
    )
    t.equal(typesOf(await console.readUntil('Z')), '1Z')
    console.send(frontend.bind([], 's'), frontend.sync())
    t.match(await console.expectFatal(), { C: '08P01' }, 'a Bind without the parameters breaks the protocol')
  })

  await t.test('its counts are those of clients and of PostgreSQL', async (t) => {
    const { login, console } = await start(t, { poolSize: 5, targetSessionAttrs: 'primary' })
    const clients = await Promise.all(Array.from({ length: 6 }, () => login()))
    const before = await one(console, "SHOW STATS WHERE database = 'shop'")
    for (const client of clients.slice(0, 3)) await client.query('BEGIN')
    for (let i = 0; i < 10; i++) await clients[3]!.rows('SELECT 1')
    clients[4]!.send(
      frontend.parse('SELECT $1::int', 'p'),
      frontend.bind(['1'], 'p'),
      frontend.execute(),
      frontend.sync(),
    )
    await clients[4]!.readUntil('Z')
    await clients[5]!.rows('SELECT pg_sleep(0.05)')
    const after = await one(console, "SHOW STATS WHERE database = 'shop'")
    const grown = (name: string): number => Number(after[name]) - Number(before[name])
    t.equal(grown('total_query_count'), 3 + 10 + 1 + 1)
    t.equal(grown('total_xact_count'), 10 + 1 + 1)
    t.ok(grown('total_query_time') >= 50_000 && grown('total_xact_time') >= 50_000, 'microseconds')
    t.equal(grown('total_client_parse_count'), 1)
    t.equal(grown('total_server_parse_count'), 1)
    t.equal(grown('total_bind_count'), 1)
    t.ok(grown('total_received') > 0 && grown('total_sent') > 0)
    const pool = await one(console, "SHOW POOLS WHERE database = 'shop'")
    t.match(pool, { user: 'app', cl_active: '6', cl_waiting: '0', sv_active: '3', pool_mode: 'transaction' })
    const servers = await shown(console, "SHOW SERVERS WHERE database = 'shop'")
    t.equal(servers.length, await backends())
    const [{ pids }] = await server.query(
      "SELECT array_agg(pid ORDER BY pid)::text AS pids FROM pg_stat_activity WHERE datname = 'shop'",
    )
    t.equal(`{${servers.map(({ remote_pid }) => Number(remote_pid)).sort((a, b) => a - b)}}`, pids)
    t.match(await one(console, "SHOW DATABASES WHERE name = 'shop'"), {
      port: String(server.port),
      current_connections: String(await backends()),
      current_client_connections: '6',
    })
    t.match(await one(console, "SHOW USERS WHERE name = 'app'"), { current_client_connections: '6' })
    t.match(await one(console, "SELECT activity, link FROM clients WHERE activity = 'idle in transaction' LIMIT 1"), {
      link: /^s\d+$/,
    })
    // A server may be asked what functions its database has.
    await waitFor(async () => (await one(console, "SHOW LISTS WHERE list = 'used_servers'")).items === '3')
    t.match(await one(console, 'SHOW HOSTS'), { port: String(server.port), state: 'up', role: 'primary' })
    await clients[3]!.query('SELECT 1/0')
    t.match(await one(console, "SHOW ERRORS WHERE sqlstate = '22012'"), { source: 'PostgreSQL', count: '1' })
    t.match(await one(console, "SELECT query, users FROM prepared WHERE database = 'shop'"), {
      query: 'SELECT $1::int',
      users: '1',
    })
  })

  await t.test('who waits for what, and who keeps a server', async (t) => {
    const { login, console } = await start(t, { poolSize: 1 })
    const [holder, waiter] = [await login(), await login()]
    await holder.query('BEGIN; CREATE TEMP TABLE keep (x int); COMMIT')
    // PostgreSQL is asked behind the answer.
    const [pin] = await waitFor(async () => {
      const pins = await shown(console, 'SHOW PINS')
      return pins.length > 0 && pins
    })
    t.match(pin, { database: 'shop', reason: /temporary/ })
    waiter.send(frontend.query('SELECT 1'))
    const queue = await waitFor(async () => {
      const rows = await shown(console, 'SHOW QUEUE')
      return rows.length === 2 && rows
    })
    t.match(queue, [
      { role: 'waits', what: 'one of 1 servers (pool_size)' },
      { role: 'holds', what: /^keeps it: temporary/ },
    ])
    t.match(await one(console, "SHOW CLIENTS WHERE state = 'waiting'"), { wait: /^\d+$/, user: 'app' })
    await holder.query('DROP TABLE keep')
    t.same(rowsOf(await waiter.readUntil('Z')), [['1']])
  })

  await t.test('works when max_client_conn is reached', async (t) => {
    const { pooler, login, console } = await start(t, { maxClientConn: 1, passthroughTtl: '1h' })
    await login()
    await t.rejects(login(), { code: '53300' })
    t.equal((await shown(await login('pgbouncer', 'postgres'), "SHOW CLIENTS WHERE database = 'shop'")).length, 1)
    t.equal((await shown(console, "SHOW CLIENTS WHERE database = 'pgbouncer'")).length, 2)
    // Strangers that stop in front of their password keep no operator out.
    const { host, port } = pooler.address as { host: string; port: number }
    for (let i = 0; i < 120; i++) {
      const stranger = await connectRaw(t, { host, port })
      stranger.send(frontend.startup({ user: 'stranger', database: 'pgbouncer' }))
      await stranger.readMessage()
    }
    t.equal((await shown(await login('pgbouncer', 'postgres'), 'SHOW STATE')).length, 3)
  })

  await t.test('PAUSE and RESUME', async (t) => {
    const { login, console } = await start(t)
    const [busy, idle, other] = [await login(), await login(), await login('postgres', 'postgres')]
    await busy.query('BEGIN')
    await other.query('SELECT 1')
    console.send(frontend.query('PAUSE shop'))
    idle.send(frontend.query('SELECT 2'))
    const eye = await login('pgbouncer', 'eye')
    await waitFor(async () => (await one(eye, "SHOW DATABASES WHERE name = 'shop'")).paused === '1')
    t.same(await busy.rows('SELECT 1'), [['1']], 'a transaction may go on')
    t.same(await other.rows('SELECT 3'), [['3']], 'others are served')
    await busy.query('COMMIT')
    t.equal(typesOf(await console.readUntil('Z')), 'CZ', 'it is done when it is done')
    t.equal(await backends(), 0)
    t.match(await one(console, "SHOW POOLS WHERE database = 'shop'"), { cl_waiting: '1', sv_active: '0', sv_idle: '0' })
    t.match(errorOf(await console.query('RESUME none')), { M: 'database none is not paused' })
    busy.send(frontend.query('SELECT 4'))
    const late = login()
    await waitFor(async () => (await one(eye, "SHOW POOLS WHERE database = 'shop'")).cl_waiting !== '1')
    t.equal(typesOf(await console.query('RESUME shop')), 'CZ')
    t.same(rowsOf(await idle.readUntil('Z')), [['2']])
    t.same(rowsOf(await busy.readUntil('Z')), [['4']])
    t.same(await (await late).rows('SELECT 5'), [['5']])
    // A database that was paused by its name stays so.
    for (const sql of ['PAUSE postgres', 'PAUSE', 'RESUME']) t.equal(typesOf(await console.query(sql)), 'CZ')
    t.match(await one(console, "SHOW DATABASES WHERE name = 'postgres'"), { paused: '1' })
    t.equal(typesOf(await console.query('RESUME postgres')), 'CZ')
    for (let i = 0; i < 5; i++) {
      t.equal(typesOf(await console.query('PAUSE')), 'CZ')
      t.match(errorOf(await console.query('PAUSE')), { M: 'already suspended/paused' })
      t.equal((await one(console, "SHOW STATE WHERE key = 'paused'")).value, 'yes')
      t.equal(typesOf(await console.query('RESUME')), 'CZ')
      t.same(await busy.rows('SELECT 6'), [['6']])
    }
  })

  await t.test('a PAUSE that waits ends when its admin leaves, or cancels it', async (t) => {
    const { pooler, login } = await start(t)
    const busy = await login()
    await busy.query('BEGIN')
    for (const way of ['leaves', 'cancels']) {
      const admin = await connectRaw(t, pooler.address as { host: string; port: number })
      const { pid, secret } = await admin.login(BOSS)
      admin.send(frontend.query('PAUSE shop'))
      const paused = (): boolean => pooler.snapshot().databases.some(({ name, paused }) => name === 'shop' && paused)
      await waitFor(paused)
      if (way === 'leaves') admin.destroy()
      else {
        const canceller = await connectRaw(t, pooler.address as { host: string; port: number })
        canceller.send(frontend.cancelRequest(pid, secret))
        t.match(errorOf(await admin.readUntil('Z')), { C: '57014' })
      }
      await waitFor(() => !paused())
    }
    t.same(await (await login()).rows('SELECT 1'), [['1']])
  })

  await t.test('SUSPEND and RESUME', async (t) => {
    const { login, console } = await start(t)
    const client = await login()
    await client.query('BEGIN')
    t.equal(typesOf(await console.query('SUSPEND')), 'CZ')
    t.equal((await one(console, "SHOW STATE WHERE key = 'suspended'")).value, 'yes')
    client.send(frontend.query('SELECT 1'))
    const received = (await one(console, "SHOW STATS WHERE database = 'shop'")).total_received
    t.equal((await one(console, "SHOW STATS WHERE database = 'shop'")).total_received, received, 'nothing is read')
    t.equal(typesOf(await console.query('RESUME')), 'CZ')
    t.same(rowsOf(await client.readUntil('Z')), [['1']])
  })

  await t.test('SUSPEND waits for clients that do not read no longer than suspend_timeout', async (t) => {
    const { pooler, login, console } = await start(t, { suspendTimeout: '300ms' })
    const [reader, idle] = [await login(), await login()]
    reader.pause()
    reader.send(frontend.query("SELECT repeat('x', 100000) FROM generate_series(1, 500)"))
    // What the kernel takes is not waiting: only when nothing moves any more is something left in the process.
    let sent = -1
    await waitFor(() => {
      const before = sent
      sent = pooler.snapshot().pools.reduce((sum, { counters }) => sum + counters.sent, 0)
      return sent > 1e6 && sent === before
    })
    t.equal(typesOf(await console.query('SUSPEND')), 'CZ')
    t.equal(typesOf(await console.query('RESUME')), 'CZ')
    t.same(await idle.rows('SELECT 1'), [['1']], 'who has read all there was stays')
    reader.resume()
    await waitFor(() => reader.closed)
    t.match(await one(console, "SHOW ERRORS WHERE reason = 'suspend_timeout'"), { sqlstate: '57014', count: '1' })
  })

  await t.test('DISABLE, ENABLE, RECONNECT, WAIT_CLOSE, KILL, KILL_CLIENT', async (t) => {
    const { login, console } = await start(t)
    const client = await login()
    await console.query('DISABLE shop')
    await t.rejects(login(), { code: '57P03', message: /database "shop" is disabled/ })
    t.same(await client.rows('SELECT 1'), [['1']], 'who is in stays')
    t.match(await one(console, "SHOW DATABASES WHERE name = 'shop'"), { disabled: '1' })
    await console.query('ENABLE shop')
    const busy = await login()
    await busy.query('BEGIN')
    const pid = async (who: RawClient): Promise<string> => (await who.rows('SELECT pg_backend_pid()'))[0]![0]!
    const [held, free] = [await pid(busy), await pid(client)]
    await console.query('RECONNECT shop')
    t.not(await pid(client), free)
    t.equal(await pid(busy), held, 'not in a transaction')
    t.match(await one(console, "SHOW SERVERS WHERE state = 'active'"), { close_needed: '1' })
    console.send(frontend.query('WAIT_CLOSE shop'))
    await busy.query('COMMIT')
    t.equal(typesOf(await console.readUntil('Z')), 'CZ')
    t.not(await pid(busy), held)

    const { id } = await one(console, "SHOW CLIENTS WHERE user = 'app' ORDER BY id LIMIT 1")
    t.equal(typesOf(await console.query(`KILL_CLIENT ${id}`)), 'CZ')
    t.match(await client.expectFatal(), { C: '57P01', M: 'admin forced disconnect' })
    busy.send(frontend.query('SELECT pg_sleep(600)'))
    await waitFor(
      async () => (await one(console, "SELECT count(*) FROM clients WHERE activity = 'running'")).count === '1',
    )
    t.equal(typesOf(await console.query('KILL shop')), 'CZ')
    t.match(await busy.expectFatal(), { M: 'admin forced disconnect' })
    await waitFor(async () => (await backends()) === 0)
    t.match(await one(console, "SHOW DATABASES WHERE name = 'shop'"), { paused: '1' })
    await console.query('RESUME shop')
    t.same(await (await login()).rows('SELECT 1'), [['1']])
  })

  await t.test('as a program: RELOAD, SET, SHUTDOWN', async (t) => {
    const pgbun = await startPgbun(t, {
      target: server,
      args: ['--admin-users', 'postgres'],
      config: '[pool]\npool_size = 4\n',
    })
    const console = await loginRaw(t, pgbun, BOSS)
    const size = async (): Promise<string | null> =>
      (await one(console, "SHOW CONFIG WHERE key = 'default_pool_size'")).value!
    t.equal(await size(), '4')
    t.equal(typesOf(await console.query('SET pool_size = 6')), 'CZ')
    t.equal(typesOf(await console.query("SET query_timeout TO '5s'")), 'CZ')
    t.equal(await size(), '6')
    t.match(errorOf(await console.query('SET listen_port = 5')), { M: 'SET failed', D: /listen_port: Cannot change/ })
    t.match(errorOf(await console.query('SET pool_siz = 5')), { M: 'SET failed', D: /Did you mean pool_size/ })
    t.match(errorOf(await console.query('SET pool_size = many')), { M: 'SET failed', D: /Must be between/ })
    t.equal(await size(), '6')
    t.equal(typesOf(await console.query('RELOAD')), 'CZ')
    t.equal(await size(), '4', 'the file counts again')
    console.send(frontend.query('SHUTDOWN WAIT_FOR_SERVERS'))
    t.match(await pgbun.exit, { code: 0 })
  })
})

/** The names of a RowDescription. */
function namesOf(body: Buffer): string[] {
  const names: string[] = []
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at)
    names.push(body.toString('utf8', at, end))
    at = end + 19
  }
  return names
}
