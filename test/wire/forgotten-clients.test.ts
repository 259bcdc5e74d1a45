/** Whatever a client did and however it ended: nothing of it is left in memory. */
import { queryObjects } from 'node:v8'
import t from 'tap'
import { ClientSession } from '../../lib/client/session.ts'
import { Wire } from '../../lib/net/wire.ts'
import { Batch } from '../../lib/protocol/batch.ts'
import { Framer } from '../../lib/protocol/framer.ts'
import { ClientSettings } from '../../lib/settings/client-settings.ts'
import { frontend } from '../fixtures/messages.ts'
import { waitFor } from '../fixtures/wait.ts'
import { type Client, startLab } from './lab.ts'

/** Collects garbage, then counts. */
const count = (kind: new (...args: never[]) => object): number => queryObjects(kind, { format: 'count' })

/** What a client does before it leaves. */
const visits: ((client: Client) => unknown)[] = [
  () => {},
  (client) => client.query('select 1'),
  async (client) => {
    client.send(frontend.parse('select 1', 'a'), frontend.bind([], 'a'), frontend.execute(), frontend.sync())
    await client.readUntil('Z')
  },
  async (client) => {
    client.send(frontend.parse('select 2'), frontend.bind(), frontend.execute(), frontend.sync())
    await client.readUntil('Z')
  },
  (client) => client.send(frontend.query('select 1').subarray(0, 9)),
  (client) => client.query('begin'),
]

t.test('clients that have left are forgotten', async (t) => {
  const lab = await startLab(t)
  const clients: Client[] = []
  for (const visit of visits) {
    for (const end of ['end', 'destroy'] as const) {
      const client = await lab.client({ parameters: { application_name: end } })
      await visit(client)
      if (end === 'end') clients.push(client)
      else client.destroy()
    }
  }
  t.ok(count(ClientSession) >= clients.length, 'they are counted while they are there')
  await Promise.all(clients.map((client) => client.end()))
  await waitFor(() => lab.pooler.snapshot().clientCount === 0, { what: 'all clients to leave' })
  await waitFor(() => count(ClientSession) === 0, { what: () => `${count(ClientSession)} sessions` })
  t.equal(count(ClientSettings), 0)
  const servers = () => Object.values(lab.servers()).reduce((sum, some) => sum + some, 0)
  await waitFor(() => count(Wire) === servers(), { what: () => `${count(Wire)} wires of ${servers()} servers` })
  t.equal(count(Framer), servers())
  t.ok(count(Batch) <= 64, 'batches are used again')
})

t.test('and so are those that never got in', async (t) => {
  const lab = await startLab(t)
  for (let i = 0; i < 3; i++) {
    const silent = await lab.connect()
    silent.send(Buffer.from([0, 0]))
    silent.destroy()
    const broken = await lab.connect()
    broken.send(Buffer.from([0, 0, 0, 12, 0, 9, 0, 0, 0, 0, 0, 0]))
    await waitFor(() => broken.closed, { what: 'the end of a bad connection' })
    broken.destroy()
  }
  await waitFor(() => count(ClientSession) === 0, { what: () => `${count(ClientSession)} sessions` })
  await waitFor(() => count(Wire) === 0, { what: () => `${count(Wire)} wires` })
})
