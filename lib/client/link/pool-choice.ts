/**
 * The pool whose servers serve a client: its own, or, for one request, that of connections to standbys (read-routing.ts).
 * Owned by server-link.ts.
 */

import type { Lease } from '../../pool/lease.ts'
import type { Pool } from '../../pool/pool.ts'
import type { Batch } from '../../protocol/batch.ts'
import { keptRequest } from '../requests/read-request.ts'
import type { ReadRouting } from './read-routing.ts'
import { UnansweredRead } from './unanswered-read.ts'

const NOTHING: readonly Buffer[] = []

/** The choice of one client. */
export class PoolChoice {
  readonly #own: Pool
  readonly #make: (() => ReadRouting) | undefined
  /** Where the server at hand comes from, or is waited for. */
  current: Pool
  #reads: ReadRouting | undefined
  /** All of the request is sent for which the choice was made. */
  #sent = false
  /** What a standby is to answer, as long as it has not. */
  #unanswered: UnansweredRead | undefined
  /** The client keeps the server at hand behind the request: for a transaction, or because of session state. */
  #kept = false
  /** The standby that was to answer it is gone: the client's own pool is next. */
  #rescued = false

  /** @param make what sends reads to standbys, where the pool is configured to; undefined for a client that keeps its server */
  constructor(own: Pool, make: (() => ReadRouting) | undefined) {
    this.#own = own
    this.#make = make
    this.current = own
    this.#begin()
  }

  /** Whether this is a client that may be served by standbys. */
  get mayVary(): boolean {
    return this.#reads !== undefined
  }

  /** The client has logged in: from now on what it writes is known, where that matters. */
  loggedIn(): void {
    this.#begin()
    this.#reads?.loggedIn()
  }

  #begin(): void {
    if (this.#own.settings.routesReads) this.#reads ??= this.#make?.()
  }

  /** Choose for the request at the cursor of `batch`. Returns the pool. */
  choose(batch: Batch): Pool {
    this.#sent = false
    this.#kept = false
    this.#begin()
    this.current = (this.#rescued ? undefined : this.#reads?.poolFor(batch)) ?? this.#own
    this.#rescued = false
    const kept = this.current !== this.#own && this.#reads!.mayRepeat ? keptRequest(batch) : undefined
    this.#unanswered = kept && new UnansweredRead(kept)
    return this.current
  }

  /** Whether a standby is to answer what it has not: the beginning of that is held back. */
  get holding(): boolean {
    return this.#unanswered !== undefined
  }

  /** Whether what the server at hand was to answer can be sent to the primary: a part of it that waits would be sent twice. */
  get canRescue(): boolean {
    return this.#unanswered !== undefined && this.#sent
  }

  /** Whether `bytes` of the answer are held back. */
  holds(bytes: Buffer): boolean {
    return this.#unanswered?.holds(bytes) ?? false
  }

  /**
   * The request is answered, with an error that the primary may not have: `rescue` it. False where it is not so, and the
   * answer is the client's.
   */
  get failed(): boolean {
    return this.#unanswered?.failed ?? false
  }

  /** What of the answer is held back: the client is to have it after all. */
  takeHeld(): readonly Buffer[] {
    const held = this.#unanswered?.held ?? NOTHING
    this.#unanswered = undefined
    return held
  }

  /** The client keeps the server, whose answer it has. */
  keeps(): void {
    this.#kept = true
  }

  /** Have the request sent to the client's own pool, which is chosen next; undefined where that cannot be. */
  rescue(): Buffer | undefined {
    if (!this.canRescue) return undefined
    const { request } = this.#unanswered!
    this.#unanswered = undefined
    this.#rescued = true
    this.current = this.#own
    return request
  }

  /** Whether the request may be sent to the server of `lease`. */
  mayUse(lease: Lease): boolean {
    return this.current === this.#own || this.#reads!.mayReadOn(lease)
  }

  /** No standby serves: the client's own pool is to. False where that was the choice. */
  fallBack(): boolean {
    if (this.current === this.#own) return false
    this.current = this.#own
    this.#unanswered = undefined
    this.#reads!.staysHere()
    return true
  }

  /**
   * Whether what comes next may be sent to the server at hand: what comes behind a read was not looked at, and waits until
   * that is answered.
   */
  maySend(running: boolean): boolean {
    if (this.#reads === undefined || !this.#sent) return true
    if (this.current !== this.#own) return this.#kept || !running
    this.#reads.sendsMore()
    return true
  }

  /** The request is sent, or `all` but a rest that waits. */
  sent(all: boolean): void {
    this.#sent = all
  }

  /** The server at hand goes back. */
  released(): void {
    if (this.current === this.#own) this.#reads?.released()
    this.#kept = false
    this.#unanswered = undefined
    this.current = this.#own
  }
}
