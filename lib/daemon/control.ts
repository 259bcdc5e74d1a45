/**
 * What operators have done by the console: databases are paused and resumed, connections renewed, clients ended. Each fact
 * (paused, suspended, disabled) is kept here alone; pools and logins ask for it.
 */

import type { Control, ShutdownMode } from '../admin/control.ts'
import { ConsoleError } from '../client/lifecycle/console-backend.ts'
import type { ClientSession } from '../client/session.ts'
import type { Pool } from '../pool/pool.ts'
import type { Router } from '../routing/router.ts'
import type { ServerConnection } from '../server/connection.ts'
import { delay, now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { Registry } from './registry.ts'

/** Pause between two looks at what is waited for, in ms. */
const LOOK_MS = 10

const PAUSED = 'its database is paused'
const RENEWED = 'RECONNECT'
const EMBEDDED_ARGS = { args: { what: 'commands for a process that a program runs' } }

/** What the process that runs the pooler can do: its configuration and its end belong to it. */
export interface ProcessControl {
  /** Read the configuration again. Rejects with an error for people. */
  reload(): Promise<void>
  /** Change an option until the next reload; rejects as reload does. */
  set(name: string, value: string): Promise<void>
  /** Begin to end. */
  shutDown(mode: ShutdownMode): void
}

/** Inside a program, that is the program's business. */
export const EMBEDDED: ProcessControl = {
  reload: refuse,
  set: refuse,
  shutDown() {
    throw new ConsoleError('console_unsupported', EMBEDDED_ARGS)
  },
}

async function refuse(): Promise<never> {
  throw new ConsoleError('console_unsupported', EMBEDDED_ARGS)
}

/** What is controlled. */
export interface ControlParts {
  readonly registry: Registry
  router(): Router
  readonly process: ProcessControl
  /** `suspend_timeout` in ms. */
  suspendTimeoutMs(): number
  serves(database: string): boolean
  resetQueries(): void
  cancel(server: ServerConnection): Promise<void>
  readonly log: Logger
}

/** The control of one process. */
export class DaemonControl implements Control {
  readonly #parts: ControlParts
  #allPaused = false
  #suspended = false
  readonly #paused = new Set<string>()
  readonly #disabled = new Set<string>()
  /** Logins that wait until they may go on. */
  #held: (() => void)[] = []

  constructor(parts: ControlParts) {
    this.#parts = parts
  }

  get paused(): boolean {
    return this.#allPaused
  }

  get suspended(): boolean {
    return this.#suspended
  }

  isPaused(database: string): boolean {
    return this.#allPaused || (this.#paused.size > 0 && this.#paused.has(database))
  }

  isDisabled(database: string): boolean {
    return this.#disabled.has(database)
  }

  /** Databases that were paused or disabled by their names. */
  named(): Iterable<string> {
    return new Set([...this.#paused, ...this.#disabled])
  }

  serves(database: string): boolean {
    return this.#parts.serves(database)
  }

  /** See ClientPorts.whenServed. */
  whenServed(database: string, asks: boolean): Promise<void> | undefined {
    const isHeld = (): boolean => this.#suspended || (asks && this.isPaused(database))
    return isHeld() ? this.#while(isHeld) : undefined
  }

  async #while(isHeld: () => boolean): Promise<void> {
    while (isHeld()) await new Promise<void>((resolve) => this.#held.push(resolve))
  }

  async pause(database: string | undefined, signal: AbortSignal): Promise<void> {
    if (database === undefined) this.#allPaused = true
    else this.#paused.add(database)
    this.#tell('paused', database)
    this.#parts.router().clear(database, PAUSED)
    try {
      await this.#until(signal, () => this.#pools(database).every(isEmpty))
    } catch (error) {
      this.resume(database)
      throw error
    }
  }

  resume(database: string | undefined): void {
    if (database === undefined) {
      this.#allPaused = false
      this.#setSuspended(false)
    } else this.#paused.delete(database)
    this.#tell('resumed', database)
    for (const pool of this.#pools(database)) if (!pool.gate.paused) pool.resume()
    const held = this.#held
    this.#held = []
    for (const go of held) go()
  }

  async suspend(signal: AbortSignal): Promise<void> {
    this.#setSuspended(true)
    this.#tell('suspended', undefined)
    const deadline = now() + this.#parts.suspendTimeoutMs()
    try {
      await this.#until(signal, () => now() > deadline || !this.#unsent().next().value)
    } catch (error) {
      this.resume(undefined)
      throw error
    }
    for (const session of this.#unsent()) session.endWith('suspend_timeout')
  }

  /** Clients that have not taken yet what was written to them. */
  *#unsent(): Generator<ClientSession> {
    for (const session of this.#parts.registry.sessions) {
      if (session.suspended && session.wire.full) yield session
    }
  }

  #setSuspended(suspended: boolean): void {
    if (this.#suspended === suspended) return
    this.#suspended = suspended
    for (const session of this.#parts.registry.sessions) session.suspend(suspended)
  }

  disable(database: string): void {
    this.#disabled.add(database)
    this.#tell('disabled', database)
  }

  enable(database: string): void {
    this.#disabled.delete(database)
    this.#tell('enabled', database)
  }

  reconnect(database: string | undefined): void {
    this.#tell('renewing connections', database)
    this.#parts.router().clear(database, RENEWED)
  }

  kill(database: string | undefined): void {
    if (database === undefined) this.#allPaused = true
    else this.#paused.add(database)
    this.#tell('killed', database)
    const pools = new Set(this.#pools(database))
    for (const session of [...this.#parts.registry.sessions]) {
      if (session.link !== undefined && pools.has(session.link.pool)) session.endWith('admin_disconnect')
    }
    this.#parts.router().clear(database, PAUSED)
    for (const pool of pools) {
      for (const server of [...pool.servers()]) {
        if (!server.settled) void this.#parts.cancel(server)
        server.close('KILL')
      }
    }
  }

  killClient(id: number): boolean {
    for (const session of this.#parts.registry.sessions) {
      if (session.info.id !== id || session.state === 'startup') continue
      session.endWith('admin_disconnect')
      return true
    }
    return false
  }

  async cancelClient(id: number): Promise<boolean> {
    for (const session of this.#parts.registry.sessions) {
      if (session.info.id !== id || session.state === 'startup') continue
      await session.cancel()
      return true
    }
    return false
  }

  async waitClose(database: string | undefined, signal: AbortSignal): Promise<void> {
    await this.#until(signal, () => {
      return this.#pools(database).every((pool) =>
        [...pool.servers()].every((server) => server.closeReason === undefined),
      )
    })
  }

  resetQueries(): void {
    this.#parts.resetQueries()
    this.#parts.log.info('console: statistics of statements begin anew')
  }

  async reload(): Promise<void> {
    await this.#parts.process.reload().catch((error: Error) => {
      throw error instanceof ConsoleError ? error : new ConsoleError('console_reload', { detail: error.message })
    })
  }

  async set(name: string, value: string): Promise<void> {
    await this.#parts.process.set(name, value).catch((error: Error) => {
      throw error instanceof ConsoleError ? error : new ConsoleError('console_set', { detail: error.message })
    })
  }

  shutDown(mode: ShutdownMode): void {
    this.#parts.process.shutDown(mode)
  }

  #pools(database: string | undefined): Pool[] {
    return this.#parts.router().poolsOf(database)
  }

  async #until(signal: AbortSignal, condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (signal.aborted) throw signal.reason
      await delay(LOOK_MS, { ref: true })
    }
  }

  #tell(what: string, database: string | undefined): void {
    this.#parts.log.info(`console: ${what}`, { database: database ?? 'all' })
  }
}

/** Nobody is connected to PostgreSQL by it, replication included, and nobody is about to be. */
function isEmpty(pool: Pool): boolean {
  return pool.size === 0 && [...pool.dedicated.servers()].length === 0
}
