/**
 * The load of the demo: every client alternates between single queries and transfers between two accounts in a
 * transaction, and checks that each answer is its own.
 */
import pg from 'pg'

export interface LoadProgress {
  queries: number
  perSecond: number
}

export interface LoadResult extends LoadProgress {
  /** Latency of a query in milliseconds that `share` percent of them did not exceed. */
  percentile(share: number): number
  errors: string[]
}

/** Connects `count` clients, at most 25 at a time. Rejects with the first failure. */
export async function connectClients(
  url: string,
  count: number,
  connected: (count: number) => void,
): Promise<pg.Client[]> {
  const clients: pg.Client[] = []
  let started = 0
  async function connectNext(): Promise<void> {
    while (started < count) {
      started++
      const client = new pg.Client({ connectionString: url })
      // Ends that nobody waits for; a query in flight reports its own.
      client.on('error', () => {})
      await client.connect()
      clients.push(client)
      connected(clients.length)
    }
  }
  await Promise.all(Array.from({ length: 25 }, connectNext))
  return clients
}

/** Runs the load on all clients for `duration` milliseconds. Errors are collected; a client stops at its first one. */
export async function runLoad(
  clients: pg.Client[],
  duration: number,
  progress: (share: number, soFar: LoadProgress) => void,
): Promise<LoadResult> {
  const latencies: number[] = []
  const errors: string[] = []
  const start = performance.now()
  const elapsed = (): number => performance.now() - start

  async function timed(client: pg.Client, text: string, values?: unknown[]): Promise<pg.QueryResult> {
    const before = performance.now()
    const result = await client.query(text, values)
    latencies.push(performance.now() - before)
    return result
  }

  async function work(client: pg.Client, index: number): Promise<void> {
    for (let round = 0; elapsed() < duration; round++) {
      const tag = `client ${index} round ${round}`
      const account = 1 + ((index * 7919 + round) % 1000)
      const { rows } = await timed(client, 'SELECT $1::text AS tag, balance FROM account WHERE id = $2', [tag, account])
      if (rows.length !== 1 || rows[0].tag !== tag) throw new Error(`${tag} got the answer of another client`)
      if (round % 4 === 3) await transfer(client, account, 1 + (account % 1000))
    }
  }

  async function transfer(client: pg.Client, from: number, to: number): Promise<void> {
    // The lower number first, so that two transfers never wait for each other.
    const [first, second] = from < to ? [from, to] : [to, from]
    await timed(client, 'BEGIN')
    await timed(client, 'UPDATE account SET balance = balance - 1 WHERE id = $1', [first])
    await timed(client, 'UPDATE account SET balance = balance + 1 WHERE id = $1', [second])
    await timed(client, 'COMMIT')
  }

  const soFar = (): LoadProgress => ({
    queries: latencies.length,
    perSecond: Math.round((latencies.length / Math.max(elapsed(), 1)) * 1000),
  })
  const ticker = setInterval(() => progress(Math.min(elapsed() / duration, 1), soFar()), 100)
  try {
    await Promise.all(
      clients.map((client, index) => work(client, index).catch((error: Error) => void errors.push(error.message))),
    )
  } finally {
    clearInterval(ticker)
  }
  const total = soFar()
  latencies.sort((a, b) => a - b)
  return {
    ...total,
    errors,
    percentile: (share) => latencies[Math.min(latencies.length - 1, Math.floor((latencies.length * share) / 100))] ?? 0,
  }
}
