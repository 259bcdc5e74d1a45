/** What a pool does to a server between two clients: reset it, or look whether it is still alive. */

import type { ServerConnection } from '../server/connection.ts'
import { Drain } from '../server/drain.ts'
import { Task } from '../server/task.ts'
import { UNKNOWN } from '../session/parameters.ts'
import { DISCARD_ALL, DISCARD_SEQUENCES, isDiscardAll, KEEP_STATEMENTS } from '../session/reset.ts'
import type { Logger } from '../util/logger.ts'
import type { ServerLists } from './server-lists.ts'

/** The smallest reset that makes `server` clean for anybody. */
export function smallestReset(server: ServerConnection): string {
  return server.sqlPrepared || server.namesLeft ? DISCARD_ALL : KEEP_STATEMENTS
}

/** What must be run on `server` before client `id` gets it; undefined for nothing. */
export function resetBefore(server: ServerConnection, id: number, readsSequences: boolean): string | undefined {
  if (server.dirty && server.lastUser !== id) return smallestReset(server)
  const foreign = server.sequenceOwner !== 0 && server.sequenceOwner !== id
  return readsSequences && foreign ? DISCARD_SEQUENCES : undefined
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
    if (sql === DISCARD_SEQUENCES) {
      server.sequenceOwner = 0
      done(true)
      return
    }
    if (sql === KEEP_STATEMENTS || isDiscardAll(sql)) {
      server.applied.clear()
      server.sequenceOwner = 0
    }
    // What a reset of the operator's own leaves set is not known.
    else for (const name of server.applied.keys()) server.applied.set(name, UNKNOWN)
    if (isDiscardAll(sql)) {
      server.sqlPrepared = false
      server.namesLeft = false
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

/** Close what takes too long: to get rid of what a client left behind, or to answer the pooler itself. */
export function closeOverdue({ draining, busy }: ServerLists, at: number, taskTimeoutMs: number): void {
  for (const server of draining) {
    if (!(server.consumer instanceof Drain)) continue
    if (at > server.consumer.deadline) server.close('its client left, and what was running did not end in time')
    else server.consumer.cancel()
  }
  for (const server of busy) {
    if (at - server.usedAt > taskTimeoutMs) server.close('a query of the pooler took too long')
  }
}
