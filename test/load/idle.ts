/**
 * The scenario `idle`: in each round a third of the clients do nothing for longer than the others work, in turn within a
 * transaction and between two. Those between two hold no server: with more clients than servers everybody gets on. Who
 * does not is told by the time that an answer may take (client.ts).
 */
import type { LoadClient } from './client.ts'
import { must, own, type Scenario } from './scenario.ts'

const WITHIN_MS = 100
const BETWEEN_MS = 300

export const idle: Scenario = {
  says: 'clients that are idle within and between transactions hold up nobody',
  modes: ['session', 'transaction'],
  because: 'statement mode refuses transactions',
  roundsPerSession: 1,
  session(client) {
    return async (round) => {
      const turn = client.index + round
      if (turn % 3 !== 0) await work(client, round)
      else if (turn % 6 === 0) await idleWithin(client, round)
      else await idleBetween(client, round)
    }
  },
}

async function work(client: LoadClient, round: number): Promise<void> {
  const tag = client.tag(round)
  const [low, high] = client.accounts(round)
  await client.begin()
  await client.move(low, -1)
  await client.move(high, 1)
  own('the answer to a query', (await client.query('SELECT $1::text AS tag', [tag]))?.tag, tag)
  await client.finish()
}

async function idleWithin(client: LoadClient, round: number): Promise<void> {
  const identity = 'SELECT pg_backend_pid() AS pid, txid_current()::text AS xid'
  await client.begin()
  const before = await client.query(identity)
  const { id } = await client.addEntry(round)
  await client.pause(WITHIN_MS)
  const entry = await client.query('SELECT note FROM pgbun_load_entry WHERE id = $1', [id])
  own('the entry of an idle transaction', entry?.note, client.tag(round))
  const after = await client.query(identity)
  own('the server process of an idle transaction', after?.pid, before.pid)
  own('the id of an idle transaction', after?.xid, before.xid)
  must('the end of an idle transaction', await client.finish(), 'COMMIT')
  client.run.tally.entries++
  await isThere(client, id, round)
}

async function idleBetween(client: LoadClient, round: number): Promise<void> {
  const tag = client.tag(round)
  await client.single("SELECT set_config('pgbun_load.client', $1, false)", [tag])
  const { id } = await client.addEntry(round)
  client.run.tally.transactions++
  client.run.tally.entries++
  await client.pause(BETWEEN_MS)
  const setting = await client.single("SELECT current_setting('pgbun_load.client', true) AS setting")
  own('a setting of an idle client', setting?.setting, tag)
  await isThere(client, id, round)
}

async function isThere(client: LoadClient, id: string, round: number): Promise<void> {
  const entry = await client.single('SELECT client, note FROM pgbun_load_entry WHERE id = $1', [id])
  own('an entry that was committed', entry?.note, client.tag(round))
  own('the client of an entry', entry?.client, client.index)
}
