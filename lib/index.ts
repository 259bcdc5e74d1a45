/**
 * The library: pgbun inside a program.
 *
 * ```ts
 * import { createPooler } from 'pgbun'
 * const pooler = await createPooler({ listenPort: 6432, poolMode: 'transaction', serverHost: 'db.example.com' })
 * console.log(pooler.address, pooler.snapshot().pools)
 * await pooler.close()
 * ```
 */

import { libraryError, needsRestart } from './config/library-errors.ts'
import { resolveConfig, resolveConfigInTurns } from './config/load.ts'
import type { Config } from './config/options.ts'
import { readOtelEnvironment } from './config/otel-env.ts'
import type { PoolerOptions } from './config/pooler-options.ts'
import { ConfigError } from './config/raw-value.ts'
import { keptUntilRestart } from './config/reload.ts'
import { settingOf } from './config/set-option.ts'
import { VERSION } from './config/version.ts'
import { EMBEDDED } from './daemon/control.ts'
import { startDaemon } from './daemon/daemon.ts'
import type { ListenAddress } from './net/listener.ts'
import type { Snapshot } from './observe/snapshot.ts'
import {
  adaptLogger,
  conventionOf,
  type FieldsFirstLogger,
  type LoggerArguments,
  type MessageFirstLogger,
  missingMethod,
} from './util/foreign-logger.ts'
import { createLogger, type LogControl } from './util/logger.ts'

export type { EndCounts, EndName } from './client/lifecycle/ending.ts'
export type { Config } from './config/options.ts'
export type { PoolerOptions } from './config/pooler-options.ts'
export { ConfigError, type Problem } from './config/raw-value.ts'
export { ListenError } from './daemon/daemon.ts'
export type { ListenAddress } from './net/listener.ts'
export type { ClientSnapshot, HostSnapshot, PoolSnapshot, ServerSnapshot, Snapshot } from './observe/snapshot.ts'
export type { Counters } from './pool/counters.ts'
export type { FieldsFirstLogger, LoggerArguments, MessageFirstLogger } from './util/foreign-logger.ts'

/** A pooler in this process. */
export interface Pooler {
  /** Where clients connect to: the first of `addresses`. */
  readonly address: ListenAddress
  /** Everything it listens on. */
  readonly addresses: readonly ListenAddress[]
  /** Its state as plain data: pools, clients, server connections. */
  snapshot(): Snapshot
  /**
   * Change options while it runs; those not named keep their values. Options that need a restart (the listening
   * addresses, the server) are an error.
   * @throws ConfigError, and changes nothing
   */
  reload(options: PoolerOptions): Promise<void>
  /**
   * Stop: running transactions may end, then every connection is closed.
   * @param options.timeoutMs how long they get, in milliseconds (default `shutdownTimeout`); a second call may give less
   */
  close(options?: { timeoutMs?: number }): Promise<void>
  /** The same as `close()`: `await using pooler = await createPooler()` closes it at the end of the block. */
  [Symbol.asyncDispose](): Promise<void>
}

/** Where a library's log goes. */
export interface PoolerDeps {
  /**
   * A logger of your own. Those that take the message first (console, winston) and those that take the fields first
   * (pino, bunyan, and their children) are told apart by themselves; for others of the second kind, say
   * `loggerArguments: 'fields-first'`. Its own level counts; where it tells none, `logLevel`.
   *
   * `false` is no log. Default: lines of `logFormat` on standard error, from `logLevel` on.
   */
  logger?: MessageFirstLogger | false
  /** What the methods of `logger` take first. Default: found out. */
  loggerArguments?: 'message-first'
  /**
   * Send metrics and spans to a collector, as the variables OTEL_* of the environment say (METRICS.md). Default: false,
   * whatever the environment says.
   */
  openTelemetry?: boolean
}

/** The same for a logger that takes the fields first and that cannot be told from others. */
export interface FieldsFirstDeps {
  /** A logger of your own that takes the fields first, as pino does. */
  logger: FieldsFirstLogger
  /** What the methods of `logger` take first. */
  loggerArguments: 'fields-first'
  openTelemetry?: boolean
}

/**
 * Start a pooler in this process. Options have the names and defaults of CONFIG.md in camelCase; `listenPort: 0` takes
 * any free port, which `address` then tells.
 * @throws ConfigError for a bad option, or a file that cannot be used; ListenError where an address cannot be listened on
 */
export async function createPooler(options?: PoolerOptions, deps?: PoolerDeps): Promise<Pooler>
export async function createPooler(options: PoolerOptions, deps: FieldsFirstDeps): Promise<Pooler>
export async function createPooler(
  options: PoolerOptions = {},
  deps: PoolerDeps | FieldsFirstDeps = {},
): Promise<Pooler> {
  const { config } = inLibrary(() => resolveConfig({ options }))
  const log = makeLog(config, deps)
  const otel = deps.openTelemetry ? readOtelEnvironment() : undefined
  for (const warning of otel?.warnings ?? []) log.warn(warning)
  const daemon = await startDaemon(config, {
    logger: log,
    version: VERSION,
    telemetry: otel?.settings,
    process: {
      ...EMBEDDED,
      set: (name, value) => inTurn(() => set(name, value)),
    },
  }).catch(rethrow)
  let current = { options, config }
  let reloads = Promise.resolve()

  async function reload(changes: PoolerOptions): Promise<void> {
    const options = { ...current.options, ...changes }
    const { config: next } = await resolveConfigInTurns({ options }).catch(rethrow)
    const fixed = keptUntilRestart(current.config, next)
    if (fixed.length > 0) throw needsRestart(fixed)
    await daemon.reload(next).catch(rethrow)
    current = { options, config: next }
    log.setLevel(next.logLevel)
  }

  /** SET at the console. */
  async function set(name: string, value: string): Promise<void> {
    await reload(settingOf(name, value))
  }

  /** One after the other: each builds on what the last has left. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    const done = reloads.then(work)
    reloads = done.catch(() => {})
    return done
  }

  return {
    address: daemon.addresses[0]!,
    addresses: daemon.addresses,
    snapshot: () => daemon.snapshot(),
    reload: (changes) => inTurn(() => reload(changes)),
    close: (closeOptions) => daemon.close(closeOptions),
    [Symbol.asyncDispose]: () => daemon.close(),
  }
}

function makeLog(config: Config, { logger, loggerArguments }: PoolerDeps | FieldsFirstDeps): LogControl {
  if (logger) {
    const missing = missingMethod(logger)
    if (missing) throw new ConfigError([{ where: 'logger', message: `Has no method ${missing}` }])
    const order: LoggerArguments = loggerArguments ?? conventionOf(logger)
    return adaptLogger(logger, order, config.logLevel)
  }
  const format = config.logFormat === 'json' ? 'json' : 'text'
  return createLogger({ level: config.logLevel, format, ...(logger === false && { write: () => {} }) })
}

function inLibrary<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    return rethrow(error)
  }
}

function rethrow(error: unknown): never {
  throw libraryError(error)
}
