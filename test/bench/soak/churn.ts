/**
 * Clients that come, leave something of everything behind, and go in every way there is. Each step of a client is
 * chosen by chance; errors of the server are part of it, a client that is not served is not.
 */
import { frontend } from '../../fixtures/messages.ts'
import type { Target } from '../targets.ts'
import { WireClient } from '../wire-client.ts'

/** What happened so far. */
export interface ChurnCounts {
  connections: number
  queries: number
  /** Connections that were closed in the middle of something. */
  vanished: number
  /** Servers ended by pg_terminate_backend. */
  terminated: number
  /** Why other clients ended than by their own choice, and how many did: mostly because their server was ended. */
  failures: Map<string, number>
}

/** Statements that are prepared again and again, and those that nobody prepares a second time. */
const COMMON = 50

/** A step; throws where the server answers with an error. */
type Step = (client: WireClient, counts: ChurnCounts) => Promise<unknown>

let unique = 0
const pick = (count: number): number => Math.floor(Math.random() * count)

const steps: readonly Step[] = [
  (client) => client.query('SELECT abalance FROM pgbench_accounts WHERE aid = 4711'),
  (client) => client.query(`SET TimeZone = '${pick(2) === 0 ? 'Asia/Tokyo' : 'America/New_York'}'`),
  (client) => client.query(`SELECT set_config('app.tenant', 'tenant ${pick(1000)}', false)`),
  (client) => prepared(client, `common_${pick(COMMON)}`, `SELECT ${pick(COMMON)} + $1::int`),
  (client) => prepared(client, `unique_${unique}`, `SELECT ${unique++} + $1::int`),
  (client) => prepared(client, '', `SELECT ${pick(COMMON)} - $1::int`),
  (client) => client.query('SELECT payload FROM bench_rows WHERE id <= 200'),
  (client) => client.query('SELECT 1 / 0').catch(() => {}),
  (client) => client.query('BEGIN; SET LOCAL work_mem = 65536; SELECT 1; COMMIT'),
  (client) =>
    client.query('CREATE TEMP TABLE IF NOT EXISTS churn (n int); INSERT INTO churn VALUES (1); DROP TABLE churn'),
  (client) => client.query(`LISTEN channel_${pick(10)}; NOTIFY channel_${pick(10)}, 'x'; UNLISTEN *`),
  async (client) => {
    await client.query(`SELECT pg_advisory_lock(1, ${pick(1000)})`)
    await client.query('DISCARD ALL')
  },
  async (client, counts) => {
    if (pick(20) > 0) return
    counts.terminated++
    await client.query('SELECT pg_terminate_backend(pg_backend_pid())')
  },
]

/** Parse, Bind, Execute and Sync, and what comes back. */
function prepared(client: WireClient, name: string, text: string): Promise<unknown> {
  const messages = [frontend.parse(text, name), frontend.bind([String(pick(1000))], name), frontend.execute()]
  // Some drivers close what they prepared, some never do; a name is used once by a client.
  if (name !== '') messages.push(frontend.close('S', name))
  return client.exchange(Buffer.concat([...messages, frontend.sync()]))
}

/** One client from its beginning to its end. */
async function live(target: Target, tls: boolean, counts: ChurnCounts): Promise<void> {
  const client = await WireClient.connect({ host: target.host, port: target.port, tls })
  counts.connections++
  try {
    for (let i = 1 + pick(20); i > 0; i--) {
      await steps[pick(steps.length)]!(client, counts)
      counts.queries++
    }
    await leave(client, counts)
  } finally {
    if (!client.socket.writableEnded) client.socket.destroy()
  }
}

/** Politely, without a word, in a transaction, in the middle of a result, or in the middle of a message. */
async function leave(client: WireClient, counts: ChurnCounts): Promise<void> {
  const way = pick(8)
  if (way > 3) {
    client.end()
    return
  }
  counts.vanished++
  if (way === 1) await client.query('BEGIN; SELECT 1')
  if (way === 2) client.socket.write(frontend.query('SELECT payload FROM bench_rows'))
  if (way === 3) client.socket.write(frontend.query('SELECT 1').subarray(0, 7))
  await new Promise((resolve) => setTimeout(resolve, pick(20)))
  client.socket.destroy()
}

/** Keeps so many clients alive until `ended` says so; each that goes is followed by another. */
export async function churn(
  target: Target,
  { clients, tls, counts, ended }: { clients: number; tls: boolean; counts: ChurnCounts; ended: () => boolean },
): Promise<void> {
  const work = async (): Promise<void> => {
    while (!ended()) {
      try {
        await live(target, tls, counts)
      } catch (error) {
        const { message } = error as Error
        counts.failures.set(message, (counts.failures.get(message) ?? 0) + 1)
      }
    }
  }
  await Promise.all(Array.from({ length: clients }, work))
}
