/**
 * Requests of several clients on one server, each sent behind the others while those still run, as a client does it for
 * itself in libpq's pipeline mode: many leave in one write, and many answers come in one read. Only for requests that are
 * whole, short by experience (short-texts.ts) and certain to leave neither a transaction nor anything else in the session.
 *
 * Comes in: leases of the pool (`begin`, `join`), and the replies of the server. Goes out: to each client its answer, as a
 * whole. What must hold:
 * - the order of the places is the order in which requests were sent, and a place is answered with one ReadyForQuery;
 * - nobody joins while a cancel request is under way: it could hit who came behind. Who is hit although its client did not
 *   ask for it has done nothing but to read, and has been told nothing: its request is run again;
 * - behind an error of a cancel request or a limit of time it is not certain whose answers follow: they are not read, and all
 *   who are there are run again on other servers;
 * - nobody waits for an answer that is too large to be held back: those behind it are run again elsewhere at once;
 * - who keeps others waiting for longer than `server_pipelining_max_wait` is canceled and run again in the same way, alone.
 *   It may wait for a lock of a client that waits, outside of PostgreSQL's sight, for one of those others;
 * - a server that ends its session with a FATAL has not begun what is behind the first place, which is sent elsewhere.
 */

import { parameterStatus } from '../protocol/build.ts'
import { type ErrorSummary, isHeldUp, readError } from '../protocol/error-response.ts'
import { TX_IDLE } from '../protocol/types.ts'
import type { ServerConnection } from '../server/connection.ts'
import { NOT_RUN, NOTHING, type PlanRef, type ServerEnd } from '../server/ports.ts'
import { after, afterTurn, now } from '../util/clock.ts'
import type { Counters } from './counters.ts'
import type { Lease, LeaseOutcome } from './lease.ts'
import { RunTimes } from './run-times.ts'
import type { PoolMode } from './settings.ts'
import { type Line, SharedLease, unknownOutcome } from './shared-lease.ts'
import type { ShortText } from './short-texts.ts'
import type { Waiter } from './waiter.ts'

/** So many requests may be under way, however short they are. */
const DEPTH = 128
/** An answer is held back up to so many bytes. */
const HELD_BYTES = 65_536
/** After so long without a pause the pool is to look at the server before others use it (ms). */
const SHIFT_MS = 1000

/** The pool whose server it is. */
export interface PipelineOwner {
  readonly counters: Counters
  /** How long one may keep those behind it waiting. */
  maxWaitMs(): number
  /** Nothing is under way any more, and nobody has the server. */
  over(server: ServerConnection, mode: PoolMode, outcome: LeaseOutcome, reason: string): void
  /** One more may join, perhaps. */
  moved(): void
  /** Ask PostgreSQL to cancel what runs on the server. */
  cancel(server: ServerConnection): void
}

/** The line of requests on one server. */
export class Pipeline implements Line {
  readonly server: ServerConnection
  readonly #owner: PipelineOwner
  readonly #times = new RunTimes()
  #first: SharedLease | undefined
  #last: SharedLease | undefined
  #size = 0
  /** Expected time of what is under way (ms). */
  #load = 0
  /** Since when the first one is first. */
  #since = 0
  /** When the pool looked at the server last. */
  #begunAt = 0
  /** Nobody joins until it is empty. */
  #shut = false
  #stopWatching: (() => void) | undefined
  /** What the server says from here on is not read, because it is not certain for whom it is. */
  #unproven = false
  /** Who was first when that was looked at last. */
  #seen: SharedLease | undefined
  /** The client that keeps the server. */
  #keeper: SharedLease | undefined

  constructor(server: ServerConnection, owner: PipelineOwner) {
    this.server = server
    this.#owner = owner
  }

  get first(): SharedLease | undefined {
    return this.#first
  }

  get size(): number {
    return this.#size
  }

  get load(): number {
    return this.#load
  }

  /** The client whose answer comes next knows the server as this process. */
  get pid(): number {
    return this.#first?.client?.pid ?? 0
  }

  get forbidsBlocks(): boolean {
    return this.#first?.client?.forbidsBlocks ?? false
  }

  /** `client` is the first that gets the server, which is idle. */
  begin(client: Waiter, at: number): SharedLease {
    this.#shut = false
    this.#begunAt = at
    const lease = this.#add(client, at)
    this.server.beginLease(this, lease)
    return lease
  }

