/**
 * Whether a pool serves its clients and may open connections: it may be closed for good, paused by an operator until that
 * one says otherwise, or have to leave its database alone for a moment.
 */

import { LoginError } from '../server/login.ts'
import { now } from '../util/clock.ts'
import type { Opening } from './opening.ts'

/** The gate of one pool. */
export class PoolGate {
  readonly #isPaused: () => boolean
  /** Why nobody is served any more. */
  #closing: string | undefined
  #restsUntil = 0

  constructor(isPaused: () => boolean) {
    this.#isPaused = isPaused
  }

  /** Nobody is served any more. */
  get closing(): boolean {
    return this.#closing !== undefined
  }

  /** Nobody is lent a server until an operator says otherwise. */
  get paused(): boolean {
    return this.#isPaused()
  }

  get serves(): boolean {
    return !this.closing && !this.paused
  }

  /** The database is to be left alone for a moment. */
  get rests(): boolean {
    return now() < this.#restsUntil
  }

  get mayOpen(): boolean {
    return this.serves && !this.rests
  }

  /** Serve nobody any more. */
  close(reason: string): void {
    this.#closing = reason
  }

  /** Open nothing for `ms`. */
  rest(ms: number): void {
    this.#restsUntil = now() + ms
  }

  /** The error a newcomer gets at once instead of waiting. */
  refusal(opening: Opening): LoginError | undefined {
    const reason = this.#closing
    if (reason !== undefined) return new LoginError(`pgbun serves nobody here: ${reason}`, { sqlstate: '57P01' })
    return this.paused ? undefined : opening.refusal()
  }
}
