/** What happens to server connections nobody uses, and to everybody when the process stops. */
import t from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { rowsOf, typesOf } from '../fixtures/raw-client.ts'
import type { ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { answering, oneRow, queriesOf, received, silent, startLab } from './lab.ts'

t.test('server_idle_timeout closes what is idle, down to min_pool_size', async (t) => {
  const lab = await startLab(t, { poolSize: 3, minPoolSize: 1, serverIdleTimeout: 20 })
  const clients = [await lab.client(), await lab.client(), await lab.client()]
  for (const client of clients) await client.query('begin')
  for (const client of clients) await client.query('commit')
  await lab.logged('server_idle_timeout')
  await waitFor(() => lab.pooler.snapshot().servers.length === 1, { what: 'one server left' })
  t.strictSame(await clients[0]!.rows('select 1'), [['select 1']])
  // Closed in order: PostgreSQL was told.
  t.ok(lab.server.connections.some((connection) => connection.types().endsWith('X')))
})

t.test('min_pool_size is kept while the pool has clients', async (t) => {
  const lab = await startLab(t, { poolSize: 5, minPoolSize: 3 })
  await lab.client()
  await waitFor(() => lab.servers().idle === 3, { what: 'three servers' })
})

t.test('server_lifetime renews connections between transactions only', async (t) => {
  const lab = await startLab(t, { poolSize: 1, serverLifetime: 20 })
  const client = await lab.client()
  await client.query('begin')
  const server = lab.server.connections.at(-1)!
  // Older than that by far: another pool's connection has come and gone.
  const other = await lab.client({ user: 'other' })
  await other.query('select 1')
  await waitFor(() => lab.server.connections.some((connection) => connection !== server && connection.closed), {
    what: 'the end of another connection',
  })
  t.notOk(server.closed)
  await client.query('commit')
  await waitFor(() => server.closed, { what: 'its end' })
  t.strictSame(await client.rows('select 1'), [['select 1']])
})

t.test('a server idle for server_check_delay is checked before it is lent', async (t) => {
  const lab = await startLab(t, { poolSize: 1, serverCheckDelay: 1, serverCheckQuery: 'select check' })
  const client = await lab.client()
  await client.query('select 1')
  await waitFor(() => lab.pooler.snapshot().servers.some((server) => server.idle > 5), { what: 'a few milliseconds' })
  await client.query('select 2')
  t.match(queriesOf(await lab.server.connection(0)).join(), /select check,select 2$/)
})

t.test('a server that fails its check is replaced, and the client does not notice', async (t) => {
  for (const check of [
    (connection: { cut(): void }) => connection.cut(),
    (connection: { send(...bytes: Buffer[]): void }) =>
      connection.send(backend.error('XX000', 'not well'), backend.ready()),
  ]) {
    let failing = true
    const lab = await startLab(t, {
      poolSize: 1,
      serverCheckDelay: 1,
      script: answering({
        '': (connection) => {
          if (!failing) return connection.send(backend.emptyQuery(), backend.ready())
          failing = false
          check(connection)
        },
      }),
    })
    const client = await lab.client()
    await client.query('select 1').catch(() => {})
    await waitFor(() => lab.pooler.snapshot().servers.some((server) => server.idle > 5), { what: 'a few milliseconds' })
    t.strictSame(await client.rows('select 2'), [['select 2']])
    t.notOk(failing)
    t.equal(lab.server.connections.length, 2)
    const [warning] = lab.log.filter((line) => / WARN .*server_check_query failed: not well/.test(line))
    t.equal(warning !== undefined, !lab.log.some((line) => line.includes('idle server connection was dead')))
  }
})

t.test('a server that cannot be reset is replaced', async (t) => {
  const lab = await startLab(t, {
    poolMode: 'session',
    poolSize: 1,
    script: answering({
      'DISCARD ALL': (connection) => connection.send(backend.error('25001', 'no'), backend.ready()),
    }),
  })
  const client = await lab.client()
  await client.query('select 1')
  await client.end()
  const server = await lab.server.connection(0)
  await waitFor(() => server.closed, { what: 'the end of the server connection' })
  const other = await lab.client()
  t.strictSame(await other.rows('select 2'), [['select 2']])
  t.equal(lab.server.connections.length, 2)
  t.match(
    await lab.logged('reset failed'),
    / WARN .*server connection closed: reset failed: no .*sql="DISCARD ALL"/,
    'nobody else says it',
  )
})

t.test('what cannot be seen of a client is reset before another gets the server', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [one, other] = [await lab.client(), await lab.client()]
  await one.query('do $$ begin perform something(); end $$')
  await other.query('select 1')
  const queries = queriesOf(await lab.server.connection(0))
  t.match(queries[1], /pg_settings.*pg_listening_channels/, 'first what is there is asked')
  t.match(queries[2], /UNLISTEN/)
  t.equal(queries[3], 'select 1')
})

t.test('idle timeouts of clients', async (t) => {
  const lab = await startLab(t, { clientIdleTimeout: 20 })
  const client = await lab.client()
  t.match(await client.expectFatal(), { S: 'FATAL', C: '57P05' })
})

t.test('idle_transaction_timeout ends the client, and its transaction', async (t) => {
  const lab = await startLab(t, { poolSize: 1, idleTransactionTimeout: 20 })
  const client = await lab.client()
  await client.query('begin')
  t.match(await client.expectFatal(), { S: 'FATAL', C: '25P03' })
  const server = await lab.server.connection(0)
  await waitFor(() => queriesOf(server).includes('ROLLBACK'), { what: 'a rollback' })
})

