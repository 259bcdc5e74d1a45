/**
 * A server that dies, lies or babbles: its own words are relayed, silence becomes 08006 with a DETAIL, nothing is ever
 * put into the middle of a message, and it takes nobody with it but its own client (T13, T15; the hostile server).
 */
import t, { type Test } from 'tap'
import { backend, frontend, int32, message, parse } from '../fixtures/messages.ts'
import { rowsOf, typesOf } from '../fixtures/raw-client.ts'
import type { ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { answering, type Client, type Lab, oneRow, queriesOf, received, silent, startLab } from './lab.ts'

/** A client whose query the server has and has not answered. */
async function running(lab: Lab, sql = 'select 1'): Promise<{ client: Client; server: ScriptedConnection }> {
  const client = await lab.client()
  const count = lab.server.connections.length
  client.send(frontend.query(sql))
  const server = await waitFor(() => lab.server.connections.find((connection) => !connection.closed), {
    what: `a server connection of ${count}`,
  })
  await waitFor(() => queriesOf(server).at(-1) === sql, { what: 'the query' })
  return { client, server }
}

/** Somebody else is served. */
async function othersAreWell(t: Test, lab: Lab): Promise<void> {
  const client = await lab.client()
  client.send(frontend.query('select 2'))
  const server = await waitFor(
    () => lab.server.connections.find((connection) => !connection.closed && queriesOf(connection).includes('select 2')),
    { what: 'a query of another client' },
  )
  server.send(...oneRow('2'))
  t.strictSame(rowsOf(await client.readUntil('Z')), [['2']])
  await client.end()
}

t.test('it closes without a word', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  server.socket.end()
  const error = await client.expectFatal()
  t.match(error, { S: 'FATAL', C: '08006', M: 'server closed the connection unexpectedly' })
  t.match(
    error.D,
    new RegExp(`port ${lab.server.port}.*process ${server.pid}.*connected for [\\d.]+s, running a query`),
  )
  await othersAreWell(t, lab)
})

t.test('it is cut off between two rows: the rows arrive, then the error', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  server.end(backend.rowDescription('a'), backend.dataRow('1'))
  t.equal(typesOf(await client.expectClosed()), 'TDE')
})

t.test('it is cut off in a row: nothing is put behind the half of it', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  client.record()
  const half = Buffer.concat([backend.rowDescription('a'), backend.dataRow('x'.repeat(1000)).subarray(0, 500)])
  server.end(half)
  await t.rejects(client.expectClosed(), /closed within a message/)
  t.ok(client.recorded().equals(half), 'exactly what the server sent')
})

t.test('it says why it ends: that is relayed, and nothing added', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  server.end(backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
  const messages = await client.expectClosed()
  t.equal(typesOf(messages), 'E')
  t.match(parse.fields(messages[0]!.body), { S: 'FATAL', C: '57P01' })
  await othersAreWell(t, lab)
})

t.test('it says why it ends, and takes its time to close: nobody else gets it', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  client.send(frontend.query('select 1'))
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  server.send(...oneRow('1'))
  await client.readUntil('Z')
  server.send(backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
  await waitFor(() => lab.pooler.snapshot().servers.length === 0, { what: 'the end of it in the pool' })
  await othersAreWell(t, lab)
  t.equal(lab.server.connections.length, 2)
  t.notOk(client.closed, 'the client did not depend on it')
})

t.test('it dies while idle', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  server.cut()
  await waitFor(() => lab.pooler.snapshot().servers.length === 0, { what: 'the end of it in the pool' })
  client.send(frontend.query('select 1'))
  const next = await lab.server.connection(1)
  await received(next, 'Q')
  next.send(...oneRow('1'))
  t.strictSame(rowsOf(await client.readUntil('Z')), [['1']])
})

t.test('it dies in a transaction in which nothing runs', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const client = await lab.client()
  await client.query('begin')
  ;(await lab.server.connection(0)).cut()
  t.match(await client.expectFatal(), { C: '08006', D: /idle in a transaction/ })
})

t.test('it dies in a COPY IN', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab, 'copy t from stdin')
  server.send(backend.copyIn())
  await client.readUntil('G')
  client.send(frontend.copyData('1\n'))
  await received(server, 'Qd')
  server.cut()
  t.match(await client.expectFatal(), { C: '08006', D: /reading COPY data/ })
})

