/** Which mode pgbun is in, as far as a client can see it. */
import type pg from 'pg'
import type { Address } from './arguments.ts'
import { connect, cut, refusesTransaction } from './client.ts'
import type { PoolMode } from './scenario.ts'

/** Who waits for so long is waiting for a server. */
const WAIT_MS = 500

/**
 * @param clients how many sessions may be opened for that, at the same time
 * @throws Error where pgbun is seen to be in another mode than `expected`
 */
export async function checkMode(address: Address, expected: PoolMode, clients: number): Promise<void> {
  const actual = await seenMode(address, Math.max(2, clients))
  if (actual === undefined || actual === expected) return
  const seen = {
    statement: 'BEGIN is refused',
    transaction: 'BEGIN is allowed, and a client gets the server of one that is between two transactions',
    session: 'BEGIN is allowed, and a client keeps its server between transactions',
  }
  throw new Error(
    `pgbun at ${address.host}:${address.port} is not in ${expected} mode but in ${actual} mode: ${seen[actual]}. ` +
      `Use --mode=${actual}, or set its pool_mode`,
  )
}

/** Undefined where it cannot be seen. */
async function seenMode(address: Address, clients: number): Promise<PoolMode | undefined> {
  const idle = await connect(address)
  const busy: pg.Client[] = []
  try {
    if (await refusesTransaction(idle)) {
      cut(idle)
      return 'statement'
    }
    const pid = await pidOf(idle)
    // With the others in transactions, one of them gets the server of the client that is idle; unless that keeps it.
    while (busy.length + 1 < clients) {
      const client = await connect(address)
      busy.push(client)
      const waiting = lentInTransaction(client)
      const got = await Promise.race([waiting, after(WAIT_MS)])
      if (got === pid) return 'transaction'
      if (got !== undefined) continue
      // All servers are lent, and whoever asks now gets one later: unless it still has its own.
      let served = false
      const end = (): void => {
        served = true
      }
      waiting.then(end, end)
      const again = await Promise.race([pidOf(idle), after(WAIT_MS)])
      return again === pid && !served ? 'session' : undefined
    }
    return undefined
  } finally {
    await Promise.all([idle, ...busy].map((client) => client.end().catch(() => {})))
  }
}

/** Begins a transaction, and tells the server it has been lent. */
async function lentInTransaction(client: pg.Client): Promise<number> {
  await client.query('BEGIN')
  return pidOf(client)
}

function after(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(() => resolve(undefined), ms))
}

async function pidOf(client: pg.Client): Promise<number> {
  return (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
}
