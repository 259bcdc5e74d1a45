/**
 * `health_check_query`: a host is well that answers it, unless with false. Run on a connection of its own, with what some
 * pool of the host logs in with; where there is none yet, nothing is asked.
 */

import { type HostAddress, hostPort } from '../config/hosts.ts'
import { isHostFault } from '../pool/opening.ts'
import type { Pool } from '../pool/pool.ts'
import type { ServerConnection } from '../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../server/internal-query.ts'
import type { ServerOwner } from '../server/ports.ts'
import { after } from '../util/clock.ts'
import { List } from '../util/list.ts'
import type { ServerAccess } from './server-access.ts'

/** PostgreSQL, the role or the database has no connection left. */
const TOO_MANY_CONNECTIONS = '53300'

/** Keeps one connection for as long as it is asked. */
class HealthCheck implements ServerOwner<ServerConnection> {
  readonly #list = new List<ServerConnection>('checked')

  listOf(): List<ServerConnection> {
    return this.#list
  }

  onServerParameter(): void {}

  onServerGone(): void {}

  onServerFree(): void {}
}

/**
 * Ask `host`, as one of `pools` logs in there. Rejects with the reason why it is not well: it does not answer in time, or
 * with an error, or with false.
 * @param sql one statement; false as the first value of its answer says that the host is not to be used
 */
export async function runHealthQuery(
  access: ServerAccess,
  pools: Iterable<Pool>,
  host: HostAddress,
  sql: string,
  timeoutMs: number,
): Promise<void> {
  const pool = poolOn(pools, hostPort(host))
  if (pool === undefined) return
  let server: ServerConnection
  try {
    server = await access.openOn(host, pool, pool.credentials, new HealthCheck())
  } catch (error) {
    // Another password, or no room: that says nothing of the host.
    if (isHostFault(error) && error.sqlstate !== TOO_MANY_CONNECTIONS) throw error
    return
  }
  try {
    const result = await answer(server, sql, timeoutMs)
    const reason = reasonOf(result)
    if (reason !== undefined) throw new Error(`health_check_query: ${reason}`)
  } finally {
    // It goes on running otherwise.
    if (!server.settled) await access.cancel(server)
    server.close('the health check is over')
  }
}

/** One of those that lead to the host with `key`, and can log in. */
function poolOn(pools: Iterable<Pool>, key: string): Pool | undefined {
  for (const pool of pools) {
    const { target, credentials } = pool
    if (target.user === undefined && credentials.kind === 'none' && pool.connected === 0) continue
    if (target.hosts.some((host) => hostPort(host) === key)) return pool
  }
  return undefined
}

function answer(server: ServerConnection, sql: string, timeoutMs: number): Promise<InternalQueryResult> {
  return new Promise((resolve, reject) => {
    const cancel = after(timeoutMs, () => reject(new Error(`health_check_query: no answer within ${timeoutMs} ms`)))
    InternalQuery.run(server, sql, 'hold', (result) => {
      cancel()
      resolve(result)
    })
  })
}

/** Why a host with this answer is not well; undefined where it is. */
function reasonOf(result: InternalQueryResult): string | undefined {
  if (result.kind === 'closed') return 'the connection was lost'
  if (result.kind === 'error') return result.error.message
  return result.answer.rows()[0]?.[0] === 'f' ? 'the answer is false' : undefined
}
