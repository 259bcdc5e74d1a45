/** Limits of a pool that a reload changes hold for the connections that exist, too. */
import t from 'tap'
import { waitFor } from '../fixtures/wait.ts'
import { type Client, type Lab, startLab } from '../wire/lab.ts'

/** So many clients, each in a transaction. */
async function busyClients(lab: Lab, count: number): Promise<Client[]> {
  const clients: Client[] = []
  for (let i = 0; i < count; i++) clients.push(await lab.client())
  for (const client of clients) await client.query('begin')
  return clients
}

t.test('a smaller pool_size closes what is too much, as it comes free', async (t) => {
  const lab = await startLab(t, { poolSize: 5 })
  const clients = await busyClients(lab, 5)
  await clients.pop()!.query('commit')
  await lab.pooler.reload({ poolSize: 2, reservePoolSize: 1 })
  await waitFor(() => lab.servers().idle === 0, { what: 'the end of the idle one' })
  t.match(lab.servers(), { active: 4 }, 'nobody is disturbed')
  // Somebody waits all the while: what comes back is closed, not lent on.
  const waiting = await lab.client()
  const answer = waiting.rows('select 1')
  await lab.waiting(1)
  await clients.pop()!.query('commit')
  t.match(lab.servers(), { active: 3 })
  await clients.pop()!.query('commit')
  t.strictSame(await answer, [['select 1']])
  for (const client of clients) await client.query('commit')
  t.equal(lab.pooler.snapshot().servers.length, 3, 'pool_size and the reserve')
  await lab.logged('pool_size was made smaller')
})

t.test('server_lifetime that was off does not end all of them at once', async (t) => {
  const lab = await startLab(t, { poolSize: 3, serverLifetime: 0, serverIdleTimeout: 0 })
  for (const client of await busyClients(lab, 3)) await client.query('commit')
  await lab.pooler.reload({ serverLifetime: '1h', serverIdleTimeout: 100, minPoolSize: 2 })
  // By then two sweeps have seen them.
  await waitFor(() => lab.pooler.snapshot().servers.length === 2, { what: 'the end of the spare one' })
  t.notMatch(lab.log.join('\n'), /server_lifetime/)
})

t.test('a shorter server_lifetime counts for those that are there', async (t) => {
  const lab = await startLab(t, { poolSize: 3, serverLifetime: '1h' })
  for (const client of await busyClients(lab, 3)) await client.query('commit')
  await lab.pooler.reload({ serverLifetime: 20 })
  await waitFor(() => lab.pooler.snapshot().servers.length === 0, { what: 'their end' })
  await lab.logged('server_lifetime')
})
