/**
 * Notices that a crowd of clients has left, which is when there is much memory to give back: at least a thousand, and
 * three of four, since there were most. Pure.
 */

/** Fewer than these are not worth the time it takes. */
const CROWD = 1000
/** Of those that were there, so many times fewer remain. */
const SHARE = 4
/** At most once within so many milliseconds. */
const PERIOD_MS = 60_000

/** The number of clients over time. */
export class Crowd {
  #most = 0
  #last = 0
  #toldAt = Number.NEGATIVE_INFINITY

  /** There are `clients` now (ms of the clock). True where a crowd has left, and nobody has left since the last call. */
  hasLeft(clients: number, now: number): boolean {
    const leaving = clients < this.#last
    this.#last = clients
    this.#most = Math.max(this.#most, clients)
    if (leaving || this.#most - clients < CROWD || clients * SHARE > this.#most) return false
    if (now - this.#toldAt < PERIOD_MS) return false
    this.#most = clients
    this.#toldAt = now
    return true
  }
}
