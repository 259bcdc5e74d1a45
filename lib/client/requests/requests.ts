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
import type { ServerConnection } from '../../server/connection.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'
import type { Ask } from '../lifecycle/ask.ts'
import type { LinkedSession } from '../lifecycle/linked-session.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { logRefused, RefusedRequest } from './refused-request.ts'
import { RunningStatements } from './running-statements.ts'
import { type RequestingClient, Upstream } from './upstream.ts'
import { leave, takeWithoutServer } from './without-server.ts'

/** Gets the server for the requests. */
export interface RequestLink {
  readonly lease: Lease | undefined
  /** Get a server for what comes next, at the cursor of `batch`; false where it must be waited for. */
  acquire(batch: Batch): boolean
  /** Requests are about to be sent to the server at hand; false where they must wait until it has been given back. */
  maySend(): boolean
  /** Requests were sent; they may be nothing the server answers. */
  forwarded(): void
  /** Ask the server something of pgbun's own; the requests wait for the answer. */
  inspect(lease: Lease, ask: Ask, answered: (result: InternalQueryResult) => void): boolean
}

/** The requests of one client. */
export class Requests implements RequestingClient {
  readonly upstream: Upstream
  /** A Query ends the session (`disable_pqexec`). */
  readonly refusesQueries: boolean
  readonly #session: LinkedSession
  readonly #link: RequestLink
  readonly #effects: ClientEffects
  /** What becomes of its statements, for the statistics. */
  readonly running: RunningStatements
  /** Made with the first request that is refused. */
  #refused: RefusedRequest | undefined

  constructor(session: LinkedSession, link: RequestLink, effects: ClientEffects) {
    this.#session = session
    this.#link = link
    this.#effects = effects
    this.refusesQueries = session.ports.config.disablePqexec && session.info.replication === 'none'
    this.running = new RunningStatements(session.info, session.ports)
    this.upstream = new Upstream(this, effects, session.activity, session.ports, this.running)
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
    // server. It would hold one, and keep it from others, where its answer ends only when it reads.
    if ((state === 'idle' || this.refusing) && !session.wire.mayTakeMore()) {
      session.activity.stalled()
      return false
    }
    if (this.#refused?.pending) {
      this.#refused.discard(batch)
      return true
    }
    const { lease } = this.#link
    if (state === 'active' && lease !== undefined) {
      if (!this.#link.maySend()) return false
      const all = this.upstream.forward(lease.server, batch)
      // Where functions have changed since it was looked at, nobody is to be sent behind it.
      lease.sent(all && !this.#effects.suspected)
      if (!all) return false
      this.#link.forwarded()
      return true
    }
    if (state !== 'idle') return false
    if (takeWithoutServer(session, batch, this.refusesQueries)) return true
    if (!this.upstream.takeDeallocate(batch, batch.cursor, TX_IDLE)) {
      this.running.asks()
      return this.#link.acquire(batch)
    }
    batch.cursor++
    return true
  }

  /** What others had sent ahead on the same server is answered. */
  turnCame(): void {
    this.#session.activity.turnCame()
    this.running.turnCame()
  }

  /** Answer the request at the head of the inbox with an error. */
  refuse(fields: ErrorFields): void {
    this.running.isRefused()
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

  /** Named prepared statements that the client has. */
  get preparedStatements(): number {
    return this.upstream.preparedStatements
  }

  // ---- for upstream.ts ----

  get lease(): Lease | undefined {
    return this.#link.lease
  }

  awaitsReplies({ plan }: ServerConnection): boolean {
    return plan.readies > 0 && (this.#link.lease?.mayAwait ?? true)
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
