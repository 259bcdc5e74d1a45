/**
 * The server connection of one client, as the client sees it: the client waits for one, gets it with its own settings, takes
 * its replies, and gives it back when its transaction is over and nothing keeps it (release.ts).
 *
 * Comes in: the wish for a server (requests/requests.ts), the pool's leases, the replies of the server. Goes out: bytes to the
 * client. What must hold: a request is sent to a server that has the client's settings and nothing of others; a lease ends by
 * `release`, by `giveBack` where the session ends, or by `#giveUp` before anything was sent. Owned by session.ts, whose states
 * it changes (lifecycle/client-state.ts).
 */

import { type ErrorFields, errorFields } from '../../errors.ts'
import type { Lease } from '../../pool/lease.ts'
import type { Pool } from '../../pool/pool.ts'
import type { PoolMode } from '../../pool/settings.ts'
import type { ShortText } from '../../pool/short-texts.ts'
import { hasWaited, type Waiter } from '../../pool/waiter.ts'
import type { Batch } from '../../protocol/batch.ts'
import { noticeResponse } from '../../protocol/build.ts'
import type { ErrorSummary } from '../../protocol/error-response.ts'
import { TX_IDLE } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { forgetSequences } from '../../server/forget-sequences.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'
import type { PlanRef, ServerEnd } from '../../server/ports.ts'
import type { QueryResult } from '../../server/query-result.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'
import { now } from '../../util/clock.ts'
import type { Ask } from '../lifecycle/ask.ts'
import type { Ending, NamedError } from '../lifecycle/ending.ts'
import type { LinkedSession } from '../lifecycle/linked-session.ts'
import { type RequestLink, Requests } from '../requests/requests.ts'
import { ClientEffects } from '../state/client-effects.ts'
import { applySettings } from './apply-settings.ts'
import { giveBack } from './give-back.ts'
import { PoolChoice } from './pool-choice.ts'
import { ReadRouting } from './read-routing.ts'
import { mayRelease, type ReleasingLink } from './release.ts'
import { Relinks } from './relinks.ts'
import { finishRead, holdsBack, rescueRead } from './rescue-read.ts'
import { Sharing } from './sharing.ts'
import { ToldDefaults } from './told-defaults.ts'

/** What one client has to do with servers. */
export class ServerLink implements Waiter, ReleasingLink, RequestLink {
  list: { readonly name: string } | null = null
  prev: Waiter | null = null
  next: Waiter | null = null
  waitingSince = 0
  lastServer = 0
  readonly id: number

  readonly pool: Pool
  readonly mode: PoolMode
  readonly effects: ClientEffects
  readonly requests: Requests
  lease: Lease | undefined
  readonly #session: LinkedSession
  /** Which values of reported parameters the client was told. */
  readonly told: ToldDefaults
  /** The request that waits was canceled while its server answered to pgbun itself. */
  #canceled = false
  /** Where the server at hand comes from, or is waited for. */
  readonly choice: PoolChoice
  readonly #sharing: Sharing
  readonly #relinks = new Relinks()

  /** Belong to `pool` from now on, the login included: a pool with clients is not forgotten. */
  constructor(session: LinkedSession, pool: Pool) {
    const { info, settings, ports } = session
    this.id = info.id
    this.pool = pool
    // A replication client keeps its server as one of session mode does.
    this.mode = info.replication === 'none' ? pool.settings.mode : 'session'
    this.effects = new ClientEffects(info, settings, pool, this.mode, ports.log)
    this.#session = session
    this.told = new ToldDefaults(session.wire, settings)
    this.requests = new Requests(session, this, this.effects)
    this.#guests.clients++
    const statement = (name: string): StatementEntry | undefined => this.requests.upstream.statementNamed(name)
    const make = (): ReadRouting => new ReadRouting(() => ports.readsOf(pool), settings, statement)
    // Where a statement keeps its client on the server, that must not be a standby.
    const follows = this.mode !== 'session' && ports.config.maxPreparedStatements > 0
    this.choice = new PoolChoice(pool, follows ? make : undefined)
    this.#sharing = new Sharing(session, this.effects, this.choice, () => this.requests.upstream)
  }

