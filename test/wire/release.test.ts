/** When a server changes hands in transaction and statement mode, and to whom (the release rule, T1 and T2). */
import t, { type Test } from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { errorOf, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'
import { oneRow, queriesOf, received, silent, sqlOf, startLab } from './lab.ts'

t.test('a pipeline is answered to its end before anybody else is served', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.query('select 1'), frontend.query('select 2'), frontend.sync())
  const server = await lab.server.connection(0)
  await received(server, 'QQS')
  other.send(frontend.query('select 3'))
  await lab.waiting(1)
  server.send(...oneRow('1'))
  t.equal(typesOf(await one.readUntil('Z')), 'TDCZ')
  server.send(...oneRow('2'))
  t.equal(typesOf(await one.readUntil('Z')), 'TDCZ')
  t.equal(server.types(), 'QQS', 'the Sync is still to be answered')
  server.send(backend.ready())
  await one.readUntil('Z')
  await received(server, 'QQSQ')
  server.send(...oneRow('3'))
  t.strictSame(rowsOf(await other.readUntil('Z')), [['3']])
})

t.test('between a Flush and the Sync the server is kept', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.parse('select 1'), frontend.bind(), frontend.describe('P'), frontend.flush())
  t.equal(typesOf(await one.readUntil('T')), '12T')
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  one.send(frontend.execute(1), frontend.flush())
  t.equal(typesOf(await one.readUntil('C')), 'DC')
  t.equal(lab.pooler.snapshot().pools[0]!.waiting, 1)
  one.send(frontend.sync())
  await one.readUntil('Z')
  t.strictSame(rowsOf(await other.readUntil('Z')), [['select 2']])
})

t.test('after an error the server is kept until the Sync', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.parse('selec'))
  const server = await lab.server.connection(0)
  await received(server, 'P')
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  server.send(backend.error('42601', 'syntax error'))
  t.equal(errorOf(await one.readUntil('E')).C, '42601', 'the error does not wait for anything')
  one.send(frontend.query('select 1'))
  await received(server, 'PQ')
  t.equal(lab.pooler.snapshot().pools[0]!.waiting, 1, 'a Query inside of a batch that failed is discarded')
  one.send(frontend.sync())
  await received(server, 'PQS')
  server.send(backend.ready())
  await one.readUntil('Z')
  await received(server, 'PQSQ')
  server.send(...oneRow('2'))
  await other.readUntil('Z')
})

t.test('in a transaction the server is kept', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  await one.query('begin')
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  await one.query('select 1')
  t.equal(lab.pooler.snapshot().pools[0]!.waiting, 1)
  await one.query('commit')
  t.strictSame(rowsOf(await other.readUntil('Z')), [['select 2']])
  const server = await lab.server.connection(0)
  t.strictSame(queriesOf(server), ['begin', 'select 1', 'commit', 'select 2'])
})

t.test('who waits is served in the order in which it came', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const first = await lab.client()
  await first.query('begin')
  const clients = []
  for (let i = 1; i <= 5; i++) {
    const client = await lab.client()
    client.send(frontend.query(`select ${i}`))
    await lab.waiting(i)
    clients.push(client)
  }
  await first.query('commit')
  for (const client of clients) await client.readUntil('Z')
  t.strictSame(
    queriesOf(await lab.server.connection(0)).slice(2),
    [1, 2, 3, 4, 5].map((i) => `select ${i}`),
  )
})

t.test('the server returned last is lent first, but a client gets its own again', async (t) => {
  const lab = await startLab(t, { poolSize: 3 })
  const clients = [await lab.client(), await lab.client(), await lab.client()] as const
  for (const client of clients) await client.query('begin')
  const servers = await Promise.all([0, 1, 2].map((i) => lab.server.connection(i)))
  for (const client of clients) await client.query('commit')
  // The third came back last.
  const newcomer = await lab.client()
  await newcomer.query('select 1')
  t.strictSame(
    servers.map((server) => queriesOf(server).includes('select 1')),
    [false, false, true],
  )
  for (const [i, client] of clients.entries()) {
    await client.query(`select 'own ${i}'`)
    t.ok(queriesOf(servers[i]!).includes(`select 'own ${i}'`), `client ${i} has its own server again`)
  }
})

