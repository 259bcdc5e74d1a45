/** The settings of one pool, from the configuration. Times in milliseconds. */

import { type Config, scopedValue } from '../config/options.ts'
import type { Limits } from './server-limits.ts'

/** When a server goes back into the pool: at the end of the session, the transaction or the statement. */
export type PoolMode = 'session' | 'transaction' | 'statement'

/**
 * What becomes of session state that cannot follow a client of transaction or statement mode: the client keeps its
 * server, is refused the statement, or loses the state.
 */
export type StatePolicy = 'pin' | 'error' | 'reset'

/** What a pool is held to. */
export interface PoolSettings {
  mode: PoolMode
  sessionState: StatePolicy
  /** Ask PostgreSQL which functions may leave session state, where servers are shared. */
  checkFunctions: boolean
  size: number
  minSize: number
  reserveSize: number
  reserveTimeoutMs: number
  roundRobin: boolean
  /** Run when a session ends; '' for nothing. */
  resetQuery: string
  /** Run at the end of each transaction or statement, too. */
  resetAlways: boolean
  /** Run on each new connection; '' for nothing. */
  connectQuery: string
  /** Run before a server idle for `checkDelayMs` is lent; undefined for no check. */
  checkQuery: string | undefined
  checkDelayMs: number
  connectTimeoutMs: number
  idleTimeoutMs: number
  lifetimeMs: number
  loginRetryMs: number
  /** So long clients wait while no host can be used, instead of being refused. */
  outageGraceMs: number
  /** Standbys are read from (`route_reads`). */
  routesReads: boolean
  /** `read_after_write`, `max_replica_lag`. */
  readAfterWriteMs: number
  maxReplicaLagMs: number
  queryWaitTimeoutMs: number
  queryWaitNotifyMs: number
  /** Short requests are sent behind those of other clients (`server_pipelining`), as long as the work under way is expected to take no more than so much. */
  pipelines: boolean
  pipeliningBudgetMs: number
  /** How long one may keep those behind it waiting (`server_pipelining_max_wait`). */
  pipeliningMaxWaitMs: number
  /** How long a server may take to get rid of what a vanished client left running. */
  drainTimeoutMs: number
}

/** The settings of the pool of `database` and `user` in a configuration. */
export function poolSettings(config: Config, database: string, user: string): PoolSettings {
  const scoped = <K extends Parameters<typeof scopedValue>[1]>(key: K): Config[K] => {
    return scopedValue(config, key, database, user) as Config[K]
  }
  return {
    mode: scoped('poolMode'),
    sessionState: scoped('sessionState'),
    checkFunctions: config.checkFunctions,
    size: scoped('poolSize'),
    minSize: scoped('minPoolSize'),
    reserveSize: scoped('reservePoolSize'),
    reserveTimeoutMs: config.reservePoolTimeout,
    roundRobin: config.serverRoundRobin,
    resetQuery: config.serverResetQuery,
    resetAlways: config.serverResetQueryAlways,
    connectQuery: scoped('connectQuery'),
    checkQuery: config.serverCheckQuery === 'none' ? undefined : config.serverCheckQuery,
    checkDelayMs: config.serverCheckDelay,
    connectTimeoutMs: config.serverConnectTimeout,
    idleTimeoutMs: config.serverIdleTimeout,
    lifetimeMs: scoped('serverLifetime'),
    loginRetryMs: config.serverLoginRetry,
    outageGraceMs: scoped('outageGrace'),
    routesReads: scoped('routeReads') === 'replicas',
    readAfterWriteMs: scoped('readAfterWrite'),
    maxReplicaLagMs: scoped('maxReplicaLag'),
    queryWaitTimeoutMs: scoped('queryWaitTimeout'),
    queryWaitNotifyMs: config.queryWaitNotify,
    pipelines: scoped('serverPipelining') === 'auto',
    pipeliningBudgetMs: config.serverPipeliningBudget,
    pipeliningMaxWaitMs: config.serverPipeliningMaxWait,
    drainTimeoutMs: config.cancelWaitTimeout,
  }
}

/** What `max_server_connections` is by default: PostgreSQL has 100 for all of its clients. */
const MOST = 90

/** How many connections there may be to one host, in a database, of a user. */
export function serverLimits(config: Config, database: string, user: string): Limits {
  const { maxServerConnections, poolSize, reservePoolSize } = config
  return {
    host: maxServerConnections || Math.max(MOST, poolSize + reservePoolSize),
    database: scopedValue(config, 'maxDbConnections', database, user),
    user: scopedValue(config, 'maxUserConnections', database, user),
  }
}

/** How many connections there may be: `pool_size`, and the reserve once `first`, of those that wait, has for too long. */
export function connectionLimit(
  { size, reserveSize, reserveTimeoutMs }: PoolSettings,
  first: { readonly waitingSince: number } | null,
  at: number,
): number {
  if (reserveSize === 0 || reserveTimeoutMs === 0 || first === null) return size
  return at - first.waitingSince < reserveTimeoutMs ? size : size + reserveSize
}

/** What a client is told that has waited too long. */
export function whyWaiting({
  settings,
  database,
  user,
}: {
  settings: PoolSettings
  database: string
  user: string
}): string {
  return `All ${settings.size} servers of database "${database}", user "${user}" are in use (pool_size).`
}