  /** Where the client is counted in its pool. */
  get #guests(): { clients: number } {
    return this.#session.info.replication === 'none' ? this.pool : this.pool.dedicated
  }

  /** The lease: replies come for a client that holds one, and for no other. */
  get #held(): Lease {
    if (this.lease === undefined) throw new Error('a reply came for a client that holds no server')
    return this.lease
  }

  /** The server the client holds. */
  get server(): ServerConnection | undefined {
    return this.lease?.server
  }

  get short(): ShortText | undefined {
    return this.#sharing.short
  }

  get pid(): number {
    return this.#session.info.pid
  }

  get forbidsBlocks(): boolean {
    return this.mode === 'statement'
  }

  /** Keep the server that was opened for this client alone until one of the two ends. */
  hold(lease: Lease): void {
    this.lease = lease
    this.#activate(lease)
  }

  /** End the session with an error of the catalogue. */
  endWith(name: NamedError['name'], args?: NamedError['args']): void {
    this.#session.endWith(name, args)
  }

  // ---- the lease ----

  /** What was sent may be nothing the server answers: the rest of a COPY that failed, a Flush. */
  forwarded(): void {
    this.choice.sent(true)
    const { lease } = this
    const { activity, state } = this.#session
    if (state !== 'active' || !activity.running || !lease?.answered) return
    activity.answered()
    if (lease.settled) this.#maybeRelease(lease)
  }

  /** Get a server for what comes next, at the cursor of `batch`; false where it must be waited for. */
  acquire(batch: Batch): boolean {
    const pool = this.choice.choose(batch)
    this.#sharing.look(batch)
    return this.#acquireFrom(pool)
  }

  #acquireFrom(pool: Pool): boolean {
    const session = this.#session
    const lease = pool.acquire(this)
    if (lease !== undefined && this.#mayUse(lease)) {
      this.#link(lease)
      return session.state === 'active'
    }
    if (this.choice.current !== pool) return this.#acquireFrom(this.choice.current)
    // Served from the queue at once, or refused: the request is being thrown away.
    if (this.lease !== undefined) return session.state === 'active'
    if (session.state === 'closed' || this.requests.refusing) return true
    session.setState('waiting')
    session.activity.turned()
    return false
  }

  /** Whether the request can be sent to the server of `lease`; otherwise it is given back, and the primary is to serve. */
  #mayUse(lease: Lease): boolean {
    if (this.choice.mayUse(lease)) return true
    this.choice.fallBack()
    lease.release('done')
    return false
  }

  maySend(): boolean {
    return this.#held.takesMore && this.choice.maySend(this.#session.activity.running)
  }

  suits(server: ServerConnection): boolean {
    return this.#session.settings.matches(server.settings) && this.#sharing.isReadyOn(server)
  }

  onLease(lease: Lease): void {
    try {
      if (this.#mayUse(lease)) {
        this.#link(lease)
        this.#session.pump()
      } else this.#waitForPrimary()
    } catch (error) {
      // The link is called in the turn of whoever gave the server back: a fault here must not become its end.
      this.#session.onFault(error)
    }
  }

  /** The request that waits in the queue for standbys waits for the primary. */
  #waitForPrimary(): void {
    const { waitingSince } = this
    const lease = this.pool.acquire(this)
    if (lease !== undefined) this.onLease(lease)
    else this.waitingSince = waitingSince
  }

  /** The server is the client's: give it this client's settings, then send what waits. */
  #link(lease: Lease): void {
    this.lease = lease
    const { server } = lease
    this.lastServer = server.id
    if (applySettings(server, this.#session.settings, (result) => this.#firstLinked(lease, result)))
      this.#activate(lease)
    else this.#session.setState('linking')
  }

  /** The server, which the client has just got, has been given the client's settings. */
  #firstLinked(lease: Lease, result: InternalQueryResult): void {
    const session = this.#session
    // The client may have left meanwhile.
    if (session.state !== 'linking' || this.#giveUp(lease, result)) return
    this.#relinks.over()
    if (this.#canceled && result.kind === 'done' && session.closing !== 'between transactions') {
      this.release(lease)
      this.#refuseCanceled()
    } else this.#linked(lease, result)
  }

  /**
   * Give up the server the client was being linked to; false where that does not help. A server that is lost, or held up by
   * what another client left on it, is given up for another one as long as the client has sent it nothing.
   */
  #giveUp(lease: Lease, result: InternalQueryResult): boolean {
    if (!this.#relinks.helps(result)) return false
    this.lease = undefined
    this.#session.setState('idle')
    if (result.kind === 'closed') lease.forfeit()
    else {
      // Not even this client gets it before it is reset.
      lease.server.content.disown()
      lease.release('done')
    }
    this.#goOn()
    return true
  }

  /** The server has been given the client's settings. */
  #linked(lease: Lease, result: InternalQueryResult): void {
    const session = this.#session
    if (session.state !== 'linking') return
    if (result.kind === 'done') {
      this.#activate(lease)
      this.#takeOver(lease, result.answer)
      this.#goOn()
    } else if (result.kind === 'error') {
      session.end({ kind: 'refused', fields: { ...result.error, severity: 'FATAL' } })
    } else this.onServerClosed(result.end)
  }

  /** The client has a server. */
  #activate({ server }: Lease): void {
    const session = this.#session
    this.told.tell(server.settings.defaults, this.choice.mayVary)
    // Somebody reads values of sequences: nobody else's may be there.
    if (server.content.sequenceOwner < 0 && this.pool.functions.readsSequences) forgetSequences(server, this.id)
    session.setState('active')
    session.activity.turned()
  }

  /** The server has answered to pgbun and serves the client again, which hears now what came for it meanwhile. */
  #takeOver({ server }: Lease, answer: QueryResult): void {
    server.lend(this.#held.line ?? this, 'active')
    for (const notification of answer.notifications(server.identity.pid, this.pid)) this.onServerBytes(notification)
    if (this.#session.wire.full) server.wire.pause()
  }

  /**
   * Ask the server something of pgbun's own: the client's requests wait for the answer. Returns false where `ask` finds
   * that nothing need be asked.
   * @param answered decides what follows from the answer; not called where the client or the server has left meanwhile
   */
  inspect(lease: Lease, ask: Ask, answered: (result: InternalQueryResult) => void): boolean {
    const session = this.#session
    const nothing = ask((result) => {
      if (session.state !== 'inspecting') return
      if (result.kind === 'closed') {
        this.onServerClosed(result.end)
        return
      }
      session.setState('active')
      this.#takeOver(lease, result.answer)
      if (session.closing !== 'between transactions') answered(result)
      this.#goOn()
    })
    if (!nothing) session.setState('inspecting')
    return !nothing
  }

  /** Apply settings to the server the client keeps: what it sends waits until they are. */
  apply(lease: Lease, ask: Ask): void {
    if (!ask((result) => this.#linked(lease, result))) this.#session.setState('linking')
  }

  /** What waits may be sent, or was canceled, or the process shuts down. */
  #goOn(): void {
    if (this.#session.closing === 'between transactions') this.#session.endWith('admin_shutdown')
    else if (!this.#refuseCanceled()) this.#session.pump()
  }

  /** The moment a lease may end: nothing outstanding, no transaction, no half message on its way. */
  #maybeRelease(lease: Lease): void {
    if (this.#session.closing !== 'not') this.#session.endWith('admin_shutdown')
    else if (!this.requests.upstream.midMessage && mayRelease(this, lease)) this.release(lease)
  }

  /** Give the server back that the client keeps without needing to, if nothing else keeps it. */
  stopKeeping(): void {
    this.effects.transaction.stopHolding()
    if (this.lease?.settled) this.#maybeRelease(this.lease)
  }

  /** Give the server back; the client goes on without one. */
  release(lease: Lease): void {
    const session = this.#session
    this.lease = undefined
    // What changed while the client had the server, the server has told it.
    if (session.state === 'active') this.told.heard(lease.server.settings.defaults)
    session.setState('idle')
    this.choice.released()
    lease.server.wire.resume()
    lease.release('done')
    session.regulate()
  }

  /** The request that waits was canceled before it could be sent: answer it, as one of a client in the queue. */
  #refuseCanceled(): boolean {
    const { state } = this.#session
    if (!this.#canceled || state === 'linking' || state === 'closed') return false
    this.#canceled = false
    this.#refuse(errorFields('canceled'))
    return true
  }

  onLongWait(): void {
    this.#session.wire.write(noticeResponse(errorFields('query_wait_notify')))
  }

  onLeaseRefused(fields: ErrorFields): void {
    const { state } = this.#session
    if (hasWaited(this, this.pool.settings.queryWaitTimeoutMs, now()) || !this.choice.fallBack()) this.#refuse(fields)
    // Refused at once, and asked for at once.
    else if (state === 'waiting') this.#waitForPrimary()
  }

  /** The request at the head of the inbox is answered with an error; the client stays connected. */
  #refuse(fields: ErrorFields): void {
    const session = this.#session
    if (session.state === 'waiting') session.setState('idle')
    this.requests.refuse(fields)
    session.activity.turned()
    session.pump()
  }

  /** A cancel request has come for a request that was not sent to a server; false where there is none. */
  cancelWaiting(): boolean {
    const session = this.#session
    if (session.state === 'waiting') {
      this.choice.current.leave(this)
      this.#refuse(errorFields('canceled'))
      return true
    }
    if ((session.state !== 'linking' && session.state !== 'inspecting') || !session.hasInput) return false
    // What the server does for the client meanwhile must come to its end.
    this.#canceled = true
    return true
  }

  // ---- replies ----

  onServerBytes(bytes: Buffer): void {
    const session = this.#session
    if (this.choice.holding && holdsBack(session, this.choice, bytes)) return
    this.choice.current.counters.sent += bytes.length
    session.wire.write(bytes)
    if (session.closing !== 'not' && this.lease?.server.streaming) session.endWith('admin_shutdown')
  }

  onServerError(): void {
    this.effects.transaction.failed()
    // What was to deallocate is discarded, like all up to the Sync, which may be among what is held back.
    if (this.#held.server.plan.skipping) {
      this.requests.upstream.discarded()
      this.#session.pump()
    }
  }

  onServerCopyIn(): void {
    // Its bytes have not been handed over yet.
    queueMicrotask(() => this.#session.pump())
  }

  onServerParameter(name: string, value: string): string | undefined {
    if (this.#session.settings.startup.size === 0) return undefined
    return this.effects.transaction.startupInstead(this.#held.server, name, value)
  }

  onServerDeallocated(all: boolean): void {
    this.requests.upstream.onDeallocated(this.#held.server, all)
  }

  onServerRefused(error: ErrorSummary, body: Buffer, ref: PlanRef): Buffer | undefined {
    return this.requests.upstream.onRefused(this.#held.server, error, body, ref, this.#sharing.apartFrom(this.#held))
  }

  onServerRepeat(): void {
    const rest = this.requests.upstream.repeat(this.#held.server)
    this.choice.sent(rest === undefined)
    this.#session.putBack(rest)
  }

  onServerReady(status: number, shown: boolean): void {
    const { effects } = this
    const { current } = this.choice
    const session = this.#session
    const lease = this.#held
    const { server } = lease
    if (shown) session.activity.requestOver(current)
    if (status === TX_IDLE) {
      session.activity.transactionOver(shown ? current : undefined, !lease.answered)
      effects.adopt(server)
    } else {
      effects.transaction.inBlock(server, status)
      if (this.mode === 'statement') {
        session.endWith('statement_mode_transaction')
        return
      }
    }
    if (!lease.answered) {
      if (!this.requests.upstream.midMessage) server.resolveDoubt()
      // What waited for the answer to this batch.
      if (session.hasInput) session.pump()
      return
    }
    this.requests.upstream.settled(server)
    session.activity.answered()
    if (this.choice.holding) finishRead(session, this.choice, status === TX_IDLE)
    if (status === TX_IDLE) this.#maybeRelease(lease)
    if (this.lease !== undefined) this.choice.keeps()
    session.pump()
  }

  onServerFull(): void {
    this.#session.regulate()
  }

  onServerDrain(): void {
    this.#session.regulate()
  }

  /** The client does not read what the server sends: read no more of it. */
  onClientFull(): void {
    // What the server answers to pgbun itself has to be read.
    if (this.#session.state === 'active' && this.lease?.aloneWaits) this.lease.server.wire.pause()
  }

  onClientDrain(): void {
    this.lease?.server.wire.resume()
  }

  onTurn(): void {
    this.requests.turnCame()
  }

  onNotRun(): void {
    const { server } = this.#held
    this.lease = undefined
    this.#sharing.sendAgain(server)
  }

  onServerFatal(): boolean {
    return this.choice.canRescue
  }

  onServerClosed(end: ServerEnd): void {
    const { lease } = this
    lease?.forfeit()
    this.lease = undefined
    if (lease !== undefined && rescueRead(this.#session, this.requests, this.choice, lease.server)) return
    this.requests.running.failLost(end.fields.sqlstate)
    this.#session.end({ kind: 'server-lost', end })
  }

  // ---- the end of the session ----

  /** The session ends: the server goes back as it is. True where the client has got a part of a message. */
  giveBack(ending: Ending): boolean {
    this.choice.current.leave(this)
    const { lease } = this
    this.lease = undefined
    return lease !== undefined && giveBack(lease, this.requests.upstream.midMessage, this.effects.mayHaveLeft, ending)
  }

  /** The session is over. */
  end(): void {
    this.requests.upstream.end()
    this.requests.running.end()
    this.effects.pins.end()
    this.#guests.clients--
  }
}