t.test('a pool opens no more connections than it needs, and never more than pool_size', async (t) => {
  const lab = await startLab(t, { poolSize: 2 })
  const clients = await Promise.all(Array.from({ length: 20 }, () => lab.client()))
  for (let round = 0; round < 5; round++) {
    const results = await Promise.all(clients.map((client, i) => client.rows(`select '${i}.${round}'`)))
    t.strictSame(
      results.map(([row]) => row![0]),
      clients.map((_, i) => `select '${i}.${round}'`),
    )
  }
  t.ok(lab.server.connections.length <= 2)
})

t.test('Sync and Flush need no server', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  const server = await lab.server.connection(0)
  client.send(frontend.flush(), frontend.sync(), frontend.sync())
  t.equal(typesOf(await client.readUntil('Z')), 'Z')
  t.equal(typesOf(await client.readUntil('Z')), 'Z')
  t.equal(server.types(), '')
})

t.test('a Flush behind a query does not keep its server', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const client = await lab.client()
  client.send(frontend.query('select 1'), frontend.flush())
  await client.readUntil('Z')
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
})

t.test('a function call', async (t) => {
  const lab = await startLab(t)
  const client = await lab.client()
  client.send(frontend.functionCall(1, ['x']))
  t.equal(typesOf(await client.readUntil('Z')), 'VZ')
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
})

t.test('statement mode: a transaction block is an error, and the server is rolled back', async (t) => {
  const lab = await startLab(t, { poolMode: 'statement', poolSize: 1 })
  const client = await lab.client()
  t.strictSame(await client.rows('select 1'), [['select 1']])
  client.record()
  client.send(frontend.query('begin'))
  const error = await client.expectFatal()
  t.notOk(client.recorded().includes(backend.ready('T')), 'a driver must not take it for done')
  t.match(error, { S: 'FATAL', C: '0A000', M: 'transaction blocks not allowed in statement pooling mode' })
  const other = await lab.client()
  t.strictSame(await other.rows('select 2'), [['select 2']])
  const server = await lab.server.connection(0)
  t.ok(queriesOf(server).includes('ROLLBACK'))
  t.equal(lab.server.connections.length, 1)
})

t.test('session mode: the server is kept until the client leaves, and reset for the next', async (t) => {
  const lab = await startLab(t, { poolMode: 'session', poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  await one.query('select 1')
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  await one.query('select 3')
  await one.end()
  await other.readUntil('Z')
  t.strictSame(queriesOf(await lab.server.connection(0)), ['select 1', 'select 3', 'DISCARD ALL', 'select 2'])
})

t.test('session mode attaches at the first query', async (t) => {
  const lab = await startLab(t, { poolMode: 'session', poolSize: 1 })
  await lab.client()
  await lab.client()
  t.strictSame(lab.servers(), { idle: 1, active: 0, busy: 0, draining: 0, beingCanceled: 0 })
})

t.test("the unnamed statement of a client is its own, whoever's is on the server", async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.parse('select 1'), frontend.sync())
  t.equal(typesOf(await one.readUntil('Z')), '1Z')
  other.send(frontend.parse('select 2'), frontend.sync())
  await other.readUntil('Z')
  const server = await lab.server.connection(0)
  const before = server.received.length
  one.send(frontend.bind(), frontend.describe('P'), frontend.execute(), frontend.sync())
  t.equal(typesOf(await one.readUntil('Z')), '2TDCZ', 'no ParseComplete it did not ask for')
  const sent = server.received.slice(before)
  t.equal(typesOf(sent), 'PDHBDES', 'what it was told is compared before the Bind')
  t.equal(sqlOf(sent[0]!), 'select 1')
  // It is there now: the next Bind needs no Parse.
  one.send(frontend.bind(), frontend.execute(), frontend.sync())
  await one.readUntil('Z')
  t.equal(typesOf(server.received.slice(before + sent.length)), 'BES')
})

t.test("a client that never prepared does not run another's unnamed statement", async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.parse('delete from t'), frontend.sync())
  await one.readUntil('Z')
  const server = await lab.server.connection(0)
  const before = server.received.length
  other.send(frontend.bind(), frontend.execute(), frontend.sync())
  await received(server, 'CBES', before)
  const close = server.received[before]!
  t.strictSame(close.body, Buffer.from('S\0'), "the other's statement is closed first")
})