t.test('what was not asked for', async (t) => {
  const cases: [string, Buffer[]][] = [
    ['a ReadyForQuery too many', [backend.ready(), backend.ready()]],
    ['a ReadyForQuery in the place of an answer', [backend.ready()]],
    ['an impossible status', [backend.commandComplete('SELECT 0'), message('Z', 'X')]],
    ['a ReadyForQuery without a status', [backend.commandComplete('SELECT 0'), message('Z')]],
    ['a ParseComplete', [backend.parseComplete()]],
    ['an authentication request', [backend.authentication(3)]],
    ['a cancel key', [backend.keyData(1, Buffer.alloc(4))]],
    ['a type that does not exist', [message('!', 'x')]],
    ['a length of 0', [Buffer.concat([Buffer.from('T'), int32(0)])]],
    ['a length of 3', [Buffer.concat([Buffer.from('D'), int32(3)])]],
    ['a negative length', [Buffer.concat([Buffer.from('C'), int32(-1)])]],
    ['a length of two gigabytes', [Buffer.concat([Buffer.from('D'), int32(2 ** 31 - 1)])]],
    ['a ReadyForQuery of a gigabyte', [Buffer.concat([Buffer.from('Z'), int32(2 ** 30)])]],
    ['an unterminated parameter', [message('S', 'TimeZone')]],
    ['random bytes', [Buffer.from('485454502f312e312034303020426164205265717565737400', 'hex')]],
  ]
  for (const [name, bytes] of cases) {
    await t.test(name, async (t) => {
      const lab = await startLab(t, { poolSize: 1, script: silent })
      const { client, server } = await running(lab)
      server.send(...bytes)
      const messages = await client.expectClosed()
      const error = messages.at(-1)
      if (name === 'a ReadyForQuery too many') {
        t.ok(messages.length >= 1)
      } else t.match(error && parse.fields(error.body), { S: 'FATAL', C: '08006', M: /lost synchronization/ })
      await lab.logged('lost synchronization')
      await othersAreWell(t, lab)
    })
  }
})

t.test('what was not asked for, behind half a row that the client has', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  client.record()
  const row = backend.dataRow('x'.repeat(1000))
  server.send(backend.rowDescription('a'), row.subarray(0, 500))
  await waitFor(() => client.recorded().length > 500, { what: 'half of the row' })
  server.send(row.subarray(500), backend.parseComplete())
  t.equal(typesOf(await client.expectClosed()), 'TDE', 'the row is whole, the error a message of its own')
})

t.test('an idle server that babbles is closed, and nobody hears it', async (t) => {
  for (const bytes of [backend.dataRow('stale'), backend.ready(), backend.error('XX000', 'what?'), Buffer.from('!')]) {
    const lab = await startLab(t, { poolSize: 1, script: silent })
    const client = await lab.client()
    const server = await lab.server.connection(0)
    server.send(bytes, Buffer.alloc(5))
    await waitFor(() => server.closed, { what: 'the end of the server connection' })
    client.send(frontend.query('select 1'))
    const next = await lab.server.connection(1)
    await received(next, 'Q')
    next.send(...oneRow('1'))
    t.equal(typesOf(await client.readUntil('Z')), 'TDCZ')
  }
})

t.test('parameters, notices and notifications may come at any time', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  server.send(
    backend.parameterStatus('in_hot_standby', 'on'),
    backend.notice('idle'),
    backend.notification(1, 'channel', 'idle'),
  )
  await waitFor(async () => (await lab.client()).session.parameters.in_hot_standby === 'on', {
    what: 'newcomers to be told of the new role',
  })
  client.send(frontend.query('select 1'))
  await received(server, 'Q')
  server.send(backend.notice('busy'), backend.parameterStatus('is_superuser', 'on'), ...oneRow('1'))
  const messages = await client.readUntil('Z')
  t.equal(typesOf(messages), 'SNSTDCZ')
  t.strictSame(parse.strings(messages[0]!.body), ['in_hot_standby', 'on'], 'who came before is told, too')
  t.match(parse.fields(messages[1]!.body), { M: 'busy' })
  await othersAreWell(t, lab)
})

t.test('a promotion is told to newcomers, whoever has the server meanwhile', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: { ...silent, parameters: { in_hot_standby: 'on' } } })
  const { server } = await running(lab)
  server.send(backend.parameterStatus('in_hot_standby', 'off'))
  await waitFor(async () => (await lab.client()).session.parameters.in_hot_standby === 'off', {
    what: 'newcomers to be told of the new role',
  })
})

t.test('endless new parameters are not PostgreSQL', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  server.send(...Array.from({ length: 2000 }, (_, i) => backend.parameterStatus(`p${i}`, 'x')))
  const messages = await client.expectClosed()
  t.match(parse.fields(messages.at(-1)!.body), { M: /lost synchronization/ })
})

t.test('one byte at a time', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const { client, server } = await running(lab)
  const bytes = Buffer.concat([backend.notice('slow'), ...oneRow('z'.repeat(50))])
  for (const byte of bytes) {
    await new Promise<void>((resolve) => server.socket.write(Buffer.from([byte]), () => resolve()))
  }
  t.equal(typesOf(await client.readUntil('Z')), 'NTDCZ')
})

t.test('it never answers: query_timeout', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent, queryTimeout: 20 })
  const { client } = await running(lab)
  t.match(await client.expectFatal(), { C: '57014', M: 'query_timeout' })
  await waitFor(() => lab.server.cancels.length === 1, { what: 'a cancel request' })
})

t.test('all of its connections die under load, and the pool recovers', async (t) => {
  let dying = true
  const lab = await startLab(t, {
    poolSize: 3,
    script: answering({ 'select 1': (connection) => (dying ? connection.cut() : connection.send(...oneRow('1'))) }),
  })
  const clients = await Promise.all(Array.from({ length: 10 }, () => lab.client()))
  await Promise.all(
    clients.map(async (client) => {
      client.send(frontend.query('select 1'))
      t.match(await client.expectFatal(), { C: '08006' })
    }),
  )
  dying = false
  const client = await lab.client()
  t.strictSame(await client.rows('select 1'), [['1']])
  t.equal(lab.servers().active, 0)
})
