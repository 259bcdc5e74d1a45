/**
 * One client: its state, its waiting input, the server it holds. The one place that knows both sides.
 *
 * Comes in: batches of the client's wire, replies of the leased server. Goes out: requests to the server by
 * upstream.ts, bytes to the client. What must hold: input is handled in order and never before its time (until then it
 * stays in the inbox); a lease ends in one of two places only, `release` and `end`.
 */

import type { ErrorFields } from '../errors.ts'
import type { Wire, WireHandler } from '../net/wire.ts'
import { forgetSequences } from '../pool/cleanup.ts'
import type { Lease } from '../pool/lease.ts'
import type { Waiter } from '../pool/waiter.ts'
import type { Batch } from '../protocol/batch.ts'
import { errorResponse } from '../protocol/build.ts'
import type { ErrorSummary } from '../protocol/error-response.ts'
import { TX_IDLE } from '../protocol/types.ts'
import type { PlanRef, ServerEnd } from '../server/ports.ts'
import type { QueryResult } from '../server/query-result.ts'
import { ClientRecord } from './client-record.ts'
import { type EndReason, endingOf, type NamedError, violation } from './ending.ts'
import { HalfClosed, isOwed } from './half-closed.ts'
import { applySettings } from './link/apply-settings.ts'
import { giveBack } from './link/give-back.ts'
import { firstLinked } from './link/linked.ts'
import { mayRelease } from './link/release.ts'
import { tellDefaults } from './link/tell-defaults.ts'
import { logEnd } from './log-end.ts'
import { Login } from './login/login.ts'
import type { ClientOrigin, ClientPorts } from './ports.ts'
import { Inbox } from './requests/inbox.ts'
import { RefusedRequest } from './requests/refused-request.ts'
import { Upstream } from './requests/upstream.ts'
import { takeWithoutServer } from './requests/without-server.ts'
import { adoptSettings } from './state/adopt-settings.ts'
import { settleLocal } from './state/local-settings.ts'

/** The session of one client. */
export class ClientSession extends ClientRecord implements WireHandler, Waiter {
  readonly wire: Wire
  #login: Login | undefined
  readonly upstream: Upstream
  readonly #inbox = new Inbox()
  /** Made with the first request that is refused. */
  #refused: RefusedRequest | undefined
  #pumping = false

  /** @param makeWire gives the wire with this session as its handler */
  constructor(makeWire: (handler: WireHandler) => Wire, origin: ClientOrigin, ports: ClientPorts) {
    super(origin, ports)
    this.#login = new Login(this)
    this.upstream = new Upstream(this)
    this.wire = makeWire(this)
  }

  /** The login is over; what it needed is not kept. */
  loggedIn(): void {
    this.#login = undefined
  }

  /** Keep the server that was opened for this client alone until one of the two ends. */
  hold(lease: Lease): void {
    this.lease = lease
    this.activate()
  }

  // ---- input ----

  onBatch(batch: Batch): void {
    if (this.state === 'closed') {
      batch.release()
      return
    }
    this.#inbox.push(batch)
    this.pump()
  }

  /** Something was read and not handled yet. */
  get hasInput(): boolean {
    return this.#inbox.first !== undefined
  }