t.test('named statements of the same name do not meet', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  for (const [client, sql] of [
    [one, 'select 1'],
    [other, 'select 2'],
  ] as const) {
    client.send(frontend.parse(sql, 's'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '1Z')
  }
  for (const client of [one, other, one]) {
    client.send(frontend.bind([], 's'), frontend.execute(), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '2DCZ')
  }
  const server = await lab.server.connection(0)
  const names = new Map<string, string>()
  const ran: string[] = []
  for (const message of server.received) {
    const strings = message.body.toString('latin1').split('\0')
    if (message.type === 'P') names.set(strings[0]!, strings[1]!)
    if (message.type === 'B') ran.push(names.get(strings[1]!)!)
  }
  t.strictSame(ran, ['select 1', 'select 2', 'select 1'])
})

t.test('where statements are not shared, a named one keeps its client on its server', async (t) => {
  const lab = await startLab(t, { poolSize: 2, maxPreparedStatements: 0 })
  const one = await lab.client()
  one.send(frontend.parse('select 1', 's'), frontend.sync())
  await one.readUntil('Z')
  t.equal(lab.pooler.snapshot().clients[0]!.pinned, 'prepared statement')
  const server = await lab.server.connection(0)
  const other = await lab.client()
  await other.query('select 2')
  t.notOk(queriesOf(server).includes('select 2'))
  one.send(frontend.bind([], 's'), frontend.execute(), frontend.sync())
  await one.readUntil('Z')
  await one.end()
  // Whoever gets it afterwards gets it without the statement.
  await waitFor(() => lab.servers().idle === 2, { what: 'two idle servers' })
  const fresh = await lab.client()
  await other.query('begin')
  await fresh.query('begin')
  const queries = queriesOf(server)
  const reset = queries.findIndex((sql) => /DISCARD|DEALLOCATE/.test(sql))
  t.ok(reset >= 0 && reset < queries.indexOf('begin'), queries.join())
})

t.test('COPY IN: kept while data is awaited, released at its end', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.query('copy t from stdin'))
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  server.send(backend.copyIn())
  await one.readUntil('G')
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  one.send(frontend.copyData('1\n'), frontend.copyDone())
  await received(server, 'Qdc')
  t.equal(lab.pooler.snapshot().pools[0]!.waiting, 1)
  server.send(backend.commandComplete('COPY 1'), backend.ready())
  t.equal(typesOf(await one.readUntil('Z')), 'CZ')
  await received(server, 'QdcQ')
  server.send(...oneRow('2'))
  await other.readUntil('Z')
})

t.test('COPY IN in the extended protocol with the Sync sent ahead', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  client.send(frontend.parse('copy t from stdin'), frontend.bind(), frontend.execute(), frontend.sync())
  const server = await lab.server.connection(0)
  // Of the first unnamed statements it is asked what they are.
  await received(server, 'PDBES')
  const noColumns = [backend.parameterDescription(), backend.noData()]
  server.send(backend.parseComplete(), ...noColumns, backend.bindComplete(), backend.copyIn())
  await client.readUntil('G')
  client.send(frontend.copyData('1\n'), frontend.copyDone())
  await received(server, 'PDBESdc')
  server.send(backend.commandComplete('COPY 1'))
  await client.readUntil('C')
  t.equal(lab.servers().active, 1, 'PostgreSQL ignored that Sync')
  client.send(frontend.sync())
  await received(server, 'PDBESdcS')
  server.send(backend.ready())
  await client.readUntil('Z')
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
})

t.test('what is left of a COPY that failed reaches no server', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.query('copy t from stdin'))
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  server.send(backend.copyIn(), backend.error('22P02', 'invalid input'), backend.ready())
  t.equal(typesOf(await one.readUntil('Z')), 'GEZ')
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
  one.send(frontend.copyData('x'.repeat(100_000)), frontend.copyData('y'), frontend.copyDone())
  other.send(frontend.query('select 2'))
  await received(server, 'QQ')
  server.send(...oneRow('2'))
  await other.readUntil('Z')
  one.send(frontend.query('select 3'))
  await received(server, 'QQQ')
  server.send(...oneRow('3'))
  t.strictSame(rowsOf(await one.readUntil('Z')), [['3']])
})