  /** Whether one more may be sent, of what is expected to take no more than `budgetMs` in all. */
  hasRoom(text: ShortText, budgetMs: number, at: number): boolean {
    const last = this.#last
    if (this.#shut || last === undefined || !last.whole || this.#first!.passes || this.#size >= DEPTH) return false
    // The second of the same kind tells what one takes without the way there and back.
    if (this.#load >= budgetMs && !(this.#size === 1 && text.isNew && last.text === text)) return false
    const { server } = this
    // Of one that is lost it is not known here yet.
    if (server.state !== 'active') return false
    return at - this.#begunAt < SHIFT_MS && server.cancels === 0 && !server.wire.full
  }

  /** `client` sends its request behind those under way. */
  join(client: Waiter, at: number): SharedLease {
    const lease = this.#add(client, at)
    this.server.wire.waitsForOthers = true
    this.server.usedAt = at
    this.#watch()
    return lease
  }

  #add(client: Waiter, at: number): SharedLease {
    const first = this.#first
    const lease = new SharedLease(this, this.server, client, at, first !== undefined, client.short!)
    if (first === undefined) {
      this.#first = lease
      this.#since = at
      this.#times.begin(at)
    } else this.#last!.behind = lease
    this.#last = lease
    this.#load += lease.cost
    this.#size++
    // Behind what has not shown to be short nobody is sent.
    if (!lease.text.admitted) this.#shut = true
    return lease
  }

  // ---- what clients do ----

  sent(lease: SharedLease, all: boolean): void {
    const { plan } = this.server
    if (lease.whole) return
    lease.whole = all && !lease.open && plan.readies === lease.readies + 1 && !plan.needsSync && !plan.copyIn
    if (lease.whole) return
    this.#opens(lease)
  }

  /** A part of it waits, or was answered without the server: the client, which is the last to have sent, goes on by itself. */
  #opens(lease: SharedLease): void {
    lease.whole = false
    lease.open = true
    this.#shut = true
  }

