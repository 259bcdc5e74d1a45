/**
 * A place in a pipeline (pipeline.ts): the lease of a client whose request is sent to a server behind those of others, and is
 * answered behind them.
 */

import type { ErrorFields } from '../errors.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { Consumer, ServerEnd } from '../server/ports.ts'
import { Lease, type LeaseOwner } from './lease.ts'
import type { ShortText } from './short-texts.ts'
import type { Waiter } from './waiter.ts'

/** The line that it is a place in. */
export interface Line extends LeaseOwner, Consumer {
  readonly first: SharedLease | undefined
  /** How many places there are. */
  readonly size: number
  /** What the client of `lease` wanted to send is sent, or a part of it. */
  sent(lease: SharedLease, all: boolean): void
  /** The server of `lease` is gone, and nobody else has said so. */
  forfeited(lease: SharedLease): void
  /** A cancel request for what it runs begins. */
  cancelBegins(lease: SharedLease): void
}

/** What is said of a request that was sent behind others, when the server was lost. */
export function unknownOutcome({ fields }: ServerEnd): ErrorFields {
  const detail = `Its outcome is unknown: it was sent behind other requests (server_pipelining), and may have been run. ${fields.detail ?? ''}`
  return { ...fields, detail: detail.trimEnd() }
}

/** One place, and what has come of the answer. */
export class SharedLease extends Lease {
  /** Whose place it is; undefined where it has left. */
  client: Waiter | undefined
  readonly text: ShortText
  /** The place behind it. */
  behind: SharedLease | undefined
  /** What `text` was expected to take when the request was sent (ms). */
  readonly cost: number
  /** Others were ahead of it when it was sent. */
  readonly waits: boolean
  /** How many ReadyForQuery were expected on the server before. */
  readonly readies: number
  /** The request is sent, as one that ends with one ReadyForQuery. */
  whole = false
  /** It was sent in parts, or is more than that: its client has the server for itself, behind those that are ahead. */
  open = false
  /** It is answered. */
  over = false
  /** Its client keeps the server: it is the only one there. */
  kept = false
  /** Its answer goes to the client as it comes. */
  passes: boolean
  /** A cancel request that is not its client's may have come to PostgreSQL while it ran. */
  exposed = false
  /** Its client has asked for that. */
  canceled = false
  /** It was canceled, though its client had not asked for that, or its client wants to send it again: it is not told of it. */
  hit = false
  /** It was answered by an error that may be none of its own: of a limit of time. */
  heldUp = false
  /** Parameters that have changed while it was not the first. */
  missed: (readonly [name: string, value: string])[] = []
  /** Of the answer, so far. */
  bytes = 0
  held: Buffer[] = []
  /** How many of those are valid behind the chunk that they came in. */
  copied = 0
  readonly #line: Line

  constructor(line: Line, server: ServerConnection, client: Waiter, at: number, waits: boolean, text: ShortText) {
    super(line, server, client.mode, at)
    this.#line = line
    this.client = client
    this.text = text
    this.cost = text.cost
    this.waits = waits
    this.passes = !text.admitted
    this.readies = server.plan.readies
  }

  override get line(): Line | undefined {
    return this.kept ? undefined : this.#line
  }

  override get answered(): boolean {
    if (this.kept) return super.answered
    return this.over || (this.open && this.#line.first === this && super.answered)
  }

  override get settled(): boolean {
    if (this.kept) return super.settled
    return this.over || (this.open && this.#line.first === this && super.settled)
  }

  override get midReply(): boolean {
    return (this.kept || ((this.passes || this.open) && this.isNext)) && super.midReply
  }

  override get alone(): boolean {
    return this.kept || (this.isNext && this.#line.size === 1)
  }

  override get aloneWaits(): boolean {
    if (!this.isNext) return false
    for (let place = this.behind; place !== undefined && !this.kept; place = place.behind)
      if (place.client) return false
    return true
  }

  override get amongOthers(): boolean {
    return !this.kept && !this.open && !this.passes && (this.waits || this.behind !== undefined)
  }

  override get isNext(): boolean {
    return this.kept || this.#line.first === this
  }

  override get mayAwait(): boolean {
    return this.kept || this.open || this.whole
  }

  override get takesMore(): boolean {
    return this.kept || !this.whole
  }

  override forfeit(): void {
    super.forfeit()
    this.#line.forfeited(this)
  }

  override sent(all: boolean): void {
    if (!this.kept) this.#line.sent(this, all)
  }

  override cancelBegins(): void {
    if (!this.kept) this.#line.cancelBegins(this)
  }
}
