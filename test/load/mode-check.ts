/** Which mode pgbun is in, as far as a client can see it. */
import type pg from 'pg'
import type { Address } from './arguments.ts'
import { connect, cut, refusesTransaction } from './client.ts'
import type { PoolMode } from './scenario.ts'

/** Who waits for so long gets no server; a slow machine must not pass for session mode where that would be an error. */
const WAIT_MS = { session: 1000, transaction: 3000, statement: 3000 }

/**
 * @param clients how many sessions may be opened for that, at the same time
 * @throws Error where pgbun is seen to be in another mode than `expected`
 */
export async function checkMode(address: Address, expected: PoolMode, clients: number): Promise<void> {
  const actual = await seenMode(address, Math.max(2, clients), WAIT_MS[expected])
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
async function seenMode(address: Address, clients: number, waitMs: number): Promise<PoolMode | undefined> {
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
      const next = lent(address, busy)
      const got = await Promise.race([next, new Promise<void>((resolve) => setTimeout(resolve, waitMs))])
      if (got === pid) return 'transaction'
      if (typeof got === 'number') continue
      // There are no more servers. Does it get that one as soon as the client leaves?
      await idle.end()
      return (await next) === pid ? 'session' : undefined
    }
    return undefined
  } finally {
    await Promise.all([idle, ...busy].map((client) => client.end().catch(() => {})))
  }
}

/** A client in a transaction: the server it has been lent. */
async function lent(address: Address, clients: pg.Client[]): Promise<number> {
  const client = await connect(address)
  clients.push(client)
  await client.query('BEGIN')
  return pidOf(client)
}

async function pidOf(client: pg.Client): Promise<number> {
  return (await client.query('SELECT pg_backend_pid() AS pid')).rows[0].pid
}