  takeBack(lease: Lease, outcome: LeaseOutcome, reason: string): void {
    const place = lease as SharedLease
    if (outcome === 'broken' && this.#size > 1) {
      // Those ahead may have been run: it is as with any connection that is lost.
      place.client = undefined
      this.server.cut(reason)
      return
    }
    if (place.kept || (place.open && place.answered) || outcome === 'broken') {
      this.#over(place, outcome, reason)
      return
    }
    place.client = undefined
    // What it does not read is not for others any more.
    if (this.#first === place) this.server.wire.resume()
    if (place.over) return
    if (!place.whole && !place.open) {
      // Nothing was sent.
      this.#withdraw(place)
      if (this.#size === 0) this.#over(place, outcome, reason)
    } else if (this.#first !== place) return
    // Nobody waits for it: that it comes to an end is the pool's business.
    else if (place.behind === undefined) this.#over(place, outcome, reason)
    else if (outcome === 'abandoned') this.#cancelFirst()
  }

  forfeited(lease: SharedLease): void {
    if (this.#first === lease || this.#keeper === lease) this.#over(lease, 'done', '')
  }

  /** The last client gives the server back, in whatever state it is. */
  #over(place: SharedLease, outcome: LeaseOutcome, reason: string): void {
    place.client = undefined
    this.#keeper = undefined
    this.#takeAll()
    this.#owner.counters.leaseTime += now() - this.#begunAt
    this.#owner.over(this.server, place.mode, outcome, reason)
  }

  /** `place`, which is the last, was not used. */
  #withdraw(place: SharedLease): void {
    let before: SharedLease | undefined
    for (let other = this.#first; other !== undefined && other !== place; other = other.behind) before = other
    if (before === undefined) this.#first = undefined
    else before.behind = undefined
    this.#last = before
    this.#load -= place.cost
    this.#size--
  }

  // ---- time ----

  /** Somebody waits for the first one: see to it that it does not take too long. */
  #watch(): void {
    const patienceMs = this.#owner.maxWaitMs()
    if (this.#stopWatching !== undefined) return
    // Its answer may be there, and not have been read.
    const stop = after(patienceMs / 2, () => afterTurn(() => this.#stopWatching === stop && this.#look(patienceMs)))
    this.#stopWatching = stop
  }

  #look(patienceMs: number): void {
    this.#stopWatching = undefined
    const first = this.#first
    if (first === undefined || this.#size < 2) return
    // Where this process is busy, who was not first before may have been sent a moment ago.
    const tooLong = first === this.#seen && now() - this.#since >= patienceMs
    this.#seen = first
    if (tooLong && !first.passes && this.server.cancels === 0) {
      first.text.wasSlow()
      this.#cancelFirst()
    }
    this.#watch()
  }

  cancelBegins(lease: SharedLease): void {
    lease.canceled = true
    this.#expose()
  }

  #cancelFirst(): void {
    this.#expose()
    this.#owner.cancel(this.server)
  }

  /** All who are there may be hit by the cancel request that begins. */
  #expose(): void {
    this.#shut = true
    for (let place = this.#first; place !== undefined; place = place.behind) place.exposed = true
  }

  // ---- replies ----

  onServerBytes(bytes: Buffer): void {
    const first = this.#first
    if (first === undefined) return
    first.bytes += bytes.length
    if (!first.passes && !first.open && first.bytes <= HELD_BYTES) {
      first.held.push(bytes)
      return
    }
    if (!first.passes && !first.open) this.#leaveToIt(first)
    first.passes = true
    this.#tell(first)
    first.client?.onServerBytes(bytes)
  }

  /** The answer of `first` is too large to be held back: nobody is to wait for it. */
  #leaveToIt(first: SharedLease): void {
    this.#shut = true
    // It could be told of a cancel request for somebody else, and not be run again.
    if (first.exposed && !first.canceled) {
      first.held = []
      this.#notRun(first)
    }
    for (let place = first.behind; place !== undefined; place = place.behind) this.#notRun(place)
  }

  #tell(place: SharedLease): void {
    for (const [name, value] of place.missed) {
      place.client?.onServerBytes(parameterStatus(name, place.client.onServerParameter?.(name, value) ?? value))
    }
    place.missed = []
    for (const bytes of place.held) place.client?.onServerBytes(bytes)
    place.held = []
    place.copied = 0
  }

  onServerChunkOver(): void {
    this.#times.chunkOver(this.#first)
    const first = this.#first
    if (first === undefined) return
    const { held } = first
    for (; first.copied < held.length; first.copied++) held[first.copied] = Buffer.from(held[first.copied]!)
  }

  onServerReady(status: number, shown: boolean): void {
    const first = this.#first
    if (first === undefined) return
    if (status !== TX_IDLE && !first.open) first.text.isWrong()
    if (status !== TX_IDLE && first.behind !== undefined) {
      this.server.abort('a statement that was certain to leave no transaction has left one')
      return
    }
    if (first.open || !shown) {
      first.client?.onServerReady(status, shown)
      return
    }
    this.#since = now()
    this.#times.answered(first)
    this.#shift(first)
    const next = this.#first
    if (next === undefined) {
      this.#lastAnswered(first, status)
      return
    }
    if (first.hit) this.#notRun(first)
    else this.#answered(first, status)
    if (first.heldUp) {
      // It may have come ahead of the answer, which would be taken for that of the next.
      this.#unproven = true
      this.server.cut('a request was canceled, or a limit of time has passed: it is not certain for whom')
      return
    }
    const left = next === this.#first && next.client === undefined && next.behind === undefined
    if (left) this.#over(next, next.open ? 'abandoned' : 'finishing', '')
    else this.#owner.moved()
  }

  /** The line is empty: the server is that of the last client, until it gives it back. */
  #lastAnswered(last: SharedLease, status: number): void {
    this.#times.chunkOver(undefined)
    const { client } = last
    if (client === undefined || last.hit) {
      last.sentAgain = last.hit
      this.#over(last, status === TX_IDLE ? 'done' : 'abandoned', '')
      if (last.hit) this.#rerun(client)
      return
    }
    this.#tell(last)
    last.kept = true
    this.#keeper = last
    this.server.consumer = client
    client.onServerReady(status, true)
  }

  /** The first one is answered; the turn is that of the next. */
  #shift(first: SharedLease): void {
    const next = first.behind
    this.#first = next
    this.#load = Math.max(0, this.#load - first.cost)
    this.#size--
    first.over = true
    if (next === undefined) {
      this.#last = undefined
      this.#load = 0
      this.server.wire.waitsForOthers = false
      return
    }
    this.server.effects = next
    next.client?.onTurn?.()
  }

