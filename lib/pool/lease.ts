/**
 * A server lent to one client (R9). There is one way back, `release`, and it can be used once; when a lease ends is
 * decided by the client's side alone, what becomes of the server by the pool.
 *
 * The client asks the lease, not the server, whether what it has sent is answered: the server may owe answers to others
 * (shared-lease.ts).
 */

import type { ServerConnection } from '../server/connection.ts'
import { LeaseEffects } from '../server/lease-effects.ts'
import type { Consumer } from '../server/ports.ts'
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
  /** The client has been asked to send its request again, without this lease. */
  sentAgain = false
  readonly #owner: LeaseOwner
  #over = false

  constructor(owner: LeaseOwner, server: ServerConnection, mode: PoolMode, since: number) {
    super()
    this.#owner = owner
    this.server = server
    this.mode = mode
    this.since = since
  }

  /** Who takes the replies in the place of the client; undefined where the server is the client's alone. */
  get line(): Consumer | undefined {
    return undefined
  }

  /** All that the client has sent is answered. */
  get answered(): boolean {
    return this.server.plan.settled
  }

  /** That is so, and the client is in no transaction and has the last message as a whole. */
  get settled(): boolean {
    return this.server.settled
  }

  /** The client has the first part of a message whose rest has not come yet. */
  get midReply(): boolean {
    return this.server.midReply
  }

  /** Nobody else uses the server. */
  get alone(): boolean {
    return true
  }

  /** Nobody else waits for what the server answers. */
  get aloneWaits(): boolean {
    return true
  }

  /** It was sent behind others, or others behind it, and its client has been told nothing: it can be sent again elsewhere. */
  get amongOthers(): boolean {
    return false
  }

  /** What comes next from the server is for this client. */
  get isNext(): boolean {
    return true
  }

  /** What the server owes may be owed to this client. */
  get mayAwait(): boolean {
    return true
  }

  /** The client may send more. */
  get takesMore(): boolean {
    return true
  }

  /** What the client wanted to send is sent, or, where not `all`, a part of it: the rest waits. */
  sent(_all: boolean): void {}

  /** A cancel request for what the client runs is about to be sent. */
  cancelBegins(): void {}

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
