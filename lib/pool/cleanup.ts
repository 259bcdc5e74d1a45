/**
 * What a pool does with a server before another client gets it: the one place where that is decided. Pure:
 * upkeep.ts carries it out.
 *
 * Holds: a server is lent to a client only where the decision for that client was 'nothing'. The reset is the smallest
 * that is safe; the client that used a server last gets it back as it is, unless the server was disowned.
 */

import type { ServerState } from '../server/ports.ts'
import type { SessionContent } from '../server/session-content.ts'
import { DISCARD_ALL, KEEP_STATEMENTS } from '../settings/reset.ts'
import type { ServerSettings } from '../settings/server-settings.ts'
import type { LeaseOutcome } from './lease.ts'
import type { PoolMode, PoolSettings } from './settings.ts'

/** When a server is looked at. */
export type Moment =
  /** A lease has ended so. */
  | Exclude<LeaseOutcome, 'broken'>
  /** What a lease has left has come to its end. */
  | 'drained'
  /** Nothing holds the server any more: no lease, no query of pgbun's own. */
  | 'free'
  /** A client is to get the server. */
  | 'wanted'
  /** The janitor passes by an idle server. */
  | 'idle'

/** What is to be done. */
export type Cleanup =
  | { readonly kind: 'nothing' }
  /** Let what the lease has left come to its end; `cancel` what runs, unless its client may rely on it. */
  | { readonly kind: 'drain'; readonly cancel: boolean }
  | { readonly kind: 'close'; readonly reason: string }
  /** Run this, which resets the session. */
  | { readonly kind: 'run'; readonly sql: string }
  /** Reset `idle_session_timeout`, where nothing else need be. */
  | { readonly kind: 'end-idle-limit' }
  /** Ask something that has one answer: whether the next one that comes is the answer to what is asked next. */
  | { readonly kind: 'ask-order' }
  /** Ask whether the role of the session is still there. */
  | { readonly kind: 'ask-role' }
  /** Ask for the functions of the database; `hurried` where a client may wait. */
  | { readonly kind: 'ask-functions'; readonly hurried: boolean }
  /** Run this to see whether the server is alive. */
  | { readonly kind: 'check'; readonly sql: string }

/** What is known of the server. */
export interface CleanupServer {
  readonly content: SessionContent
  readonly settings: ServerSettings
  readonly state: ServerState
  /** The server owes nothing and is in no transaction. */
  readonly settled: boolean
  /** Cancel requests under way towards it. */
  readonly cancels: number
  /** Why it is not to be used again. */
  readonly closeReason: string | undefined
  readonly openedAt: number
  readonly usedAt: number
  /** Which part of `server_lifetime` it lives for. */
  readonly lifetimeShare: number
}

/** What is known of its pool. */
export interface CleanupPool {
  readonly settings: PoolSettings
  readonly functions: CleanupCatalog
  /** How many servers the pool has. */
  readonly connected: number
  /** Nobody is served any more. */
  readonly closing: boolean
}

/** What is known of the functions of the database (function-catalog.ts). */
export interface CleanupCatalog {
  /** Of the last change of what sessions begin with. */
  readonly defaultsStamp: number
  /** The functions are to be asked for before a server with `content` is lent. */
  wanted(content: SessionContent): boolean
  /** The functions are to be asked for where a server is idle. */
  overdue(at: number): boolean
}

const NOTHING: Cleanup = { kind: 'nothing' }
const DRAIN: Cleanup = { kind: 'drain', cancel: false }
const CANCEL: Cleanup = { kind: 'drain', cancel: true }
const END_IDLE_LIMIT: Cleanup = { kind: 'end-idle-limit' }
const ASK_ORDER: Cleanup = { kind: 'ask-order' }
const ASK_ROLE: Cleanup = { kind: 'ask-role' }
const ASK_HURRIED: Cleanup = { kind: 'ask-functions', hurried: true }
const ASK: Cleanup = { kind: 'ask-functions', hurried: false }

/** In the place of a client's number. */
const NOBODY = 0

/** PostgreSQL ends a session that idles for longer: its client's, and nobody else's who has just got the server. */
export const IDLE_LIMIT = 'idle_session_timeout'

/**
 * What is to be done with `server` of `pool` at this `moment`, which is `at`.
 * @param mode of the lease that has ended, or begins
 * @param client number of the client that is to get the server
 */
