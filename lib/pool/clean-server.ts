/**
 * Carries out what cleanup.ts has decided on, as far as that is a query of pgbun's own: a reset, a question, a look whether
 * the server is still alive. A server that cannot be made clean is closed.
 */

import { randomBytes } from 'node:crypto'
import type { ServerConnection } from '../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../server/internal-query.ts'
import { DISCARD_ALL, isDiscardAll, KEEP_STATEMENTS } from '../settings/reset.ts'
import type { Logger } from '../util/logger.ts'
import { type Cleanup, IDLE_LIMIT } from './cleanup.ts'
import type { FunctionCatalog } from './function-catalog.ts'

/** What is done by a query. */
export type Query = Exclude<Cleanup, { kind: 'nothing' | 'close' | 'drain' }>

/** SQLSTATE where a privilege is missing. */
const NOT_PERMITTED = '42501'

/** Have `server` do what `needed` says; `done` is told whether it is well. One that is not is closed. */
export function cleanServer(
  server: ServerConnection,
  needed: Query,
  functions: FunctionCatalog,
  log: Logger,
  done: (well: boolean) => void,
): void {
  switch (needed.kind) {
    case 'run':
      reset(server, needed.sql, done)
      return
    case 'end-idle-limit':
      endIdleLimit(server, done)
      return
    case 'ask-order':
      askForOrder(server, done)
      return
    case 'ask-role':
      askForRole(server, done)
      return
    case 'ask-functions':
      functions.ask(server, needed.hurried, log, done)
      return
    case 'check':
      check(server, needed.sql, log, done)
  }
}

/** Run the reset `sql`. */
function reset(server: ServerConnection, sql: string, done: (clean: boolean) => void): void {
  InternalQuery.run(server, sql, 'lifted where canceled', (result) => {
    if (result.kind === 'error' && result.error.sqlstate === NOT_PERMITTED && sql === KEEP_STATEMENTS) {
      // A database may keep pg_advisory_unlock_all() from its users.
      reset(server, DISCARD_ALL, done)
      return
    }
    if (result.kind === 'error') giveUp(server, `reset failed: ${result.error.message}`, sql)
    else if (result.kind === 'done' && !server.settled) giveUp(server, 'reset failed: transaction left open', sql)
    if (result.kind !== 'done' || server.state === 'closed') {
      done(false)
      return
    }
    const wholly = sql === KEEP_STATEMENTS || isDiscardAll(sql)
    if (wholly) server.settings.wereReset()
    // What a reset of the operator's own leaves set is not known.
    else server.settings.doubtAll()
    if (isDiscardAll(sql)) server.content.deallocatedAll(server.plan.parsing)
    server.content.wasReset(wholly)
    done(true)
  })
}

function endIdleLimit(server: ServerConnection, done: (well: boolean) => void): void {
  InternalQuery.run(server, `RESET ${IDLE_LIMIT}`, 'hold', (result) => {
    if (result.kind === 'done') server.settings.wasSet(IDLE_LIMIT, undefined)
    else if (result.kind === 'error') server.close(`reset failed: ${result.error.message}`)
    done(result.kind === 'done')
  })
}

/**
 * Whether the answers of `server` are those to what was asked: it is asked something that nobody can have made it say before.
 */
function askForOrder(server: ServerConnection, done: (well: boolean) => void): void {
  const mark = randomBytes(16).toString('hex')
  const asked = (result: InternalQueryResult): void => {
    const answer = result.kind === 'done' ? result.answer.rows() : []
    const proven = answer.length === 1 && answer[0]![0] === mark
    if (proven) server.content.orderProven()
    else if (result.kind !== 'closed') giveUp(server, 'its answers are not in the order of what was asked', mark)
    done(proven)
  }
  InternalQuery.run(server, `SELECT '${mark}'`, 'lifted', asked, 0)
}

/** Whether the role of `server`'s session is still there: PostgreSQL cannot name one that was dropped. */
function askForRole(server: ServerConnection, done: (well: boolean) => void): void {
  server.content.askedForRole()
  InternalQuery.run(server, 'SELECT session_user', 'hold', (result) => {
    server.content.askedForRole()
    if (result.kind === 'error') {
      server.close(`its role is not there any more: ${result.error.message}`)
      server.rolesBecame('gone')
    }
    done(result.kind === 'done')
  })
}

/** Run the liveness check `sql`. */
function check(server: ServerConnection, sql: string, log: Logger, done: (well: boolean) => void): void {
  InternalQuery.run(server, sql, 'lifted where canceled', (result) => {
    if (result.kind === 'closed') {
      log.info('idle server connection was dead', server.about())
    } else if (result.kind === 'error') giveUp(server, `server_check_query failed: ${result.error.message}`, sql)
    done(result.kind === 'done')
  })
}

/** Close `server` because `sql` failed on it: where that is the operator's own, no connection is ever used twice. */
function giveUp(server: ServerConnection, reason: string, sql: string): void {
  server.log.warn(`server connection closed: ${reason}`, { ...server.about(), sql })
  server.close(reason)
}
