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

import { resolveConfig } from './config/load.ts'
import type { Config, PoolerOptions } from './config/options.ts'
import { diffConfig } from './config/reload.ts'
import { VERSION } from './config/version.ts'
import { startDaemon } from './daemon/daemon.ts'
import type { ListenAddress } from './net/listener.ts'
import type { Snapshot } from './observe/snapshot.ts'
import { createLogger, type LogControl, type Logger } from './util/logger.ts'

export type { Config, PoolerOptions } from './config/options.ts'
export type { ListenAddress } from './net/listener.ts'
export type { ClientSnapshot, PoolSnapshot, ServerSnapshot, Snapshot } from './observe/snapshot.ts'
export type { Counters } from './session/counters.ts'
export type { Logger } from './util/logger.ts'

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
}

/** Where a library's log goes. */
export interface PoolerDeps {
  /** Default: lines of `logFormat` on standard error, from `logLevel` on; `false` for none. */
  logger?: Logger | false
}

/**
 * Start a pooler in this process. Options have the names and defaults of CONFIG.md in camelCase; `listenPort: 0` takes
 * any free port, which `address` then tells.
 * @throws ConfigError for a bad option; ListenError where an address cannot be listened on
 */
export async function createPooler(options: PoolerOptions = {}, deps: PoolerDeps = {}): Promise<Pooler> {
  const { config } = resolveConfig({ options })
  const own = deps.logger ? undefined : createDefaultLogger(config, deps.logger)
  const daemon = await startDaemon(config, { logger: deps.logger || own!, version: VERSION })
  let current = { options, config }
  let reloads = Promise.resolve()

  async function reload(changes: PoolerOptions): Promise<void> {
    const options = { ...current.options, ...changes }
    const next = resolveConfig({ options }).config
    const [fixed] = diffConfig(current.config, next).needsRestart
    if (fixed !== undefined)
      throw new Error(`${fixed} cannot change while pgbun runs: close this pooler, start another`)
    await daemon.reload(next)
    current = { options, config: next }
    own?.setLevel(next.logLevel)
  }

  return {
    address: daemon.addresses[0]!,
    addresses: daemon.addresses,
    snapshot: () => daemon.snapshot(),
    reload(changes) {
      // One after the other: each builds on what the last has left.
      const done = reloads.then(() => reload(changes))
      reloads = done.catch(() => {})
      return done
    },
    close: (closeOptions) => daemon.close(closeOptions),
  }
}

function createDefaultLogger(config: Config, wanted: false | undefined): LogControl {
  const format = config.logFormat === 'json' ? 'json' : 'text'
  return createLogger({ level: config.logLevel, format, ...(wanted === false && { write: () => {} }) })
}
