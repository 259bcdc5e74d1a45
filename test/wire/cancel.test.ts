/** Cancel requests reach the query of the client whose key they carry, and nothing else (T16). */
import { randomBytes } from 'node:crypto'
import t from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { errorOf, typesOf } from '../fixtures/raw-client.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { type Client, type Lab, oneRow, queriesOf, received, silent, startLab } from './lab.ts'

async function cancel(lab: Lab, pid: number, secret: Buffer): Promise<void> {
  const client = await lab.connect()
  client.send(frontend.cancelRequest(pid, secret))
  const answer = await client.expectClosed()
  if (answer.length > 0) throw new Error('a cancel request was answered')
}

const canceled = backend.error('57014', 'canceling statement due to user request')

/** Do what PostgreSQL does to the query that runs on the first connection. */
function end(lab: Lab): void {
  lab.server.connections[0]!.send(canceled, backend.ready())
}

async function running(lab: Lab, sql = 'select 1'): Promise<Client> {
  const client = await lab.client()
  client.send(frontend.query(sql))
  await waitFor(() => lab.server.connections.some((server) => queriesOf(server).includes(sql)), { what: sql })
  return client
}

t.test("the server's own key goes to the server, and the client gets its error", async (t) => {
  const lab: Lab = await startLab(t, { script: { ...silent, onCancel: () => end(lab) } })
  const client = await running(lab)
  const server = await lab.server.connection(0)
  await cancel(lab, client.session.pid, client.session.secret)
  t.strictSame(lab.server.cancels, [{ pid: server.pid, secret: server.secret }])
  t.not(client.session.pid, server.pid, "the client's key is not the server's")
  t.match(errorOf(await client.readUntil('Z')), { C: '57014' })
})

t.test('keys that are wrong in any way go nowhere, and are told nothing', async (t) => {
  const lab = await startLab(t, { script: silent })
  const client = await running(lab)
  const { pid, secret } = client.session
  const server = await lab.server.connection(0)
  for (const [wrongPid, wrongSecret] of [
    [pid, randomBytes(4)],
    [pid + 1, secret],
    [0, secret],
    [pid, Buffer.concat([secret, secret])],
    [server.pid, server.secret],
    [-1, randomBytes(256)],
  ] as const) {
    await cancel(lab, wrongPid, wrongSecret)
  }
  t.strictSame(lab.server.cancels, [])
})

t.test('a client that is not running anything cancels nothing', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const idle = await lab.client()
  await running(lab)
  await cancel(lab, idle.session.pid, idle.session.secret)
  t.strictSame(lab.server.cancels, [], "the server runs another's query")
})

t.test('a client idle in a transaction cancels nothing', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await running(lab, 'begin')
  const server = await lab.server.connection(0)
  server.send(backend.commandComplete('BEGIN'), backend.ready('T'))
  await client.readUntil('Z')
  await cancel(lab, client.session.pid, client.session.secret)
  t.strictSame(lab.server.cancels, [])
})

t.test('the key of a client that has left', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  await client.end()
  await waitFor(() => lab.pooler.snapshot().clientCount === 0, { what: 'its end' })
  await cancel(lab, client.session.pid, client.session.secret)
  t.strictSame(lab.server.cancels, [])
})

t.test('a cancel request that is slower than its query hits nobody else', async (t) => {
  const closing = gate()
  const lab = await startLab(t, { poolSize: 1, script: { ...silent, onCancel: () => closing.opened } })
  const client = await running(lab)
  const server = await lab.server.connection(0)
  const canceller = await lab.connect()
  canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
  await waitFor(() => lab.server.cancels.length === 1, { what: 'the cancel request' })
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  t.equal(lab.servers().beingCanceled, 1)
  const other = await lab.client()
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  t.equal(server.types(), 'Q')
  closing.open()
  t.strictSame(await canceller.expectClosed(), [])
  await received(server, 'QQ')
  server.send(...oneRow('2'))
  await other.readUntil('Z')
})

t.test('a session that ends while its cancel request is under way is reset behind it', async (t) => {
  const closing = gate()
  const lab = await startLab(t, {
    poolMode: 'session',
    poolSize: 1,
    script: { ...silent, onCancel: () => closing.opened },
  })
  const client = await running(lab)
  const server = await lab.server.connection(0)
  const canceller = await lab.connect()
  canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
  await waitFor(() => lab.server.cancels.length === 1, { what: 'the cancel request' })
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  await client.end()
  await waitFor(() => lab.servers().active === 0, { what: 'the end of the lease' })
  t.strictSame(queriesOf(server), ['select 1'], 'the reset would be canceled')
  closing.open()
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
  t.strictSame(queriesOf(server), ['select 1', 'DISCARD ALL'])
})

t.test('a storm of cancel requests for one query is one', async (t) => {
  const closing = gate()
  const lab = await startLab(t, { script: { ...silent, onCancel: () => closing.opened } })
  const client = await running(lab)
  const storm = Array.from({ length: 50 }, () => cancel(lab, client.session.pid, client.session.secret))
  await waitFor(() => lab.server.cancels.length > 0 && lab.pooler.snapshot().clients.length > 50, { what: 'the storm' })
  t.equal(lab.server.cancels.length, 1)
  closing.open()
  await Promise.all(storm)
})

// On a busy machine the query had been canceled by the time the request was repeated, which hit the next one.
t.test('a cancel request is not repeated where it could hit what the client has sent behind', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const sent = [frontend.query('select 1'), frontend.query('select 2')]
  client.send(...sent)
  const server = lab.server.connections[0]!
  await received(server, 'QQ')
  await cancel(lab, client.session.pid, client.session.secret)
  t.equal(lab.server.cancels.length, 1)
  server.send(canceled, backend.ready(), ...oneRow('2'))
  t.equal(typesOf(await client.readUntil('Z')), 'EZ')
  t.equal(typesOf(await client.readUntil('Z')), 'TDCZ')
})

t.test('a cancel request that does not come to its end: the server is not used again', async (t) => {
  const lab = await startLab(t, {
    poolSize: 1,
    cancelWaitTimeout: 50,
    script: { ...silent, onCancel: () => new Promise<void>(() => {}) },
  })
  const client = await running(lab)
  const server = await lab.server.connection(0)
  await cancel(lab, client.session.pid, client.session.secret)
  await lab.logged('cancel request not acknowledged')
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  await waitFor(() => server.closed, { what: 'the end of the server connection' })
})

t.test('a key of protocol 3.2, also inside of what looks like a new session', async (t) => {
  const lab: Lab = await startLab(t, { script: { ...silent, onCancel: () => end(lab) } })
  const client = await lab.client({ version: 0x30002 })
  client.send(frontend.query('select 1'))
  await received(await lab.server.connection(0), 'Q')
  await cancel(lab, client.session.pid, client.session.secret.subarray(0, 4))
  t.strictSame(lab.server.cancels, [], 'a part of the key is not the key')
  await cancel(lab, client.session.pid, client.session.secret)
  t.equal(lab.server.cancels.length, 1)
})