  #answered(first: SharedLease, status: number): void {
    const { client } = first
    if (first.touched || first.parametersChanged) {
      // Nobody can ask what it was while others use the server.
      this.#shut = true
      const reason = this.server.retire('something has changed the session while several clients used it')
      if (first.touched) {
        first.text.isWrong()
        this.server.log.error(reason, this.server.about())
      }
    }
    if (client === undefined) return
    this.#tell(first)
    client.onServerReady(status, true)
  }

  /** What was canceled without its client's wish has left nothing, and nobody has been told of it. */
  #notRun(place: SharedLease): void {
    const { client } = place
    place.client = undefined
    place.sentAgain = true
    this.#rerun(client)
  }

  #rerun(client: Waiter | undefined): void {
    if (client === undefined) return
    this.#owner.counters.sharedReruns++
    client.onNotRun?.()
  }

  onServerError(body: Buffer): void {
    const first = this.#first
    if (first === undefined) return
    const heldUp = isHeldUp(readError(body))
    if (heldUp) {
      first.heldUp = true
      this.#shut = true
    }
    // Whether it is its own shows where it is run again, alone.
    const others = first.exposed || first.amongOthers
    if (heldUp && others && !first.canceled && !first.passes && !first.open) first.hit = true
    else first.client?.onServerError?.(body)
  }

  onServerFatal(): boolean {
    return this.#first?.client?.onServerFatal?.() ?? false
  }

  onServerRefused(error: ErrorSummary, body: Buffer, ref: PlanRef): Buffer | undefined {
    const first = this.#first
    const instead = first?.client?.onServerRefused?.(error, body, ref)
    if (instead !== NOT_RUN) return instead
    first!.hit = true
    // The statements of the server are in doubt.
    this.#shut = true
    return NOTHING
  }

  onServerRepeat(): void {
    const first = this.#first
    if (first === undefined) return
    // It is the only one, and nobody may come between.
    this.#shut = true
    const { plan } = this.server
    const { readies } = plan
    first.client?.onServerRepeat?.()
    // A part of it may have to wait this time.
    if (plan.readies !== readies + 1 || plan.needsSync) this.#opens(first)
  }

  onServerParameter(name: string, value: string): string | undefined {
    // To those who wait PostgreSQL says nothing of it again.
    for (let place = this.#first?.behind; place !== undefined; place = place.behind) place.missed.push([name, value])
    return this.#first?.client?.onServerParameter?.(name, value)
  }

  onServerDeallocated(all: boolean): void {
    this.#first?.client?.onServerDeallocated?.(all)
  }

  onServerCopyIn(): void {
    const first = this.#first
    if (first?.open) first.client?.onServerCopyIn?.()
    else {
      first?.text.isWrong()
      this.server.abort('a statement that was certain to copy nothing has begun to')
    }
  }

  onServerFull(): void {
    for (let place = this.#first; place !== undefined; place = place.behind) place.client?.onServerFull()
  }

  onServerDrain(): void {
    for (let place = this.#first; place !== undefined; place = place.behind) place.client?.onServerDrain()
  }

  onServerClosed(end: ServerEnd): void {
    const [first, ...rest] = this.#takeAll()
    this.#owner.over(this.server, first?.mode ?? 'transaction', 'done', '')
    if (first?.hit || (first && this.#unproven)) this.#notRun(first)
    else if (first !== undefined) {
      // Of a message that has not come as a whole its client has seen nothing.
      const cut = end.midMessage && !first.passes
      if (!cut) this.#tell(first)
      first.client?.onServerClosed(cut ? { ...end, midMessage: false } : end)
    }
    for (const place of rest) {
      if (end.relayed || this.#unproven) this.#notRun(place)
      else place.client?.onServerClosed({ ...end, fields: unknownOutcome(end), midMessage: false })
    }
  }

  /** Empty the line. Returns who was in it. */
  #takeAll(): SharedLease[] {
    const all: SharedLease[] = []
    for (let place = this.#first; place !== undefined; place = place.behind) all.push(place)
    for (const place of all) place.over = true
    this.#times.forget()
    this.#first = undefined
    this.#last = undefined
    this.#size = 0
    this.#load = 0
    this.#stopWatching?.()
    this.#stopWatching = undefined
    this.#seen = undefined
    this.server.wire.waitsForOthers = false
    return all
  }
}
