/** What a pool does to a server between two clients: reset it, or look whether it is still alive. */

import { query } from '../protocol/build.ts'
import { QUERY, SKIP } from '../replies/reply-kinds.ts'
import type { ServerConnection } from '../server/connection.ts'
import { Drain } from '../server/drain.ts'
import { InternalQuery } from '../server/internal-query.ts'
import type { PlanRef } from '../server/ports.ts'
import { DISCARD_ALL, DISCARD_SEQUENCES, isDiscardAll, KEEP_STATEMENTS } from '../settings/reset.ts'
import { mayWait, OWN_TRANSACTION } from '../settings/settings-sql.ts'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { FunctionCatalog } from './function-catalog.ts'
import type { LeaseOutcome } from './lease.ts'
import type { PoolPorts } from './ports.ts'
import type { ServerLists } from './server-lists.ts'
import type { PoolMode, PoolSettings } from './settings.ts'

/** The smallest reset that makes `server` clean for anybody. */
export function smallestReset(server: ServerConnection): string {
  return server.content.sqlPrepared || !server.content.names.none ? DISCARD_ALL : KEEP_STATEMENTS
}

/** What must be run on `server` before client `id` gets it; undefined for nothing. */
export function resetBefore(server: ServerConnection, id: number): string | undefined {
  return server.content.needsReset && server.content.lastUser !== id ? smallestReset(server) : undefined
}

/**
 * Take from `server` the values sequences gave to others, in front of what client `id` sends next: it cannot fail, so
 * that nobody need wait for its answer.
 */
export function forgetSequences(server: ServerConnection, id: number): void {
  server.plan.expect(QUERY, SKIP, FORGETTING)
  server.content.unnamedGone()
  server.send(mayWait(server.settings) ? FORGET_AT_ONCE : FORGET_SEQUENCES)
  server.content.sequencesForgotten(id)
}

const FORGET_SEQUENCES = query(DISCARD_SEQUENCES)
const FORGET_AT_ONCE = query(OWN_TRANSACTION + DISCARD_SEQUENCES)
const FORGETTING: PlanRef = { answered() {}, dropped() {} }

/** True while that is what `server` answers next: a cancel request would have it fail. */
export function forgetsSequences(server: ServerConnection): boolean {
  return server.plan.ref === FORGETTING
}

/** Makes a server ready, and says whether it is well. */
export type Preparation = (done: (well: boolean) => void) => void

/** What `server` is prepared with. */
export interface PreparationNeeds {
  readonly settings: PoolSettings
  readonly functions: FunctionCatalog
}

/** What must be done with `server` before client `id` gets it; undefined for nothing. */
export function preparation(
  server: ServerConnection,
  id: number,
  { settings, functions }: PreparationNeeds,
  log: Logger,
): Preparation | undefined {
  if (functions.enabled) server.content.functionsKnown(functions.stamp)
  const reset = resetBefore(server, id)
  if (reset !== undefined) return (done) => resetServer(server, reset, done)
  if (server.content.roleDoubted) return (done) => askForRole(server, done)
  if (functions.wanted(server)) return (done) => functions.ask(server, true, log, done)
  const { checkQuery, checkDelayMs } = settings
  if (checkQuery === undefined || server.state !== 'idle' || now() - server.usedAt < checkDelayMs) return undefined
  return (done) => checkServer(server, checkQuery, log, done)
}

/** Whether the role of `server`'s session is still there: PostgreSQL cannot name one that was dropped. */
function askForRole(server: ServerConnection, done: (well: boolean) => void): void {
  server.content.askedForRole()
  InternalQuery.run(server, 'SELECT session_user', 'hold', (result) => {
    server.content.askedForRole()
    if (result.kind === 'error') {
      server.close(`its role is not there any more: ${result.error.message}`)
      server.owner.onRoles?.('gone')
    }
    done(result.kind === 'done')
  })
}

/** The reset that `server` needs as soon as it comes back from a lease of `mode`; undefined for none. */
export function resetAfter(
  server: ServerConnection,
  mode: PoolMode,
  { resetQuery }: PoolSettings,
): Preparation | undefined {
  if (mode === 'session' && resetQuery !== '') return (done) => resetServer(server, resetQuery, done)
  // Nobody may have it as it is: its locks and its listening end now, not when somebody needs it.
  if (server.content.dirty && server.content.lastUser === 0)
    return (done) => resetServer(server, smallestReset(server), done)
  // Without a reset query the operator vouches for what a session leaves behind.
  if (mode === 'session') server.content.vouchedFor()
  else if ((server.settings.applied(IDLE_LIMIT) ?? '0') !== '0') return (done) => endIdleLimit(server, done)
  return undefined
}

/** PostgreSQL ends a session that idles for longer: its client's, and nobody else's who has just got the server. */
const IDLE_LIMIT = 'idle_session_timeout'

function endIdleLimit(server: ServerConnection, done: (well: boolean) => void): void {
  InternalQuery.run(server, `RESET ${IDLE_LIMIT}`, 'hold', (result) => {
    if (result.kind === 'done') server.settings.wasSet(IDLE_LIMIT, undefined)
    else if (result.kind === 'error') server.close(`reset failed: ${result.error.message}`)
    done(result.kind === 'done')
  })
}

