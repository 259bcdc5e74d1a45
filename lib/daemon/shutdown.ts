/**
 * The end of the daemon, in one of three ways that PgBouncer has, too: whoever asks says which one, and whoever asks
 * again can only be less patient.
 *
 * What must hold: no transaction is cut off before the deadline, and nothing outlives it. `wait_for_clients` gives each
 * client its turn to leave, evenly over the time there is: clients that connect elsewhere must not all come at once. It
 * begins with an optional delay in which everything goes on, so that load balancers notice that pgbun is not ready.
 */

import type { ShutdownMode } from '../admin/control.ts'
import type { Deadlines } from '../net/deadlines.ts'
import type { Listener } from '../net/listener.ts'
import type { Router } from '../routing/router.ts'
import { delay, now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { Registry } from './registry.ts'

/**
 * The ways to end, from the most patient to the least: clients leave one after the other, each between two transactions;
 * all of them as soon as they are between two transactions, at once if they only wait for a server; or at once, whatever
 * runs.
 */
export const SHUTDOWN_MODES: readonly ShutdownMode[] = ['wait_for_clients', 'wait_for_servers', 'now']

/** How long it may take. */
export interface ShutdownTimes {
  /** What runs gets so long. */
  timeoutMs: number
  /** With `wait_for_clients`, everything goes on for so long before. */
  delayMs: number
  /** Another process accepts clients already: meanwhile those who are here may leave by themselves. */
  succeeded?: boolean
}

/** What is ended. */
export interface ShutdownParts {
  registry: Registry
  router: Router
  listener: Listener
  deadlines: Deadlines
  /** Those of the configuration. */
  times: () => ShutdownTimes
  /** A process that this one has succeeded is there, and is found by this one only. */
  hasPredecessor: () => boolean
  /** Stop what is left when clients and servers are gone. */
  stop: (mode: ShutdownMode) => Promise<void>
  log: Logger
}

const ANNOUNCED: Readonly<Record<ShutdownMode, string>> = {
  wait_for_clients: 'shutting down: running transactions may end first',
  wait_for_servers: 'shutting down: running transactions may end first',
  now: 'shutting down',
}
/** How long canceled queries get to end before their connections are cut. */
const DRAIN_MS = 2000
/** Clients have their turns in this share of the time; in the rest, the transactions of the last ones may end. */
const TURNS_SHARE = 2 / 3
/** Twenty clients per second are no burst: nobody is kept longer for being one of few. */
const LONGEST_TURN_MS = 50

/** The end of one daemon. */
export class Shutdown {
  /** Resolves when everything has ended. */
  readonly finished: Promise<void>
  readonly #parts: ShutdownParts
  #mode: ShutdownMode | undefined
  /** How long what runs gets in all: of several who ask, the least patient counts. */
  #patienceMs = Number.POSITIVE_INFINITY
  #deadline = Number.POSITIVE_INFINITY
  /** Clients of a process that has a successor may stay, as long as nobody asks for an end. */
  #mayStay = false
  #over = false
  #finish: (work: Promise<void>) => void = () => {}

  constructor(parts: ShutdownParts) {
    this.#parts = parts
    this.finished = new Promise((resolve) => {
      this.#finish = resolve
    })
  }

  /** From the first moment on: no more clients should be sent here, though they may still be served for a while. */
  get begun(): boolean {
    return this.#mode !== undefined
  }

  /**
   * End, or end faster.
   * @returns `finished`
   */
  begin(mode: ShutdownMode, times: Partial<ShutdownTimes> = {}): Promise<void> {
    const { timeoutMs, delayMs, succeeded = false } = { ...this.#parts.times(), ...times }
    this.#patienceMs = Math.min(this.#patienceMs, mode === 'now' ? 0 : timeoutMs)
    const first = this.#mode === undefined
    if (first) this.#finish(this.#run(mode, delayMs, succeeded))
    else if (!this.#over && (this.#mayStay || isLess(this.#mode, mode))) {
      this.#mode = mode
      this.#mayStay = false
      this.#parts.log.info('shutting down faster', { mode })
    }
    const mayDelay = this.#mode === 'wait_for_clients' && first
    this.#deadline = Math.min(this.#deadline, now() + this.#patienceMs + (mayDelay ? delayMs : 0))
    return this.finished
  }

  async #run(mode: ShutdownMode, delayMs: number, succeeded: boolean): Promise<void> {
    const { registry, listener, hasPredecessor, log } = this.#parts
    this.#mode = mode
    const delaysMs = mode === 'wait_for_clients' ? delayMs : 0
    log.info(succeeded ? 'succeeded: clients may stay until they leave' : ANNOUNCED[mode], {
      mode,
      clients: registry.admitted,
      delay_ms: delaysMs || undefined,
      timeout_ms: this.#patienceMs,
    })
    const delayUntil = now() + delaysMs
    this.#mayStay = succeeded
    // Those who have connected before that, and say who they are in a moment, are clients as well.
    if (succeeded) listener.stopAcceptingTcp()
    const allLeft = (): boolean => registry.admitted + registry.arriving === 0 && !hasPredecessor()
    await until(
      () => this.#mode !== 'wait_for_clients' || (succeeded && (!this.#mayStay || allLeft())),
      () => delayUntil,
    )
    this.#mayStay = false
    this.#refuseNewcomers()
    await this.#clientsLeave()
    await this.#serversLeave()
    await Promise.all([this.#parts.stop(this.#mode), listener.close()])
    this.#over = true
    log.info('stopped')
  }

  /** Administrators still come in by the unix socket, and cancel requests do. */
  #refuseNewcomers(): void {
    this.#parts.listener.stopAcceptingTcp()
    this.#parts.registry.close()
  }

  /** Until the last client has left, or must. */
  async #clientsLeave(): Promise<void> {
    const { registry, deadlines, log } = this.#parts
    const since = now()
    const clients = [...registry.sessions]
    const turnMs = Math.min(LONGEST_TURN_MS, ((this.#deadline - since) * TURNS_SHARE) / clients.length)
    await until(
      () => {
        const patient = this.#mode === 'wait_for_clients'
        const turns = patient && turnMs > 0 ? Math.floor((now() - since) / turnMs) + 1 : clients.length
        clients.forEach((session, index) => {
          // Who has not logged in loses nothing. All others are asked again: some are served without a transaction.
          if (index < turns || session.isNew) session.shutDown(patient)
        })
        return registry.admitted === 0
      },
      () => this.#deadline,
    )
    if (registry.admitted > 0 && this.#patienceMs > 0) {
      const remedy = 'raise shutdown_timeout where transactions take longer'
      log.warn('shutdown_timeout is over: what still runs is canceled', { clients: registry.admitted, remedy })
    }
    deadlines.shutDown()
    for (const session of registry.sessions) session.endWith('admin_shutdown')
  }

  /** Until the last server connection is closed, or must be. */
  async #serversLeave(): Promise<void> {
    const { router } = this.#parts
    for (const pool of router.pools()) pool.close('shutting down')
    const since = now()
    await until(
      () => [...router.pools()].every((pool) => pool.connected === 0),
      () => since + Math.min(this.#patienceMs, DRAIN_MS),
    )
    for (const pool of router.pools()) pool.destroy('shutting down')
  }
}

/** Whether `mode` is less patient than `than`. */
function isLess(than: ShutdownMode | undefined, mode: ShutdownMode): boolean {
  return than === undefined || SHUTDOWN_MODES.indexOf(mode) > SHUTDOWN_MODES.indexOf(than)
}

/** Resolves when `condition` holds, or at `deadline`, which may move. */
async function until(condition: () => boolean, deadline: () => number): Promise<void> {
  while (!condition() && now() < deadline()) await delay(10, { ref: true })
}
