/** Limits and waiting: pool_size, its reserve, query_wait_timeout, max_client_conn, and a server that is not there. */
import t from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { errorOf, LoginError, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import type { ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'
import { type Lab, queriesOf, startLab } from './lab.ts'

t.test('query_wait_timeout fails the request and keeps the client', async (t) => {
  const lab = await startLab(t, { poolSize: 1, queryWaitTimeout: 20 })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  const messages = await client.query('select 1')
  t.equal(typesOf(messages), 'EZ')
  t.match(errorOf(messages), { S: 'ERROR', C: '53300', M: 'query_wait_timeout', D: /pool_size/ })
  await holder.query('commit')
  t.strictSame(await client.rows('select 2'), [['select 2']])
  t.notOk(queriesOf(await lab.server.connection(0)).includes('select 1'))
})

t.test('an extended request is refused as a whole, up to its Sync', async (t) => {
  const lab = await startLab(t, { poolSize: 1, queryWaitTimeout: 20 })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  client.send(frontend.parse('select 1'), frontend.bind(), frontend.execute(), frontend.query('select 0'))
  t.equal(typesOf(await client.readUntil('E')), 'E')
  client.send(frontend.sync())
  t.equal(typesOf(await client.readUntil('Z')), 'Z')
  await holder.query('commit')
  t.strictSame(await client.rows('select 2'), [['select 2']])
})

t.test('each request of a pipeline is refused for itself', async (t) => {
  const lab = await startLab(t, { poolSize: 1, queryWaitTimeout: 20 })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  client.send(frontend.query('select 1'), frontend.query(`select '${'x'.repeat(200_000)}'`), frontend.sync())
  t.equal(typesOf(await client.readUntil('Z')), 'EZ')
  t.equal(typesOf(await client.readUntil('Z')), 'EZ')
  t.equal(typesOf(await client.readUntil('Z')), 'Z')
  await holder.query('commit')
  t.strictSame(await client.rows('select 2'), [['select 2']])
})

t.test('a canceled request that waits is refused, and the client stays', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  client.send(frontend.query('select 1'))
  await lab.waiting(1)
  const canceller = await lab.connect()
  canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
  t.strictSame(await canceller.expectClosed(), [])
  const messages = await client.readUntil('Z')
  t.match(errorOf(messages), { S: 'ERROR', C: '57014' })
  t.strictSame(lab.server.cancels, [], "the server runs another's query")
  await holder.query('commit')
  t.strictSame(await client.rows('select 2'), [['select 2']])
})

t.test('the reserve is opened for who waits too long', async (t) => {
  const lab = await startLab(t, { poolSize: 1, reservePoolSize: 1, reservePoolTimeout: 20 })
  const [holder, client, third] = [await lab.client(), await lab.client(), await lab.client()]
  await holder.query('begin')
  t.strictSame(await client.rows('select 1'), [['select 1']])
  t.equal(lab.server.connections.length, 2)
  await client.query('begin')
  third.send(frontend.query('select 3'))
  await lab.waiting(1)
  await holder.query('commit')
  await third.readUntil('Z')
  t.equal(lab.server.connections.length, 2, 'and no more of it than there is')
})

t.test('max_client_conn: the one too many is told, and gets in when there is room', async (t) => {
  const lab = await startLab(t, { maxClientConn: 2 })
  const [one] = [await lab.client(), await lab.client()]
  for (let i = 0; i < 5; i++) {
    await t.rejects(lab.client(), {
      code: '53300',
      fields: { S: 'FATAL', M: 'no more connections allowed (max_client_conn)' },
    })
  }
  await one.end()
  await waitFor(() => lab.pooler.snapshot().clientCount === 1, { what: 'room for one more' })
  await lab.client()
})

t.test('cancel requests get through when max_client_conn is reached', async (t) => {
  const held = gate()
  const lab: Lab = await startLab(t, {
    maxClientConn: 1,
    script: {
      onMessage: () => held.opened,
      onCancel: () => lab.server.connections[0]!.send(backend.error('57014', 'canceled'), backend.ready()),
    },
  })
  const client = await lab.client()
  client.send(frontend.query('select pg_sleep(100)'))
  await (await lab.server.connection(0)).message(0)
  const canceller = await lab.connect()
  canceller.send(frontend.cancelRequest(client.session.pid, client.session.secret))
  t.strictSame(await canceller.expectClosed(), [])
  t.equal(lab.server.cancels.length, 1)
})

t.test('a server that refuses: its own words, at once, to everybody', async (t) => {
  let attempts = 0
  let refusing = true
  const lab = await startLab(t, {
    script: {
      onStartup(connection: ScriptedConnection) {
        attempts++
        if (refusing) connection.end(backend.error('3D000', 'database "d" does not exist', 'FATAL'))
        else connection.greet()
      },
    },
  })
  const refusals = await Promise.allSettled(Array.from({ length: 20 }, () => lab.client()))
  for (const refusal of refusals) {
    t.match(refusal, { reason: { code: '3D000', fields: { S: 'FATAL', M: 'database "d" does not exist' } } })
  }
  t.ok(attempts < 5, `${attempts} attempts for 20 clients`)
  refusing = false
  const client = await waitFor(() => lab.client(), { what: 'the pause after the failures to end' })
  t.strictSame(await client.rows('select 1'), [['select 1']])
})

t.test('a server that is not there: 57P03 at once, and service again when it is', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  await client.query('select 1')
  await lab.server.close()
  await waitFor(() => lab.pooler.snapshot().servers.length === 0, { what: 'the end of the server connections' })
  const messages = await client.query('select 2')
  t.match(errorOf(messages), { S: 'ERROR', C: '57P03', M: /cannot connect to the server.*refused/ })
  t.equal(typesOf(messages), 'EZ', 'the client stays')
})

