/**
 * Cancel requests had no effect where they were read before the query they were meant for, where another request towards
 * the same server was on its way, and where PostgreSQL had not read the query yet. Protocol chapter "Canceling Requests
 * in Progress".
 */
import t from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { errorOf, typesOf } from '../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { answering, type Client, type Lab, oneRow, queriesOf, received, silent, sqlOf, startLab } from '../wire/lab.ts'

const canceled = [backend.error('57014', 'canceling statement due to user request'), backend.ready()]

/** Answer what runs on the only server of `lab` as PostgreSQL does when it is canceled. */
function end(lab: Lab): void {
  lab.server.connections[0]!.send(...canceled)
}

function key({ session }: Client): Buffer {
  return frontend.cancelRequest(session.pid, session.secret)
}

for (const poolMode of ['session', 'transaction'] as const) {
  t.test(`read in one pass of the event loop with its query, and before it (${poolMode} mode)`, async (t) => {
    const lab: Lab = await startLab(t, {
      poolMode,
      poolSize: 1,
      script: { ...answering({ sleep() {} }), onCancel: () => end(lab) },
    })
    const client = await lab.client()
    await client.query('select 1')
    const canceller = await lab.connect()
    // The canceller is known to the event loop, too, when both become readable.
    canceller.send(frontend.gssEncRequest())
    await canceller.readBytes(1)
    // The kernel reports sockets in the order in which they became readable.
    canceller.send(key(client))
    client.send(frontend.query('sleep'))
    t.equal(errorOf(await client.readUntil('Z')).C, '57014')
    t.strictSame(await canceller.expectClosed(), [])
    t.equal(typesOf(await client.query('select 2')), 'TDCZ', 'what it sends afterwards is not hit')
  })
}

t.test('in one pass with a query that has to wait for a server', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const holder = await lab.client()
  const client = await lab.client()
  holder.send(frontend.query('select 1'))
  await received(await lab.server.connection(0), 'Q')
  const canceller = await lab.connect()
  canceller.send(frontend.gssEncRequest())
  await canceller.readBytes(1)
  canceller.send(key(client))
  client.send(frontend.query('select 2'))
  t.equal(errorOf(await client.readUntil('Z')).C, '57014')
  await canceller.expectClosed()
  t.equal(lab.server.cancels.length, 0)
})

t.test('a request for the next query of a client, while one for the query before is on its way', async (t) => {
  const closing = gate()
  const lab = await startLab(t, { poolMode: 'session', script: { ...silent, onCancel: () => closing.opened } })
  const client = await lab.client()
  const cancellers = [await lab.connect(), await lab.connect(), await lab.connect()]
  client.send(frontend.query('select 1'))
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  cancellers[0]!.send(key(client))
  await waitFor(() => lab.server.cancels.length === 1, { what: 'the first cancel request' })
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  client.send(frontend.query('select 2'))
  await received(server, 'QQ')
  cancellers[1]!.send(key(client))
  cancellers[2]!.send(key(client))
  await waitFor(() => lab.pooler.snapshot().clients.length === 4, { what: 'the others' })
  closing.open()
  await waitFor(() => lab.server.cancels.length === 2, { what: 'one more cancel request' })
  server.send(...canceled)
  t.equal(errorOf(await client.readUntil('Z')).C, '57014')
  for (const canceller of cancellers) t.strictSame(await canceller.expectClosed(), [])
  t.equal(lab.server.cancels.length, 2, 'the third joined the second')
})

t.test('that request is not sent where its query has ended meanwhile', async (t) => {
  const closing = gate()
  const lab = await startLab(t, { poolMode: 'session', script: { ...silent, onCancel: () => closing.opened } })
  const client = await lab.client()
  const cancellers = [await lab.connect(), await lab.connect()]
  const server = await queryHeld(lab, client, 'select 1', 0)
  cancellers[0]!.send(key(client))
  await waitFor(() => lab.server.cancels.length === 1, { what: 'the first cancel request' })
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  await queryHeld(lab, client, 'select 2', 0)
  cancellers[1]!.send(key(client))
  await waitFor(() => lab.pooler.snapshot().clients.length === 3, { what: 'the other' })
  server.send(...oneRow('2'))
  await client.readUntil('Z')
  await queryHeld(lab, client, 'select 3', 0)
  closing.open()
  for (const canceller of cancellers) t.strictSame(await canceller.expectClosed(), [])
  t.equal(lab.server.cancels.length, 1)
  server.send(...oneRow('3'))
  t.equal(typesOf(await client.readUntil('Z')), 'TDCZ')
})

async function queryHeld(lab: Lab, client: Client, sql: string, at: number): Promise<ScriptedConnection> {
  client.send(frontend.query(sql))
  const server = await lab.server.connection(at)
  await waitFor(() => queriesOf(server).includes(sql), { what: sql })
  return server
}

t.test('PostgreSQL has not read the query yet: the request is repeated before its end is told', async (t) => {
  const lab: Lab = await startLab(t, {
    script: {
      ...silent,
      // The first is ignored, as by a backend that reads its next message.
      onCancel: () => {
        if (lab.server.cancels.length === 2) end(lab)
      },
    },
  })
  const client = await lab.client()
  const canceller = await lab.connect()
  client.send(frontend.query('select 1'))
  canceller.send(key(client))
  t.equal(errorOf(await client.readUntil('Z')).C, '57014')
  t.strictSame(await canceller.expectClosed(), [])
  t.equal(lab.server.cancels.length, 2)
})

t.test('the server still forgets what sequences gave to others: the client’s own query is canceled', async (t) => {
  const forgetting = gate()
  let held = false
  const lab: Lab = await startLab(t, {
    poolSize: 1,
    script: {
      async onMessage(connection, message) {
        const sql = message.type === 'Q' ? sqlOf(message) : ''
        if (sql === 'sleep') return
        if (held && sql === 'DISCARD SEQUENCES') await forgetting.opened
        answerQueries(connection, message)
      },
      onCancel: () => end(lab),
    },
  })
  const reader = await lab.client()
  await reader.query('select lastval()')
  await reader.end()
  const [other, client] = [await lab.client(), await lab.client()]
  await client.query('select 1')
  await other.query('select 1')
  held = true
  client.send(frontend.query('sleep'))
  const server = await lab.server.connection(0)
  await waitFor(() => queriesOf(server).at(-1) === 'DISCARD SEQUENCES', { what: 'the query of the pooler' })
  const canceller = await lab.connect()
  canceller.send(key(client))
  await waitFor(() => lab.pooler.snapshot().clients.length === 3, { what: 'the cancel request' })
  // Whoever comes now comes behind it.
  await (await lab.client()).end()
  t.equal(lab.server.cancels.length, 0)
  forgetting.open()
  t.equal(errorOf(await client.readUntil('Z')).C, '57014')
  await canceller.expectClosed()
})