/** Close what was idle for too long, and have the others `prepare`d that need it. */
export function sweepIdle(
  idle: Iterable<ServerConnection>,
  at: number,
  needs: RetirementNeeds,
  closing: boolean,
  log: Logger,
  prepare: (server: ServerConnection, needed: Preparation) => void,
): void {
  for (const server of idle) {
    const reason = reasonToRetire(server, at, needs, closing)
    const needed = reason === undefined ? idlePreparation(server, at, needs.functions, log) : undefined
    if (reason !== undefined) server.close(reason)
    else if (needed !== undefined) prepare(server, needed)
  }
}

/** What is done with `server`, which is idle; undefined for nothing. */
function idlePreparation(
  server: ServerConnection,
  at: number,
  functions: FunctionCatalog,
  log: Logger,
): Preparation | undefined {
  // Its client did not come back at once; the next one shall not have to wait for the reset.
  if (server.content.needsReset) return (done) => resetServer(server, smallestReset(server), done)
  return functions.overdue(at) || functions.wanted(server)
    ? (done) => functions.ask(server, false, log, done)
    : undefined
}

/**
 * Whether `server`, of which a lease has ended, has to come to an end of what is left first; and no reset of a session may
 * be hit by a cancel request that is under way.
 */
export function needsDrain(server: ServerConnection, mode: PoolMode, outcome: LeaseOutcome): boolean {
  if (outcome === 'done') return mode === 'session' && server.cancels > 0
  if (server.settled && server.cancels === 0) return false
  server.content.leftState()
  return true
}

/** Have `server` come to an end of what its lease has left; `done` is called then. */
export function drain(
  server: ServerConnection,
  outcome: LeaseOutcome,
  { drainTimeoutMs }: PoolSettings,
  ports: PoolPorts,
  done: () => void,
): void {
  const cancel = (target: ServerConnection): void => void ports.cancel(target)
  new Drain(server, outcome === 'finishing' ? undefined : cancel, drainTimeoutMs, done)
}

/** Close what nobody uses, and have the rest closed as it comes back. */
export function retireServers(lists: ServerLists, reason: string): void {
  for (const server of [...lists.idle, ...lists.beingCanceled]) server.close(reason)
  for (const server of lists.all()) server.closeReason ??= reason
}

/** Why `server`, which comes back, is not to be used again; undefined where it is. */
export function reasonToClose(
  server: ServerConnection,
  closing: boolean,
  { defaultsStamp }: FunctionCatalog,
): string | undefined {
  if (server.closeReason !== undefined) return server.closeReason
  if (server.content.defaultsStamp !== defaultsStamp)
    return 'ALTER ROLE or ALTER DATABASE has changed what sessions begin with'
  // A library that was loaded stays in the process: no reset takes it away.
  return closing ? 'shutting down' : server.content.loaded ? 'its client has run LOAD' : undefined
}

/** What decides whether a server is kept; `connected` is how many there are. */
interface RetirementNeeds extends PreparationNeeds {
  readonly connected: number
}

/** Why `server`, one of so many, is closed at `at`, idle or come back a moment ago; undefined where it is not. */
export function reasonToRetire(
  server: ServerConnection,
  at: number,
  { settings, functions, connected }: RetirementNeeds,
  closing: boolean,
): string | undefined {
  const reason = reasonToClose(server, closing, functions)
  if (reason !== undefined) return reason
  const { lifetimeMs, idleTimeoutMs } = settings
  if (lifetimeMs > 0 && at - server.openedAt > lifetimeMs * server.lifetimeShare) return 'server_lifetime'
  if (connected > settings.size + settings.reserveSize) return 'pool_size was made smaller'
  const unused = server.state === 'idle' && connected > settings.minSize
  return unused && idleTimeoutMs > 0 && at - server.usedAt > idleTimeoutMs ? 'server_idle_timeout' : undefined
}

/** Close `server` because `sql` failed on it: where that is the operator's own, no connection is ever used twice. */
function giveUp(server: ServerConnection, reason: string, sql: string): void {
  server.log.warn(`server connection closed: ${reason}`, { ...server.about(), sql })
  server.close(reason)
}

/** SQLSTATE where a privilege is missing. */
const NOT_PERMITTED = '42501'

/** Run the reset `sql`; `done` is told whether the server is clean. One that cannot be reset is closed. */
export function resetServer(server: ServerConnection, sql: string, done: (clean: boolean) => void): void {
  InternalQuery.run(server, sql, 'lifted where canceled', (result) => {
    if (result.kind === 'error' && result.error.sqlstate === NOT_PERMITTED && sql === KEEP_STATEMENTS) {
      // A database may keep pg_advisory_unlock_all() from its users.
      resetServer(server, DISCARD_ALL, done)
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

/** Run the liveness check `sql`; `done` is told whether the server is well. One that is not is closed. */
export function checkServer(server: ServerConnection, sql: string, log: Logger, done: (well: boolean) => void): void {
  InternalQuery.run(server, sql, 'lifted where canceled', (result) => {
    if (result.kind === 'closed') {
      log.info('idle server connection was dead', server.about())
    } else if (result.kind === 'error') giveUp(server, `server_check_query failed: ${result.error.message}`, sql)
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
