/**
 * What becomes of the requests of one client that has logged in: answered without a server, refused, or sent to the server
 * that the client holds or gets (upstream.ts).
 *
 * Comes in: batches of the client (`take`). Goes out: requests to the server, answers of pgbun's own. Owned by
 * link/server-link.ts, which gets the server.
 */

import type { ErrorFields } from '../../errors.ts'
import type { Lease } from '../../pool/lease.ts'
import type { Batch } from '../../protocol/batch.ts'
import { TX_IDLE } from '../../protocol/types.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'
import type { Ask } from '../lifecycle/ask.ts'
import type { LinkedSession } from '../lifecycle/linked-session.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { logRefused, RefusedRequest } from './refused-request.ts'
import { type RequestingClient, Upstream } from './upstream.ts'
import { leave, takeWithoutServer } from './without-server.ts'

/** Gets the server for the requests. */
export interface RequestLink {
  readonly lease: Lease | undefined
  /** Get a server for what comes next; false where it must be waited for. */
  acquire(): boolean
  /** Requests were sent; they may be nothing the server answers. */
  forwarded(): void
  /** Ask the server something of pgbun's own; the requests wait for the answer. */
  inspect(lease: Lease, ask: Ask, answered: (result: InternalQueryResult) => void): boolean
}

/** The requests of one client. */
export class Requests implements RequestingClient {
  readonly upstream: Upstream
  readonly #session: LinkedSession
  readonly #link: RequestLink
  readonly #effects: ClientEffects
  /** Made with the first request that is refused. */
  #refused: RefusedRequest | undefined

  constructor(session: LinkedSession, link: RequestLink, effects: ClientEffects) {
    this.#session = session
    this.#link = link
    this.#effects = effects
    this.upstream = new Upstream(this, effects, session.activity, session.ports)
  }

  /** The rest of a request that was refused is being thrown away. */
  get refusing(): boolean {
    return this.#refused?.pending ?? false
  }

  /** Take what stands at the cursor of `batch`, or more of it; false where it must wait. */
  take(batch: Batch): boolean {
    const session = this.#session
    const { state } = session
    // Who does not read what it is answered gets no more answers: there is nobody else to stop, as long as it holds no
    // server.
    if (session.wire.full && (state === 'idle' || this.refusing)) return false
    if (this.#refused?.pending) {
      this.#refused.discard(batch)
      return true
    }
    const { lease } = this.#link
    if (state === 'active' && lease !== undefined) {
      if (!this.upstream.forward(lease.server, batch)) return false
      this.#link.forwarded()
      return true
    }
    if (state !== 'idle') return false
    if (takeWithoutServer(session, batch)) return true
    if (!this.upstream.takeDeallocate(batch, batch.cursor, TX_IDLE)) return this.#link.acquire()
    batch.cursor++
    return true
  }

  /** Answer the request at the head of the inbox with an error. */
  refuse(fields: ErrorFields): void {
    this.#refused ??= new RefusedRequest(this.#session)
    this.#refused.refuse(this.#session.nextType, fields)
  }

  /** What the client sends is to be read no further for the moment. */
  get holdsBack(): boolean {
    const { lease } = this.#link
    if (lease === undefined) return false
    const { wire, plan } = lease.server
    const { state, wire: own } = this.#session
    // What is answered without the server would otherwise wait in memory without a bound. In COPY BOTH nothing is, and
    // the standby is to be heard.
    return wire.full || (own.full && state === 'active' && !plan.copyBoth)
  }

  /** True where a reply to something the client has sent will come, though the client sends no more. */
  isOwed(hasInput: boolean): boolean {
    const { lease } = this.#link
    if (this.#session.state !== 'active' || lease === undefined) return hasInput
    const { plan } = lease.server
    // A COPY waits for data, a message for its rest, and a stream has no end.
    const own = this.upstream.midMessage ? 1 : 0
    return !plan.copyBoth && (hasInput || (plan.size > own && !plan.copyIn))
  }

  // ---- for upstream.ts ----

  get lease(): Lease | undefined {
    return this.#link.lease
  }

  inspect(lease: Lease, ask: Ask, answered: (result: InternalQueryResult) => void): boolean {
    return this.#link.inspect(lease, ask, answered)
  }

  answer(bytes: Buffer, status: number): void {
    const { counters } = this.#effects.pool
    counters.queries++
    if (status === TX_IDLE) counters.transactions++
    counters.sent += bytes.length
    this.#session.activity.turned()
    this.#session.wire.write(bytes)
  }

  leave(type: number): void {
    leave(this.#session, type)
  }

  logRefused(fields: ErrorFields): void {
    logRefused(this.#session, fields)
  }

  clearDatabase(database: string): void {
    this.#session.ports.clearDatabase(this.#effects.pool, database)
  }

  pump(): void {
    this.#session.pump()
  }
}