export function cleanup(
  moment: Moment,
  server: CleanupServer,
  pool: CleanupPool,
  at: number,
  mode: PoolMode = 'transaction',
  client = NOBODY,
): Cleanup {
  switch (moment) {
    case 'done':
      // No reset of a session may be hit by a cancel request that is under way.
      return (mode === 'session' || pool.settings.resetAlways) && server.cancels > 0
        ? DRAIN
        : afterLease(server, pool, at, mode)
    case 'abandoned':
    case 'finishing':
      if (server.settled && server.cancels === 0) return afterLease(server, pool, at, mode)
      return moment === 'abandoned' ? CANCEL : DRAIN
    case 'drained':
      return afterLease(server, pool, at, mode)
    case 'free':
      return close(reasonToClose(server, pool)) ?? NOTHING
    case 'wanted':
      return beforeLease(server, pool, at, client)
    case 'idle':
      return whileIdle(server, pool, at)
  }
}

function afterLease(server: CleanupServer, pool: CleanupPool, at: number, mode: PoolMode): Cleanup {
  const closing = close(reasonToRetire(server, pool, at))
  if (closing !== undefined) return closing
  const { content } = server
  const { resetQuery, resetAlways } = pool.settings
  if ((mode === 'session' || resetAlways) && resetQuery !== '') return { kind: 'run', sql: resetQuery }
  // Nobody may have it as it is: its locks and its listening end now, not when somebody needs it.
  if (content.dirty && content.lastUser === NOBODY) return smallestReset(content)
  // Without a reset query the operator vouches for what a session leaves behind.
  if (mode === 'session') return NOTHING
  return (server.settings.applied(IDLE_LIMIT) ?? '0') === '0' ? NOTHING : END_IDLE_LIMIT
}

function beforeLease(server: CleanupServer, pool: CleanupPool, at: number, client: number): Cleanup {
  const closing = close(reasonToClose(server, pool))
  if (closing !== undefined) return closing
  const { content } = server
  // First of all: what answers a reset would be taken for something else.
  if (content.orderDoubted) return ASK_ORDER
  if (content.needsReset && content.lastUser !== client) return smallestReset(content)
  if (content.roleDoubted) return ASK_ROLE
  if (pool.functions.wanted(content)) return ASK_HURRIED
  const { checkQuery, checkDelayMs } = pool.settings
  if (checkQuery === undefined || server.state !== 'idle' || at - server.usedAt < checkDelayMs) return NOTHING
  return { kind: 'check', sql: checkQuery }
}

function whileIdle(server: CleanupServer, pool: CleanupPool, at: number): Cleanup {
  const closing = close(reasonToRetire(server, pool, at))
  if (closing !== undefined) return closing
  if (server.content.orderDoubted) return ASK_ORDER
  // Its client did not come back at once; the next one shall not have to wait for the reset.
  if (server.content.needsReset) return smallestReset(server.content)
  return pool.functions.overdue(at) || pool.functions.wanted(server.content) ? ASK : NOTHING
}

/** The smallest reset that makes a session clean for anybody. */
function smallestReset({ sqlPrepared, names }: SessionContent): Cleanup {
  return { kind: 'run', sql: sqlPrepared || !names.none ? DISCARD_ALL : KEEP_STATEMENTS }
}

function close(reason: string | undefined): Cleanup | undefined {
  return reason === undefined ? undefined : { kind: 'close', reason }
}

/** Why `server` is not to be used again; undefined where it is. */
function reasonToClose(server: CleanupServer, { closing, functions }: CleanupPool): string | undefined {
  if (server.closeReason !== undefined) return server.closeReason
  const { defaultsStamp, loaded } = server.content
  if (defaultsStamp !== functions.defaultsStamp) {
    return 'ALTER ROLE or ALTER DATABASE has changed what sessions begin with'
  }
  // A library that was loaded stays in the process: no reset takes it away.
  return closing ? 'shutting down' : loaded ? 'its client has run LOAD' : undefined
}

/** Why `server` is not to be kept at `at`, idle or come back a moment ago; undefined where it is. */
function reasonToRetire(server: CleanupServer, pool: CleanupPool, at: number): string | undefined {
  const reason = reasonToClose(server, pool)
  if (reason !== undefined) return reason
  const { lifetimeMs, idleTimeoutMs, size, reserveSize, minSize } = pool.settings
  if (lifetimeMs > 0 && at - server.openedAt > lifetimeMs * server.lifetimeShare) return 'server_lifetime'
  const { connected } = pool
  if (connected > size + reserveSize) return 'pool_size was made smaller'
  const unused = server.state === 'idle' && connected > minSize
  return unused && idleTimeoutMs > 0 && at - server.usedAt > idleTimeoutMs ? 'server_idle_timeout' : undefined
}
