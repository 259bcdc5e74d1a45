/**
 * The deadlines of a client (R14): timestamps compared in the janitor's sweep, never timers. A timeout of 0 is off.
 */

import type { ErrorName } from '../errors.ts'
import { query } from '../protocol/build.ts'
import { TX_IDLE } from '../protocol/types.ts'
import { QUERY, SKIP } from '../replies/reply-kinds.ts'
import type { ClientLimits } from '../routing/routes.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { Activity } from './lifecycle/activity.ts'
import type { ClientSession } from './session.ts'

/** End `session` if it has passed a deadline at `at`; called by the janitor. */
export function sweepSession(session: ClientSession, at: number): void {
  const timeout = timeoutOf(session, at)
  if (timeout === 'pin_idle_timeout') endPin(session)
  else if (timeout !== undefined) session.endWith(timeout)
}

/** Free the server of a client that keeps it and does nothing; say to both sides what was in the way. */
function endPin(session: ClientSession): void {
  if (session.link !== undefined) session.link.pool.counters.pinIdleTimeouts++
  const remedy = 'End the session state when it is not needed any more, or raise pin_idle_timeout.'
  session.end({
    kind: 'error',
    name: 'pin_idle_timeout',
    args: { args: { what: session.pinned }, hint: remedy },
    remedy,
  })
}

/** The error of the deadline `session` has passed at `at`, if any. */
function timeoutOf(session: ClientSession, at: number): ErrorName | undefined {
  const { state, activity, link, wire, info } = session
  const { config } = session.ports
  if (state === 'startup' || state === 'login') {
    return over(at, info.connectedAt, config.clientLoginTimeout) ? 'client_login_timeout' : undefined
  }
  if ((state !== 'idle' && state !== 'active') || link === undefined) return undefined
  const limits = session.ports.clientLimits(link.pool.database, info.user)
  const { server } = link
  // A base backup or a stream takes its time; whether the client of a stream is well is wal_sender_timeout's to say.
  if (info.replication !== 'none' && activity.running) return undefined
  if (over(at, activity.stalledSince, config.clientStallTimeout)) return 'client_stalled'
  if (state === 'idle' || server === undefined) {
    return over(at, activity.since, limits.clientIdleTimeout) ? 'client_idle_timeout' : undefined
  }
  if (info.replication === 'none') {
    const limit = transactionLimit(at, activity, server, wire.bytesIn, limits)
    if (limit !== undefined) return limit === 'none' ? undefined : limit
  }
  if (link.effects.transaction.holding && activity.transactionSince === 0 && at - activity.since > HOLD_MS) {
    link.stopKeeping()
    return undefined
  }
  askIfMixed(server, activity, at)
  if (config.serverFastClose && link.mode === 'session' && server.closeReason !== undefined && server.settled) {
    return 'server_fast_close'
  }
  if (server.txStatus !== TX_IDLE) {
    return over(at, activity.since, limits.idleTransactionTimeout) ? 'idle_transaction_timeout' : undefined
  }
  if (session.pinned !== '' && over(at, activity.since, config.pinIdleTimeout)) return 'pin_idle_timeout'
  return over(at, activity.since, limits.clientIdleTimeout) ? 'client_idle_timeout' : undefined
}

function over(at: number, since: number, limit: number): boolean {
  return limit > 0 && since > 0 && at - since > limit
}

/** What a transaction that is under way has exceeded, 'none' where a request runs; undefined where nothing runs. */
function transactionLimit(
  at: number,
  activity: Activity,
  server: ServerConnection,
  bytesIn: number,
  limits: ClientLimits,
): ErrorName | 'none' | undefined {
  const inTransaction = activity.running || server.txStatus !== TX_IDLE
  if (inTransaction && over(at, activity.transactionSince, limits.transactionTimeout)) return 'transaction_timeout'
  // A batch without its Sync, all of it answered, is a transaction that idles.
  if (activity.running && server.plan.needsSync && server.plan.size === 0) {
    activity.idlesInBatch(at, bytesIn)
    return over(at, activity.openSince, limits.idleTransactionTimeout) ? 'idle_transaction_timeout' : 'none'
  }
  activity.openSince = 0
  if (!activity.running) return undefined
  return over(at, activity.since, limits.queryTimeout) ? 'query_timeout' : 'none'
}

/** So long it keeps a server that it need not keep, if it says nothing. */
const HOLD_MS = 100

/** So long the client's own next request is waited for. */
const MIXED_MS = 1000

/** A client that idles behind a mixed batch (ReplyPlan.mixed) would keep its server: an empty Query tells, and ends it. */
function askIfMixed(server: ServerConnection, { since }: Activity, at: number): void {
  if (!server.plan.mixed || !server.plan.settled || at - since < MIXED_MS) return
  server.plan.expect(QUERY, SKIP)
  server.content.unnamedGone()
  server.send(EMPTY_QUERY)
}

const EMPTY_QUERY = query('')
