/** The relay that the benchmark compares with: it has to pool, or its figures are of something else. */
import t from 'tap'
import { Owner } from '../bench/owner.ts'
import { startRelay } from '../bench/start-relay.ts'
import { frontend } from '../fixtures/messages.ts'
import { loginRaw, rowsOf } from '../fixtures/raw-client.ts'
import { startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { queriesOf } from './lab.ts'

t.test('clients share its servers, each for a transaction', async (t) => {
  const owner = new Owner()
  t.teardown(() => owner.end())
  const server = await startScriptedPostgres(t)
  const relay = await startRelay(owner, process.execPath, { host: server.host, port: server.port, user: 'u', size: 2 })
  const login = () => loginRaw(t, { host: '127.0.0.1', port: relay.port })
  const holders = [await login(), await login()]
  for (const holder of holders) await holder.query('begin')
  const clients = [await login(), await login(), await login()]
  for (const client of clients) client.send(frontend.query('select 1'))
  for (const holder of holders) await holder.query('commit')
  for (const client of clients) t.strictSame(rowsOf(await client.readUntil('Z')), [['select 1']])
  await clients[0]!.end()
  t.strictSame(await clients[1]!.rows('select 2'), [['select 2']])
  t.equal(server.connections.length, 2)
  for (const connection of server.connections) t.strictSame(queriesOf(connection).slice(0, 2), ['begin', 'commit'])
})