t.test('transaction_timeout', async (t) => {
  const lab = await startLab(t, { poolSize: 1, transactionTimeout: 50 })
  const client = await lab.client()
  client.send(frontend.query('begin'))
  await client.readUntil('Z')
  t.match(await client.expectFatal(), { S: 'FATAL', C: '25P04' })
})

t.test('what comes behind a failed COPY is no running query', async (t) => {
  const lab = await startLab(t, { poolMode: 'session', poolSize: 1, script: silent, queryTimeout: 30 })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  client.send(frontend.query('copy t from stdin'))
  await received(server, 'Q')
  server.send(backend.copyIn(), backend.error('22P02', 'invalid input'), backend.ready())
  await client.readUntil('Z')
  client.send(frontend.copyData('x'), frontend.copyDone())
  await received(server, 'Qdc')
  // Another client's timeout shows that the sweep has been by.
  const other = await lab.client({ user: 'other' })
  other.send(frontend.query('select 1'))
  t.match(await other.expectFatal(), { M: 'query_timeout' })
  t.notOk(client.closed)
})

t.test('shutdown: idle clients are told, transactions may end, then they are told', async (t) => {
  const lab = await startLab(t, { poolSize: 2 })
  const [idle, busy] = [await lab.client(), await lab.client()]
  await busy.query('begin')
  const closed = lab.pooler.close({ timeoutMs: 20_000 })
  t.match(await idle.expectFatal(), { S: 'FATAL', C: '57P01' })
  t.strictSame(await busy.rows('select 1'), [['select 1']], 'the transaction goes on')
  busy.send(frontend.query('commit'))
  const messages = await busy.expectClosed()
  t.equal(typesOf(messages), 'CZE')
  await closed
  await waitFor(() => lab.server.connections.every((connection) => connection.closed), { what: 'all to be closed' })
})

t.test('shutdown: at its deadline what runs is ended', async (t) => {
  const lab = await startLab(t, { poolSize: 2, script: silent })
  const client = await lab.client()
  client.send(frontend.query('select pg_sleep(100)'))
  await received(await lab.server.connection(0), 'Q')
  await lab.pooler.close({ timeoutMs: 10 })
  t.match(await client.expectFatal(), { C: '57P01' })
  t.equal(lab.server.cancels.length, 1)
  await t.rejects(lab.connect(), /ECONNREFUSED/)
})

t.test('shutdown: who waits for a server is not left waiting', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const [holder, waiter] = [await lab.client(), await lab.client()]
  await holder.query('begin')
  waiter.send(frontend.query('select 1'))
  await lab.waiting(1)
  const closed = lab.pooler.close({ timeoutMs: 20_000 })
  t.match(await waiter.expectFatal(), { C: '57P01' })
  holder.send(frontend.query('commit'))
  await holder.expectClosed()
  await closed
})

t.test('a pool nobody uses is forgotten', async (t) => {
  const lab = await startLab(t, { serverIdleTimeout: 10 })
  const client = await lab.client({ user: 'passing', database: 'by' })
  await client.query('select 1')
  await client.end()
  await waitFor(() => lab.pooler.snapshot().pools.length === 0, { what: 'no pool' })
})

t.test('counters', async (t) => {
  const lab = await startLab(t, { poolSize: 1 })
  const client = await lab.client()
  await client.query('begin')
  await client.query('select 1')
  await client.query('commit')
  client.send(frontend.parse('select 2'), frontend.bind(), frontend.execute(), frontend.sync())
  await client.readUntil('Z')
  const { counters } = lab.pooler.snapshot().pools[0]!
  t.match(counters, { transactions: 2, queries: 4, leases: 2, logins: 1, opened: 1, openFailures: 0 })
  t.ok(counters.received > 0 && counters.sent > 0)
})

t.test('a server is used again after its client was closed by a fault of the protocol', async (t) => {
  const lab = await startLab(t, { poolSize: 1, script: silent })
  const client = await lab.client()
  const server = await lab.server.connection(0)
  client.send(frontend.query('select 1'), Buffer.from('!garbage'))
  await received(server, 'Q')
  t.match(await client.expectFatal(), { C: '08P01' })
  server.send(...oneRow('1'))
  await waitFor(() => lab.servers().idle === 1, { what: 'an idle server' })
  const other = await lab.client()
  other.send(frontend.query('select 2'))
  await waitFor(() => queriesOf(server).includes('select 2'), { what: 'the next query' })
  server.send(...oneRow('2'))
  t.strictSame(rowsOf(await other.readUntil('Z')), [['2']])
})

t.test('the servers that were idle for long are checked all at once, not one after another', async (t) => {
  const checks: ScriptedConnection[] = []
  const script = answering({ '': (connection) => void checks.push(connection) })
  const lab = await startLab(t, { poolSize: 3, script, serverCheckDelay: 1 }) // one server for each of three clients
  const clients = [await lab.client(), await lab.client(), await lab.client()]
  const pass = (): number => {
    for (const connection of checks.splice(0)) connection.send(backend.emptyQuery(), backend.ready())
    return lab.servers().active
  }
  const begun = Promise.all(clients.map((client) => client.query('begin')))
  await waitFor(() => pass() === 3, { what: 'three servers' })
  await begun
  await Promise.all(clients.map((client) => client.query('commit')))
  await waitFor(() => Math.min(...lab.pooler.snapshot().servers.map((server) => server.idle)) > 1)
  const results = clients.map((client) => client.rows('select 1'))
  await waitFor(() => checks.length === 3, { what: () => `three checks under way, not ${checks.length}` })
  pass()
  for (const rows of await Promise.all(results)) t.strictSame(rows, [['select 1']])
})
