/** Replication connections against a scripted walsender: what it is told at login, COPY BOTH under pressure, the ends. */
import t from 'tap'
import { backend, frontend, message } from '../fixtures/messages.ts'
import { type RawClient, typesOf } from '../fixtures/raw-client.ts'
import { answerQueries, type Script, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { type Lab, type LabOptions, received, sqlOf, startLab } from './lab.ts'

const PHYSICAL = { user: 'u', replication: 'true' }
const data = message('d', 'w', 'x'.repeat(64 * 1024))
const copyBoth = message('W', Buffer.alloc(3))
const status = message('d', 'r', Buffer.alloc(33))

/** A walsender that streams what the test sends in its place. */
const walsender: Script = {
  onMessage(connection, message) {
    if (message.type === 'd' || message.type === 'c') return
    if (message.type === 'Q' && sqlOf(message).startsWith('START')) {
      connection.send(copyBoth)
    } else answerQueries(connection, message)
  },
}

async function streaming(lab: Lab): Promise<{ client: RawClient; server: ScriptedConnection }> {
  const client = await lab.client({ parameters: { replication: 'database' } })
  client.send(frontend.query('START_REPLICATION'))
  await client.readUntil('W')
  return { client, server: lab.server.connections.at(-1)! }
}

const start = (t: Parameters<typeof startLab>[0], options: LabOptions = {}): Promise<Lab> =>
  startLab(t, { poolSize: 1, script: walsender, ...options })

t.test('the server gets the startup packet as the client wrote it', async (t) => {
  const lab = await start(t)
  const client = await lab.connect()
  const own = { 'Strange-Name': 'x', options: '-d 5 -c a=b', application_name: 'standby', '_pq_.odd': '1' }
  client.send(frontend.startup({ ...PHYSICAL, replication: 'yEs', ...own }))
  t.equal(typesOf(await client.readUntil('Z')).replace(/S+/, 'S'), 'vRSKZ')
  const [server] = lab.server.connections
  const { '_pq_.odd': _, ...passed } = own
  t.strictSame({ ...server!.parameters }, { user: 'u', replication: 'yEs', ...passed }, 'no database is made up')
  t.match(lab.pooler.snapshot(), {
    clients: [{ replication: 'physical', state: 'active', applicationName: 'standby', server: Number }],
    servers: [{ replication: 'physical', state: 'active', pid: server!.pid }],
    pools: [{ clients: 0, replication: 1, servers: { active: 0 }, counters: { opened: 1, logins: 1 } }],
  })
  t.match(await lab.logged('client connected'), /replication=physical/)
  await client.end()
  await received(server!, 'X')
  t.match(lab.pooler.snapshot(), { clients: [], servers: [], pools: [{ replication: 0 }] })
})

t.test('it takes no place in the pool, and brings no ordinary connection about', async (t) => {
  const lab = await start(t, { minPoolSize: 1, clientIdleTimeout: 50 })
  const [{ client }] = await Promise.all([streaming(lab), streaming(lab), streaming(lab)])
  const idle = await lab.client({ parameters: { replication: 'database' } })
  t.match(await idle.expectFatal(), { M: 'client_idle_timeout' }, 'the janitor has been here')
  t.strictSame(lab.servers(), { idle: 0, active: 0, busy: 0, draining: 0, beingCanceled: 0 })
  const ordinary = await lab.client()
  t.strictSame(await ordinary.rows('select 1'), [['select 1']])
  client.send(frontend.copyDone())
  await client.end()
  await waitFor(() => lab.pooler.snapshot().servers.length === 3, { what: 'its server to be gone' })
  t.equal(lab.server.connections.length, 5, 'one each')
})

t.test('max_client_conn counts it', async (t) => {
  const lab = await start(t, { maxClientConn: 1 })
  await streaming(lab)
  await t.rejects(lab.client({ parameters: { replication: 'true' } }), { code: '53300' })
  t.equal(lab.server.connections.length, 1)
})

t.test('a client that does not read stops the server, and is heard all the same', async (t) => {
  const lab = await start(t)
  const { client, server } = await streaming(lab)
  client.pause()
  for (let i = 0; i < 1600; i++) server.socket.write(data)
  // Neither end comes any further.
  let last = -1
  await waitFor(() => {
    const left = server.socket.writableLength
    const same = left === last
    last = left
    return same && left > 50 * 2 ** 20
  })
  client.send(status, status)
  await received(server, 'Qdd')
  client.resume()
  for (let i = 0; i < 1600; i++) {
    const { type, body } = await client.readMessage()
    if (type !== 'd' || body.length !== data.length - 5) throw new Error(`${type} of ${body.length} bytes`)
  }
  t.pass('and all of it arrives')
})

t.test('a server that does not read stops the client, and is heard all the same', async (t) => {
  const lab = await start(t)
  const { client, server } = await streaming(lab)
  server.socket.pause()
  for (let i = 0; i < 1600; i++) client.socket.write(data)
  await waitFor(() => lab.pooler.snapshot().pools[0]!.counters.received > 2 ** 20)
  let last = -1
  await waitFor(() => {
    const left = client.socket.writableLength
    const same = left === last
    last = left
    return same && left > 50 * 2 ** 20
  })
  server.send(data, status)
  t.equal((await client.readMessage()).type, 'd')
  t.equal((await client.readMessage()).body.length, status.length - 5)
  server.socket.resume()
  await waitFor(() => server.received.length === 1601, { what: 'all of it' })
})

t.test('a shutdown does not wait for a stream that is silent', async (t) => {
  const lab = await start(t)
  const { client, server } = await streaming(lab)
  const closed = lab.pooler.close({ timeoutMs: 600_000 })
  t.match(await client.expectFatal(), { C: '57P01' })
  await received(server, 'QX')
  await closed
})

t.test('a shutdown in the middle of a message waits for its end', async (t) => {
  const lab = await start(t)
  const { client, server } = await streaming(lab)
  server.send(data.subarray(0, 1000))
  await waitFor(() => lab.pooler.snapshot().pools[0]!.counters.sent > 900)
  const closed = lab.pooler.close()
  await lab.logged('shutting down')
  server.send(data.subarray(1000), data)
  const messages = await client.expectClosed()
  t.match(typesOf(messages), /^d+E$/)
  t.equal(messages[0]!.body.length, data.length - 5)
  await closed
})

t.test('a client that leaves: what it asked for is canceled, a stream ended', async (t) => {
  const held = gate()
  const lab = await start(t, {
    script: {
      onMessage: (connection, message) =>
        message.type === 'Q' && sqlOf(message) === 'hold' ? held.opened : walsender.onMessage!(connection, message),
    },
  })
  const client = await lab.client({ parameters: { replication: 'database' } })
  client.send(frontend.query('hold'))
  const first = lab.server.connections[0]!
  await received(first, 'Q')
  client.destroy()
  await waitFor(() => lab.server.cancels.length === 1, { what: 'a cancel request' })
  t.same(lab.server.cancels, [{ pid: first.pid, secret: first.secret }])
  held.open()
  await received(first, 'QX')
  const { client: second, server } = await streaming(lab)
  second.destroy()
  await received(server, 'QX')
  t.equal(lab.server.cancels.length, 1)
})

t.test('a client that leaves while its connection is opened', async (t) => {
  const held = gate()
  const lab = await start(t, {
    script: {
      async onStartup(connection) {
        await held.opened
        connection.greet()
      },
    },
  })
  const client = await lab.connect()
  client.send(frontend.startup(PHYSICAL))
  const server = await lab.server.connection(0)
  client.destroy()
  await waitFor(() => lab.pooler.snapshot().clients.length === 0)
  held.open()
  await received(server, 'X')
  t.strictSame(lab.pooler.snapshot().servers, [])
})

t.test('a login that the server refuses, or breaks off', async (t) => {
  const lab = await start(t, {
    script: {
      onStartup(connection) {
        if (connection.parameters.user === 'gone') connection.cut()
        else connection.end(backend.error('53300', 'too many standbys', 'FATAL'))
      },
    },
  })
  for (const [user, expected] of [
    ['gone', { S: 'FATAL', C: '57P03', M: /cannot connect to the server/ }],
    ['late', { S: 'FATAL', C: '53300', M: 'too many standbys' }],
  ] as const) {
    const client = await lab.connect()
    client.send(frontend.startup({ ...PHYSICAL, user }))
    t.match(await client.expectFatal(), expected)
  }
  t.match(lab.pooler.snapshot().pools, [{ counters: { openFailures: 1 } }, { counters: { openFailures: 1 } }])
})

t.test(
  'passthrough: where PostgreSQL asks for no password, a client of this machine is not asked either',
  async (t) => {
    const lab = await start(t, { authType: 'passthrough' })
    for (const logins of [1, 2]) {
      const client = await lab.client({ user: 'u', parameters: { replication: 'true' } })
      t.match(typesOf(client.session.messages), /^RS+KZ$/)
      t.equal(lab.server.connections.length, logins, 'the connection itself is the proof')
      await client.end()
    }
  },
)