  /** Handle what is in the inbox as far as the state allows. */
  pump(): void {
    // Lending and answering call back into here; the outermost call does the work.
    if (this.#pumping) return
    this.#pumping = true
    try {
      for (let batch = this.#inbox.first; batch !== undefined && this.#handle(batch); batch = this.#inbox.first) {
        this.#inbox.shift()
      }
    } finally {
      this.#pumping = false
    }
    this.#regulate()
    this.halfClosed?.look()
  }

  /** Take the rest of the first batch; false where it must wait. */
  #handle(batch: Batch): boolean {
    while (batch.cursor < batch.count) {
      // Who does not read what it is answered gets no more answers: there is nobody else to stop, as long as it holds
      // no server.
      if (this.wire.full && (this.state === 'idle' || this.#refused?.pending)) return false
      if (this.#refused?.pending) {
        this.#refused.discard(batch)
        continue
      }
      switch (this.state) {
        case 'startup':
        case 'login':
        case 'canceling':
          if (!this.#login!.onSegment(batch)) return false
          break
        case 'idle':
          if (takeWithoutServer(this, batch)) break
          if (this.upstream.takeDeallocate(batch, batch.cursor, TX_IDLE)) batch.cursor++
          else if (!this.#acquire()) return false
          break
        case 'active':
          if (!this.upstream.forward(batch)) return false
          this.#forwarded()
          break
        case 'closed':
          return true
        case 'waiting':
        case 'linking':
        case 'inspecting':
          return false
      }
    }
    if (batch.violation !== undefined && this.state !== 'canceling') this.end(violation(this.state, batch.violation))
    return true
  }

  /** What was sent may be nothing the server answers: the rest of a COPY that failed, a Flush. */
  #forwarded(): void {
    const { lease } = this
    if (this.state !== 'active' || !this.activity.running || !lease?.server.plan.settled) return
    this.activity.answered()
    if (lease.server.settled) this.#maybeRelease(lease)
  }

  /** Pause or resume the client's socket. */
  #regulate(): void {
    if (this.state === 'closed') return
    const serverFull = this.lease?.server.wire.full ?? false
    // What is answered without the server would otherwise wait in memory without a bound. In COPY BOTH nothing is, and
    // the standby is to be heard.
    const unread = this.wire.full && this.state === 'active' && !this.lease!.server.plan.copyBoth
    if (serverFull || unread || this.#inbox.full) this.wire.pause()
    else this.wire.resume()
  }

  // ---- server side ----

  /** Get a server for what comes next; false where it must be waited for. */
  #acquire(): boolean {
    const lease = this.pool!.acquire(this)
    if (lease !== undefined) {
      this.#link(lease)
      return this.state === 'active'
    }
    // Refused at once: the request is being thrown away.
    if (this.state === 'closed' || this.#refused?.pending) return true
    this.setState('waiting')
    this.activity.turned()
    return false
  }

  onLease(lease: Lease): void {
    try {
      this.#link(lease)
      this.pump()
    } catch (error) {
      // We are called in the turn of whoever gave the server back: our fault must not become its end.
      this.onFault(error)
    }
  }

  /** The server is ours: give it this client's settings, then send what waits. */
  #link(lease: Lease): void {
    this.lease = lease
    const { server } = lease
    this.lastServer = server.id
    if (applySettings(server, this.parameters, (result) => firstLinked(this, result))) this.activate()
    else this.setState('linking')
  }

  /** The server has answered to pgbun and serves the client again, which hears now what came for it meanwhile. */
  takeOver(answer: QueryResult): void {
    const { server } = this.lease!
    server.lend(this, 'active')
    for (const notification of answer.notifications(server.identity.pid, this.info.pid))
      this.onServerBytes(notification)
    if (this.wire.full) server.wire.pause()
  }

  /** It has a server. */
  activate(): void {
    const { server } = this.lease!
    if (this.told !== server.settings.defaults) tellDefaults(this, server)
    // Somebody reads values of sequences: nobody else's may be there.
    if (server.content.sequenceOwner < 0 && this.pool!.functions.readsSequences) forgetSequences(server, this.id)
    this.setState('active')
    this.activity.turned()
  }

  /** The request at the head of the inbox is answered with an error; the client stays connected. */
  onLeaseRefused(fields: ErrorFields): void {
    if (this.state === 'waiting') this.setState('idle')
    this.#refused ??= new RefusedRequest(this)
    this.#refused.refuse(this.#inbox.first!, fields)
    this.activity.turned()
    this.pump()
  }

  onServerBytes(bytes: Buffer): void {
    this.pool!.counters.sent += bytes.length
    this.wire.write(bytes)
    if (this.closing && this.lease?.server.streaming) this.endWith('admin_shutdown')
  }

  onServerError(): void {
    this.remembered.failed()
    // What was to deallocate is discarded, like all up to the Sync, which may be among what is held back.
    if (this.lease!.server.plan.skipping) {
      this.upstream.barrier = false
      this.pump()
    }
  }

  onServerCopyIn(): void {
    // Its bytes have not been handed over yet.
    queueMicrotask(() => this.pump())
  }

  onServerParameter(name: string, value: string): string | undefined {
    if (this.parameters.startup.size === 0) return undefined
    return this.remembered.startupInstead(this.lease!.server, name, value)
  }

  onServerDeallocated(all: boolean): void {
    this.upstream.onDeallocated(this.lease!.server, all)
  }

  onServerRefused(error: ErrorSummary, body: Buffer, ref: PlanRef): Buffer | undefined {
    return this.upstream.onRefused(this.lease!.server, error, body, ref)
  }

  onServerRepeat(): void {
    this.#inbox.putBack(this.upstream.repeat())
  }

  /** Answer a Query without a server; `status` is the transaction's. */
  answer(bytes: Buffer, status: number): void {
    const { counters } = this.pool!
    counters.queries++
    if (status === TX_IDLE) counters.transactions++
    counters.sent += bytes.length
    this.activity.turned()
    this.wire.write(bytes)
  }

  get pid(): number {
    return this.info.pid
  }

  get forbidsBlocks(): boolean {
    return this.mode === 'statement'
  }

  onServerReady(status: number, shown: boolean): void {
    const { pool, lease } = this
    const { server } = lease!
    if (shown) pool!.counters.queries++
    if (status === TX_IDLE) {
      if (shown) pool!.counters.transactions++
      this.activity.transactionSince = 0
      adoptSettings(this, server)
    } else {
      settleLocal(this, server, status)
      if (this.mode === 'statement') {
        this.endWith('statement_mode_transaction')
        return
      }
    }
    if (!server.plan.settled) {
      if (!this.upstream.midMessage) server.resolveDoubt()
      // What waited for the answer to this batch.
      if (this.#inbox.first !== undefined) this.pump()
      return
    }
    this.upstream.settled()
    this.activity.answered()
    if (status === TX_IDLE) this.#maybeRelease(lease!)
    this.pump()
  }

  /** The moment a lease may end: nothing outstanding, no transaction, no half message on its way. */
  #maybeRelease(lease: Lease): void {
    if (this.closing) this.endWith('admin_shutdown')
    else if (!this.upstream.midMessage && mayRelease(this, lease)) this.release(lease)
  }

  /** Give the server back that it keeps without needing to, if nothing else keeps it. */
  stopKeeping(): void {
    this.holds = 0
    if (this.lease?.server.settled) this.#maybeRelease(this.lease)
  }

  /** Give the server back; the client goes on without one. */
  release(lease: Lease): void {
    this.lease = undefined
    // What changed while it had the server, the server has told it.
    if (this.state === 'active') this.told = lease.server.settings.defaults
    this.setState('idle')
    lease.server.wire.resume()
    lease.release('done')
    this.#regulate()
  }

  onServerFull(): void {
    this.#regulate()
  }

  onServerDrain(): void {
    this.#regulate()
  }

  onServerClosed(end: ServerEnd): void {
    this.lease?.forfeit()
    this.lease = undefined
    this.end({ kind: 'server-lost', end })
  }

  // ---- the client's wire ----

  onFull(): void {
    this.activity.stalled()
    // What the server answers to pgbun itself has to be read.
    if (this.state === 'active') this.lease?.server.wire.pause()
    this.#regulate()
  }

  onDrain(): void {
    this.activity.stalledSince = 0
    this.lease?.server.wire.resume()
    this.pump()
  }

  onPeerEnd(): boolean {
    if (!isOwed(this)) return false
    this.halfClosed = new HalfClosed(this)
    return true
  }

  onEnd(error: Error | undefined): void {
    // That it reads no more either says no more than that it has left.
    this.end({ kind: 'disconnected', error: this.halfClosed ? undefined : error })
  }

  onFault(error: unknown): void {
    this.end({ kind: 'fault', error })
  }

  // ---- end ----

  /** End with an error of the catalogue. */
  endWith(name: NamedError['name'], args?: NamedError['args']): void {
    this.end({ kind: 'error', name, args })
  }

  /** The end of the session, whatever the reason. */
  end(reason: EndReason): void {
    if (this.state === 'closed') return
    const ending = endingOf(reason)
    const phase = this.state
    this.setState('closed')
    this.pool?.leave(this)
    const { lease } = this
    this.lease = undefined
    const midReply = lease !== undefined && giveBack(lease, this.upstream.midMessage, this.remembered, reason)
    if ((reason.kind === 'disconnected' && !this.halfClosed) || midReply) this.wire.destroy()
    else if (reason.kind === 'terminated' || reason.kind === 'disconnected') this.wire.closeBehindPeer()
    else this.wire.close(ending.fields && errorResponse(ending.fields))
    this.#inbox.clear(this.#pumping)
    this.#login?.abandon()
    this.halfClosed?.end()
    this.upstream.end()
    this.ports.registry.remove(this)
    this.pins.end(this)
    if (this.pool) this.guests(this.pool).clients--
    logEnd(this, reason, ending, phase)
  }
}
