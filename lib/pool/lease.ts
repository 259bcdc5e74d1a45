/**
 * A server lent to one client (R9). There is one way back, `release`, and it can be used once; when a lease ends is
 * decided by the client's side alone, what becomes of the server by the pool.
 */

import type { ServerConnection } from '../server/connection.ts'
import { LeaseEffects } from '../server/lease-effects.ts'
import type { PoolMode } from './settings.ts'

/** In which state the server comes back. */
export type LeaseOutcome =
  /** Settled and in no transaction. */
  | 'done'
  /** The client left with something outstanding: cancel, drain, roll back. */
  | 'abandoned'
  /** The client took its leave behind requests that are complete: let them come to their end, drain, roll back. */
  | 'finishing'
  /** It cannot be used any more: half a message is on its way, or pgbun does not know what it owes. */
  | 'broken'

/** Whose server it is. */
export interface LeaseOwner {
  /** The lease is over; `reason` says why where the server is 'broken'. */
  takeBack(lease: Lease, outcome: LeaseOutcome, reason: string): void
}

/** One server, lent once, and what was done to its session meanwhile. */
export class Lease extends LeaseEffects {
  readonly server: ServerConnection
  readonly since: number
  /** In which mode it was lent: a reload changes the pool's, not that of a session under way. */
  readonly mode: PoolMode
  readonly #owner: LeaseOwner
  #over = false

  constructor(owner: LeaseOwner, server: ServerConnection, mode: PoolMode, since: number) {
    super()
    this.#owner = owner
    this.server = server
    this.mode = mode
    this.since = since
  }

  /** Give the server back. Throws the second time: two owners are how rows end up with a stranger. */
  release(outcome: LeaseOutcome, reason = ''): void {
    if (this.#over) throw new Error('lease released twice')
    this.#over = true
    this.#owner.takeBack(this, outcome, reason)
  }

  /** The server is gone: there is nothing to give back. */
  forfeit(): void {
    this.#over = true
  }
}
