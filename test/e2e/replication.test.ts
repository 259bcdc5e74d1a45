/**
 * Replication connections: one client, one walsender, nothing shared. Their commands, the stream in both directions, and
 * what becomes of one end when the other is gone. Protocol chapter "Streaming Replication Protocol".
 */
import t from 'tap'
import { frontend, type Message, message } from '../fixtures/messages.ts'
import { type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import {
  type Address,
  cancel,
  errorOf,
  LoginError,
  type LoginOptions,
  loginRaw,
  typesOf,
} from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const LOGICAL = { parameters: { replication: 'database' } }
const PHYSICAL = { database: 'replication', parameters: { replication: 'true' } }

type Client = Awaited<ReturnType<typeof loginRaw>>

const int64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

/** The standby's report that everything up to `position` is written, flushed and applied. */
function statusUpdate(position: bigint): Buffer {
  return message('d', 'r', int64(position), int64(position), int64(position), int64(0n), Buffer.from([0]))
}

/** Reads the stream, answering keepalives, until `done` says so of the text of what came. */
async function stream(client: Client, done: (text: string) => boolean): Promise<{ end: bigint; text: string }> {
  let end = 0n
  let text = ''
  while (!done(text)) {
    const { type, body } = await client.readMessage()
    if (type !== 'd') throw new Error(`${type} in the stream: ${body.toString('latin1')}`)
    if (body[0] === 0x6b) {
      end = body.readBigInt64BE(1)
      if (body[17] === 1) client.send(statusUpdate(end))
    } else {
      end = body.readBigInt64BE(9)
      text += body.toString('latin1', 25)
    }
  }
  return { end, text }
}

t.test('replication', async (t) => {
  const server = await startPostgres(t, {
    settings: { wal_level: 'logical', max_wal_senders: '4', max_replication_slots: '20' },
  })
  // Not as bootstrapSql: what single-user mode creates has the numbers of system objects, which are not published.
  await server.query('CREATE TABLE events (id int, note text)')
  await server.query('CREATE PUBLICATION everything FOR TABLE events')
  await server.query("CREATE ROLE plain LOGIN PASSWORD 'plain'")
  await server.query("CREATE ROLE replica LOGIN REPLICATION PASSWORD 'replica'")
  let slots = 0
  const start = (options: PgbunOptions = {}): ReturnType<typeof startPgbun> =>
    startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, ...options })
  const walsenders = async (): Promise<number> => {
    const sql = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'walsender'"
    return (await server.query(sql))[0].n
  }
  /** The error a login is refused with. */
  async function refusal(address: Address, options: LoginOptions): Promise<Record<string, string>> {
    const error: unknown = await loginRaw(t, address, options).catch((error: unknown) => error)
    if (!(error instanceof LoginError)) throw new Error('not refused', { cause: error })
    return error.fields
  }
  /** A client in the middle of a logical stream from now on. */
  async function streaming(
    address: Address,
    options: LoginOptions = LOGICAL,
  ): Promise<{ client: Client; slot: string }> {
    const client = await loginRaw(t, address, options)
    const slot = `slot${++slots}`
    await client.rows(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY LOGICAL pgoutput`)
    client.send(
      frontend.query(`START_REPLICATION SLOT ${slot} LOGICAL 0/0 (proto_version '1', publication_names 'everything')`),
    )
    t.equal(typesOf(await client.readUntil('W')), 'W')
    return { client, slot }
  }
  const active = async (slot: string): Promise<boolean> =>
    (await server.query('SELECT 1 FROM pg_replication_slots WHERE slot_name = $1', [slot])).length === 1

  t.afterEach(async () => {
    await waitFor(async () => (await walsenders()) === 0, { what: 'all walsenders to be gone' })
  })

  await t.test('a physical one: its commands, the greeting of the server itself', async (t) => {
    const pgbun = await start()
    const direct = await loginRaw(t, server, PHYSICAL)
    const client = await loginRaw(t, pgbun, PHYSICAL)
    t.same(client.session.parameters, direct.session.parameters)
    t.not(client.session.pid, 0)
    const [own] = await client.rows('IDENTIFY_SYSTEM')
    const [expected] = await direct.rows('IDENTIFY_SYSTEM')
    t.equal(own?.[0], expected?.[0])
    t.equal(own?.[3], null, 'it belongs to no database')
    t.same(await client.rows('SHOW wal_level'), [['logical']])
    t.match(errorOf(await client.query('TIMELINE_HISTORY 77')), { C: '58P01' })
    await client.rows('CREATE_REPLICATION_SLOT standing TEMPORARY PHYSICAL RESERVE_WAL')
    const major = Number.parseInt(client.session.parameters.server_version ?? '', 10)
    if (major >= 15) t.match(await client.rows('READ_REPLICATION_SLOT standing'), [['physical', /\//, '1']])
    t.match(errorOf(await client.query('SELECT 1')), { C: '0A000' }, 'in the words of the server')
    const position = String(own?.[2])
    client.send(frontend.query(`START_REPLICATION PHYSICAL ${position}`))
    await client.readUntil('W')
    await server.query("INSERT INTO events VALUES (0, 'the physical stream')")
    const { end } = await stream(client, (text) => text.includes('the physical stream'))
    client.send(statusUpdate(end), frontend.copyDone())
    t.match(typesOf(await client.readUntil('Z')), /^[cd]*c[cd]*C+Z$/)
    t.equal((await client.rows('IDENTIFY_SYSTEM')).length, 1, 'and goes on with commands')
    const backup = major >= 15 ? "BASE_BACKUP (LABEL 'x', CHECKPOINT 'fast', WAL false)" : "BASE_BACKUP LABEL 'x' FAST"
    t.equal(
      typesOf(await client.query(backup)).replace(/(d|D|N)+/g, '$1'),
      typesOf(await direct.query(backup)).replace(/(d|D|N)+/g, '$1'),
    )
    await client.end()
    await direct.end()
  })

  await t.test('a logical one: changes of the pool’s clients arrive, status updates flow upstream', async (t) => {
    const pgbun = await start()
    const writer = await loginRaw(t, pgbun)
    const { client, slot } = await streaming(pgbun)
    for (let id = 1; id <= 50; id++) {
      await writer.query(`INSERT INTO events VALUES (${id}, 'note ${id}.')`)
    }
    const { end, text } = await stream(client, (text) => text.includes('note 50.'))
    for (let id = 1; id <= 50; id++) t.ok(text.includes(`note ${id}.`), `note ${id}`)
    client.send(statusUpdate(end))
    await waitFor(
      async () => {
        const sql = 'SELECT confirmed_flush_lsn = $2 AS there FROM pg_replication_slots WHERE slot_name = $1'
        const lsn = `${(end >> 32n).toString(16)}/${(end & 0xffffffffn).toString(16)}`
        return (await server.query(sql, [slot, lsn]))[0].there
      },
      { what: 'the status update to arrive' },
    )
    client.send(frontend.copyDone())
    t.match(typesOf(await client.readUntil('Z')), /^[cd]*c[cd]*C+Z$/)
    t.same(await client.rows('SELECT count(*) FROM events WHERE id > 0'), [['50']], 'SQL works afterwards')
    await client.rows("SET application_name = 'mine'")
    t.same(await client.rows('SHOW application_name'), [['mine']], 'all its life on one connection')
    client.send(frontend.parse('SELECT 1'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '08P01' }, 'the extended protocol is refused by the server')
    t.same(await client.rows('SELECT 1'), [['1']])
    await client.end()
    t.same(await writer.rows('SELECT 1'), [['1']])
    await writer.query('TRUNCATE events')
  })

  await t.test('its startup parameters are the server’s to judge, and stay its own', async (t) => {
    const pgbun = await start()
    const parameters = { replication: 'database', application_name: 'my standby', options: '-c work_mem=4321kB' }
    const client = await loginRaw(t, pgbun, { parameters })
    t.equal(client.session.parameters.application_name, 'my standby')
    t.same(await client.rows('SHOW work_mem'), [['4321kB']])
    await client.rows('SET work_mem = 77')
    await client.rows('RESET ALL')
    t.same(await client.rows('SHOW work_mem'), [['4321kB']])
    const [[pid] = []] = await client.rows('SELECT pg_backend_pid()')
    const sql = 'SELECT application_name, backend_type FROM pg_stat_activity WHERE pid = $1'
    t.match(await server.query(sql, [pid]), [{ application_name: 'my standby', backend_type: 'walsender' }])
    t.same((await (await pgbun.connect()).query('SHOW work_mem')).rows, [{ work_mem: '4MB' }])
    const wrong = { parameters: { replication: 'database', work_mem: 'much' } }
    await t.rejects(loginRaw(t, pgbun, wrong), { code: '22023', fields: { M: /work_mem/ } })
    const odd = { parameters: { replication: 'maybe' } }
    const { S, C, M, H } = await refusal(server, odd)
    t.equal(C, '22023')
    t.match(await refusal(pgbun, odd), { S, C, M, H }, 'the same error')
    await client.end()
  })

  await t.test('refusals come in the words of the server', async (t) => {
    const pgbun = await start()
    for (const options of [LOGICAL, PHYSICAL]) {
      const plain = { ...options, user: 'plain', password: 'plain' }
      const { S, C, M, D } = await refusal(server, plain)
      t.equal(C, '42501')
      t.match(await refusal(pgbun, plain), { S, C, M, D })
      await t.rejects(loginRaw(t, pgbun, { ...options, password: 'wrong' }), { code: '28P01' })
    }
    // Those that were refused hold their places until their processes have gone.
    const many = await Promise.all([1, 2, 3, 4].map(() => waitFor(() => loginRaw(t, pgbun, LOGICAL))))
    const { C, M } = await refusal(server, LOGICAL)
    t.equal(C, '53300')
    t.match(await refusal(pgbun, LOGICAL), { S: 'FATAL', C, M }, 'max_wal_senders')
    for (const client of many) await client.end()
  })

  await t.test('a role without a database of its own, and passwords of auth_file', async (t) => {
    const replica = { user: 'replica', password: 'replica', parameters: { replication: 'on' } }
    const pgbun = await start()
    const client = await loginRaw(t, pgbun, { ...replica, database: '' })
    t.equal((await client.rows('IDENTIFY_SYSTEM')).length, 1)
    await client.end()
    await t.rejects(loginRaw(t, pgbun, { ...replica, password: 'other' }), { code: '28P01' })
    const scram = await start({
      args: ['--auth-type', 'scram-sha-256', '--auth-file', `${t.testdir({ users: '"replica" "replica"\n' })}/users`],
    })
    const second = await loginRaw(t, scram, { ...replica, database: 'replication' })
    t.equal((await second.rows('IDENTIFY_SYSTEM')).length, 1)
    await second.end()
    await t.rejects(loginRaw(t, scram, { ...replica, password: 'other' }), { code: '28P01' })
    t.notMatch(scram.logs(), /server connection failed/, 'no ordinary connection was tried for it')
  })

  await t.test('the client is killed in the middle of the stream, or of a query', async (t) => {
    const pgbun = await start()
    const { client, slot } = await streaming(pgbun)
    t.ok(await active(slot))
    client.destroy()
    await waitFor(async () => !(await active(slot)), { what: 'the walsender to be gone, and its temporary slot' })
    const sleeper = await loginRaw(t, pgbun, LOGICAL)
    sleeper.send(frontend.query('SELECT pg_sleep(600)'))
    await waitFor(
      async () => (await server.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")).length === 1,
    )
    sleeper.destroy()
    await waitFor(async () => (await walsenders()) === 0, { what: 'its query to be canceled' })
    const halfway = (await streaming(pgbun)).client
    halfway.send(statusUpdate(0n).subarray(0, 12))
    halfway.socket.end()
    await waitFor(async () => (await walsenders()) === 0, { what: 'the walsender to be gone after half a message' })
  })

  await t.test('a cancel request with pgbun’s key', async (t) => {
    const pgbun = await start()
    const { client } = await streaming(pgbun)
    await cancel(t, pgbun, client.session.pid, client.session.secret)
    const messages: Message[] = await client.readUntil('Z')
    t.match(errorOf(messages), { C: '57014' })
    t.same(await client.rows('SELECT 1'), [['1']])
    await client.end()
  })

  await t.test('timeouts for queries do not apply; client_idle_timeout does between two commands', async (t) => {
    const timeouts = {
      query_timeout: 100,
      transaction_timeout: 100,
      client_idle_timeout: 300,
      client_stall_timeout: 100,
    }
    const pgbun = await start({ config: { timeouts } })
    const { client } = await streaming(pgbun)
    const other = await loginRaw(t, pgbun)
    other.send(frontend.query('SELECT pg_sleep(600)'))
    t.match(await other.expectFatal(), { M: /query_timeout|transaction timeout/ })
    const idle = await loginRaw(t, pgbun, LOGICAL)
    t.match(await idle.expectFatal(), { M: 'client_idle_timeout' })
    await server.query("INSERT INTO events VALUES (1, 'still there')")
    const { end } = await stream(client, (text) => text.includes('still there'))
    client.send(statusUpdate(end), frontend.copyDone())
    await client.readUntil('Z')
    await client.end()
  })

  await t.test('pgbun shuts down: a stream is told at once, and does not hold it up', async (t) => {
    const pgbun = await start({ config: { timeouts: { shutdown_timeout: 600_000 } } })
    const { client } = await streaming(pgbun)
    const stopped = pgbun.stop()
    t.match(await client.expectFatal(), { S: 'FATAL', C: '57P01' })
    t.match(await stopped, { code: 0 })
  })

  await t.test('the server ends', async (t) => {
    const pgbun = await start()
    const { client } = await streaming(pgbun)
    const [{ pid }] = await server.query("SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'")
    await server.query('SELECT pg_terminate_backend($1)', [pid])
    t.match(await client.expectFatal(), { C: '57P01', R: 'ProcessInterrupts' }, 'its own words')
    const polite = (await streaming(pgbun)).client
    const down = server.shutdown('fast')
    let error: Record<string, string> = {}
    // The server waits until all that it has written is confirmed, and ends the stream without an error. A status update
    // that comes too late makes the kernel reset the connection, which can take the stream's last words along.
    for (let type = ''; type !== 'C'; ) {
      const next = await polite.readMessage().catch(() => undefined)
      if (next === undefined) break
      type = next.type
      if (type === 'E') error = errorOf([next])
      if (type === 'd') polite.send(statusUpdate(next.body.readBigInt64BE(next.body[0] === 0x6b ? 1 : 9)))
    }
    // A direct connection would be reset instead.
    t.ok(error.C === undefined || error.C === '08006', `no error of PostgreSQL's: ${error.M}`)
    await waitFor(() => polite.closed, { what: 'the end of the connection' })
    await down
    await server.start()
    const lost = (await streaming(pgbun)).client
    await server.kill9()
    t.match(await lost.expectFatal(), { S: 'FATAL', C: '08006', D: /streaming replication data/ })
    await server.start()
    await waitFor(() => loginRaw(t, pgbun, PHYSICAL).then((client) => client.end().then(() => true)))
  })
})
