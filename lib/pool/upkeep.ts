/** What a pool does to a server between two clients: reset it, or look whether it is still alive. */

import type { ServerConnection } from '../server/connection.ts'
import { Drain } from '../server/drain.ts'
import { Task } from '../server/task.ts'
import { UNKNOWN } from '../session/parameters.ts'
import { DISCARD_ALL, isDiscardAll, KEEP_STATEMENTS } from '../session/reset.ts'
import type { List } from '../util/list.ts'
import type { Logger } from '../util/logger.ts'
import type { PoolSettings } from './settings.ts'

/** True where `server` is older than `server_lifetime` allows. */
export function expired(server: ServerConnection, { lifetimeMs }: PoolSettings, at: number): boolean {
  return lifetimeMs > 0 && at - server.openedAt > server.lifetimeMs
}

/** Close what has not become free in time. */
export function closeLate(
  draining: List<ServerConnection>,
  busy: List<ServerConnection>,
  { connectTimeoutMs }: PoolSettings,
  at: number,
): void {
  for (const server of draining) {
    if (!(server.consumer instanceof Drain) || at <= server.consumer.deadline) continue
    server.closeReason = 'its client left, and what was running did not end in time'
    server.close(server.closeReason)
  }
  for (const server of busy) {
    if (at - server.usedAt > connectTimeoutMs) server.close('a reset or check took too long')
  }
}

/** The smallest reset that makes `server` clean for anybody. */
export function smallestReset(server: ServerConnection): string {
  return server.sqlPrepared ? DISCARD_ALL : KEEP_STATEMENTS
}

/** Run the reset `sql`; `done` is told whether the server is clean. One that cannot be reset is closed. */
export function resetServer(server: ServerConnection, sql: string, done: (clean: boolean) => void): void {
  Task.run(server, sql, (result) => {
    if (result.kind === 'error') server.close(`reset failed: ${result.error.message}`)
    else if (result.kind === 'done' && !server.settled) server.close('reset failed: transaction left open')
    if (result.kind !== 'done' || server.state === 'closed') {
      done(false)
      return
    }
    if (sql === KEEP_STATEMENTS || isDiscardAll(sql)) server.applied.clear()
    // What a reset of the operator's own leaves set is not known.
    else for (const name of server.applied.keys()) server.applied.set(name, UNKNOWN)
    if (isDiscardAll(sql)) {
      server.sqlPrepared = false
      server.statements.clear()
    }
    server.dirty = false
    server.lastUser = 0
    done(true)
  })
}

/** Run the liveness check `sql`; `done` is told whether the server is well. One that is not is closed. */
export function checkServer(server: ServerConnection, sql: string, log: Logger, done: (well: boolean) => void): void {
  Task.run(server, sql, (result) => {
    if (result.kind === 'closed') {
      log.info('idle server connection was dead', { server: server.id, address: server.identity.address })
    } else if (result.kind === 'error') server.close(`server_check_query failed: ${result.error.message}`)
    done(result.kind === 'done')
  })
}