t.test('a COPY that fails in the middle of a message of data', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const [one, other] = [await lab.client(), await lab.client()]
  one.send(frontend.query('copy t from stdin'))
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  server.send(backend.copyIn())
  await one.readUntil('G')
  const data = frontend.copyData('x'.repeat(1000))
  one.send(data.subarray(0, 500))
  await waitFor(() => lab.pooler.snapshot().pools[0]!.counters.received >= 500 + 23, { what: 'half of the data' })
  server.send(backend.error('22P02', 'invalid input'), backend.ready())
  await one.readUntil('Z')
  other.send(frontend.query('select 2'))
  await lab.waiting(1)
  t.equal(server.types(), 'Q', 'the rest of the message is still to come')
  one.send(data.subarray(500))
  await received(server, 'QdQ')
  server.send(...oneRow('2'))
  await other.readUntil('Z')
})

t.test('DEALLOCATE inside of a batch that failed holds nothing up', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  client.send(frontend.parse('selec'), frontend.query('DEALLOCATE ALL'), frontend.parse('select 1'), frontend.sync())
  const server = await lab.server.connection(0)
  await received(server, 'PQ')
  server.send(backend.error('42601', 'syntax error'))
  await received(server, 'PQPS')
  server.send(backend.ready())
  t.equal(typesOf(await client.readUntil('Z')), 'EZ')
  await received(server, 'PQPSQ') // what its text may have done is asked
  server.send(backend.commandComplete('SELECT 0'), backend.ready())
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
})

t.test('a COPY behind a DEALLOCATE in the same query gets its data', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const sql = `DEALLOCATE ALL; ${' '.repeat(300_000)} copy t from stdin`
  client.send(frontend.query(sql))
  const server = await lab.server.connection(0)
  await received(server, 'Q')
  server.send(backend.commandComplete('DEALLOCATE ALL'), backend.copyIn())
  await client.readUntil('G')
  client.send(frontend.copyData('1\n'), frontend.copyDone())
  await received(server, 'Qdc')
  server.send(backend.commandComplete('COPY 1'), backend.ready())
  await client.readUntil('Z')
})

// PostgreSQL may notice only behind a statement that its limit of time has passed: the error comes when nobody has asked for
// anything, and is followed by a ReadyForQuery of its own.
for (const [what, sqlstate] of [
  ['statement', '57014'],
  ['lock', '55P03'],
] as const) {
  const timeout = [backend.error(sqlstate, 'timeout'), backend.ready()]
  /** A client whose query is at the only server, and another that waits. */
  async function twoClients(t: Test) {
    const lab = await startLab(t, { poolSize: 1, script: silent })
    const [one, other] = [await lab.client(), await lab.client()]
    one.send(frontend.query('select 1'))
    const server = await lab.server.connection(0)
    await received(server, 'Q')
    other.send(frontend.query('select 2'))
    await lab.waiting(1)
    return { lab, one, other, server }
  }

  t.test(`an error of a ${what} timeout may come ahead of an answer, which nobody else gets`, async (t) => {
    const { lab, one, other, server } = await twoClients(t)
    server.send(...timeout, ...oneRow('secret'))
    t.equal(errorOf(await one.readUntil('Z')).C, sqlstate)
    const next = await lab.server.connection(1)
    await received(next, 'Q')
    next.send(...oneRow('2'))
    t.strictSame(rowsOf(await other.readUntil('Z')), [['2']])
    await lab.logged('its answers are not in the order of what was asked')
  })

  t.test(`an error of a ${what} timeout that is the answer is nobody else's business`, async (t) => {
    const { lab, one, other, server } = await twoClients(t)
    server.send(...timeout)
    await one.readUntil('Z')
    await received(server, 'QQQ')
    server.send(...oneRow('2'))
    t.strictSame(rowsOf(await other.readUntil('Z')), [['2']])
    t.equal(lab.server.connections.length, 1)
    one.send(frontend.query('select 3'))
    await received(server, 'QQQQ')
    server.send(...oneRow('3'))
    t.strictSame(rowsOf(await one.readUntil('Z')), [['3']], 'asked once')
  })
}
