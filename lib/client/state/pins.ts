/**
 * The book of one client's pins: since when it keeps its server because of session state, counted by kind and logged.
 * The first pin of a client is worth a line, those after it one for whoever debugs; so it is with state that is taken from
 * the client instead.
 */

import type { Pool } from '../../pool/pool.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PinKind } from '../../sql/state-kinds.ts'
import { now } from '../../util/clock.ts'
import type { Logger } from '../../util/logger.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import type { RememberedState } from './remembered-state.ts'

const NONE: readonly PinKind[] = []

/** When one client began to keep its server, and what was said of it. */
export class Pins {
  #since = 0
  #kinds: readonly PinKind[] = NONE
  #reasons = ''
  #told = false
  readonly #info: ClientInfo
  readonly #pool: Pool
  readonly #log: Logger

  constructor(info: ClientInfo, pool: Pool, log: Logger) {
    this.#info = info
    this.#pool = pool
    this.#log = log
  }

  /** When the client began to keep its server (ms of the clock); 0 where it does not. */
  get since(): number {
    return this.#since
  }

  /** Take down what changed since the last call: `remembered` says why the client keeps `server`. */
  update(remembered: RememberedState, server: ServerConnection): void {
    const { pinned } = remembered
    const pool = this.#pool
    if (pinned === this.#reasons && pinned === '') return
    if (pinned === '') {
      this.end()
      return
    }
    const kinds = [...remembered.kinds.keys()]
    for (const kind of kinds) if (!this.#kinds.includes(kind)) pool.pins.counts[kind]++
    this.#kinds = kinds
    if (this.#since === 0) {
      this.#since = now()
      pool.pins.now++
      pool.counters.pins++
    }
    if (pinned === this.#reasons) return
    this.#reasons = pinned
    this.#log[this.#told ? 'debug' : 'info']('client keeps its server connection', {
      ...this.#info.about(),
      server: server.id,
      server_pid: server.identity.pid,
      reason: pinned,
    })
    this.#told = true
  }

  /** What is `remembered` is taken from the client instead. */
  discarded({ found }: RememberedState): void {
    this.#pool.counters.stateDiscards++
    this.#log[this.#told ? 'debug' : 'info']('session state ends with the transaction of its client', {
      ...this.#info.about(),
      reason: found,
      remedy: 'session_state = pin keeps it',
    })
    this.#told = true
  }

  /** The client keeps no server any more. */
  end(): void {
    if (this.#since === 0) return
    this.#pool.pins.now--
    this.#pool.counters.pinTime += now() - this.#since
    this.#since = 0
    this.#kinds = NONE
    this.#reasons = ''
  }
}
