/**
 * The deadlines of a client (R14): timestamps compared in the janitor's sweep, never timers. A timeout of 0 is off.
 */

import type { ErrorName } from '../errors.ts'
import { query } from '../protocol/build.ts'
import { TX_IDLE } from '../protocol/types.ts'
import { QUERY, SKIP } from '../replies/reply-kinds.ts'
import type { ClientSession } from './session.ts'

/** End `session` if it has passed a deadline at `at`; called by the janitor. */
export function sweepSession(session: ClientSession, at: number): void {
  const timeout = timeoutOf(session, at)
  if (timeout === 'pin_idle_timeout') endPin(session)
  else if (timeout !== undefined) session.endWith(timeout)
}

/** Free the server of a client that keeps it and does nothing; say to both sides what was in the way. */
function endPin(session: ClientSession): void {
  session.pool!.counters.pinIdleTimeouts++
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
  const { config } = session.ports
  const over = (since: number, limit: number): boolean => limit > 0 && since > 0 && at - since > limit
  switch (session.state) {
    case 'startup':
    case 'login':
      return over(session.info.connectedAt, config.clientLoginTimeout) ? 'client_login_timeout' : undefined
    case 'idle':
      if (over(session.activity.stalledSince, config.clientStallTimeout)) return 'client_stalled'
      return over(session.activity.since, config.clientIdleTimeout) ? 'client_idle_timeout' : undefined
    case 'active': {
      // A base backup or a stream takes its time; whether the client of a stream is well is wal_sender_timeout's to say.
      const unlimited = session.info.replication !== 'none'
      if (unlimited && session.activity.running) return undefined
      if (over(session.activity.stalledSince, config.clientStallTimeout)) return 'client_stalled'
      if (!unlimited && over(transactionStart(session), config.transactionTimeout)) return 'transaction_timeout'
      if (idlesInBatch(session, at)) {
        return over(session.activity.openSince, config.idleTransactionTimeout) ? 'idle_transaction_timeout' : undefined
      }
      if (session.activity.running)
        return over(session.activity.since, config.queryTimeout) ? 'query_timeout' : undefined
      if (session.holds > 0 && session.activity.transactionSince === 0 && at - session.activity.since > HOLD_MS) {
        session.stopKeeping()
        return undefined
      }
      askIfMixed(session, at)
      if (session.lease?.server.txStatus !== TX_IDLE) {
        return over(session.activity.since, config.idleTransactionTimeout) ? 'idle_transaction_timeout' : undefined
      }
      if (session.pinned !== '' && over(session.activity.since, config.pinIdleTimeout)) return 'pin_idle_timeout'
      return over(session.activity.since, config.clientIdleTimeout) ? 'client_idle_timeout' : undefined
    }
    case 'canceling':
    case 'waiting':
    case 'linking':
    case 'inspecting':
    case 'closed':
      return undefined
  }
}

function transactionStart(session: ClientSession): number {
  return session.activity.running || session.lease?.server.txStatus !== TX_IDLE ? session.activity.transactionSince : 0
}

/** A batch without its Sync, all of it answered, is a transaction that idles. Between two sweeps nothing is known. */
function idlesInBatch(session: ClientSession, at: number): boolean {
  const { plan } = session.lease!.server
  if (!session.activity.running || !plan.needsSync || plan.size > 0 || session.info.replication !== 'none') {
    session.activity.openSince = 0
    return false
  }
  session.activity.idlesInBatch(at, session.wire.bytesIn)
  return true
}

/** So long it keeps a server that it need not keep, if it says nothing. */
const HOLD_MS = 100

/** So long the client's own next request is waited for. */
const MIXED_MS = 1000

/** A client that idles behind a mixed batch (ReplyPlan.mixed) would keep its server: an empty Query tells, and ends it. */
function askIfMixed(session: ClientSession, at: number): void {
  const { server } = session.lease!
  if (!server.plan.mixed || !server.plan.settled || at - session.activity.since < MIXED_MS) return
  server.plan.expect(QUERY, SKIP)
  server.content.unnamedGone()
  server.send(EMPTY_QUERY)
}

const EMPTY_QUERY = query('')