t.test('a server that is starting up is waited for', async (t) => {
  let starting = 3
  const lab = await startLab(t, {
    script: {
      onStartup(connection: ScriptedConnection) {
        if (starting-- > 0) connection.end(backend.error('57P03', 'the database system is starting up', 'FATAL'))
        else connection.greet()
      },
    },
  })
  const client = await lab.client()
  t.strictSame(await client.rows('select 1'), [['select 1']])
  t.equal(starting, -1)
})

t.test('while others of the pool serve, a failed attempt fails nobody', async (t) => {
  let refusing = false
  const lab = await startLab(t, {
    poolSize: 2,
    script: {
      onStartup(connection: ScriptedConnection) {
        if (refusing) connection.end(backend.error('53300', 'sorry, too many clients already', 'FATAL'))
        else connection.greet()
      },
    },
  })
  const [holder, client] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  refusing = true
  client.send(frontend.query('select 1'))
  await lab.logged('too many clients already')
  t.equal(lab.pooler.snapshot().pools[0]!.waiting, 1)
  await holder.query('commit')
  t.strictSame(rowsOf(await client.readUntil('Z')), [['select 1']])
})

t.test('a server that breaks the protocol during the login', async (t) => {
  for (const bytes of [
    Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    backend.ready(),
    backend.dataRow('1'),
    Buffer.concat([backend.authentication(0), backend.authentication(0)]),
    backend.authentication(99),
    Buffer.from([0x52, 0xff, 0xff, 0xff, 0xff]),
    Buffer.concat([
      backend.authentication(0),
      ...Array.from({ length: 5000 }, (_, i) => backend.parameterStatus(`p${i}`, '')),
    ]),
  ]) {
    const lab = await startLab(t, { script: { onStartup: (connection) => connection.send(bytes) } })
    const error = await lab.client().catch((error) => error)
    t.ok(error instanceof LoginError, String(error))
    t.match(error.fields, { S: 'FATAL', M: /cannot connect to the server/ })
    await lab.logged('server connection failed')
  }
})

t.test('a server that closes at each point of the login', async (t) => {
  const greeting = Buffer.concat([
    backend.authentication(0),
    backend.parameterStatus('server_version', '18'),
    backend.keyData(1, Buffer.alloc(4)),
    backend.ready(),
  ])
  for (const end of [0, 3, 9, 12, 40, greeting.length - 1]) {
    const lab = await startLab(t, { script: { onStartup: (connection) => connection.end(greeting.subarray(0, end)) } })
    await t.rejects(lab.client(), { code: '57P03', message: /closed the connection during login/ })
  }
})

t.test('a server that does not complete the login: server_connect_timeout', async (t) => {
  const lab = await startLab(t, { serverConnectTimeout: 1000, script: { onStartup: () => {} } })
  await t.rejects(lab.client(), { message: /did not complete the login in time/ })
})

t.test('a thousand waiting clients that need nothing of the server are served one after the other', async (t) => {
  const lab = await startLab(t, { poolSize: 1, maxClientConn: 2000 })
  const holder = await lab.client()
  const clients = await Promise.all(Array.from({ length: 1200 }, () => lab.client()))
  // One at a time: on a busy machine, the answer to all of them takes longer than anybody waits for a message.
  for (const client of clients) {
    client.send(frontend.parse('select 1', 's'), frontend.sync())
    await client.readUntil('Z')
  }
  await holder.query('begin')
  // The shared statement stays: it is answered without the server, which goes on to the next within the same call.
  for (const client of clients) client.send(frontend.close('S', 's'))
  await lab.waiting(1200)
  await holder.query('commit')
  await lab.waiting(0)
  t.strictSame(await holder.rows('select 2'), [['select 2']])
  clients[1199]!.send(frontend.sync())
  t.equal(typesOf(await clients[1199]!.readUntil('Z')), '3Z')
})
