/**
 * One client: its connection, its input and its state. The one place that knows both sides.
 *
 * Comes in: batches of the client's wire. Goes out: the login (login/login.ts) takes them first, then the client's side of its
 * server connection (link/server-link.ts), which sends them to PostgreSQL. What must hold: input is handled in order and never
 * before its time (until then it stays in the inbox); the session ends once, in `end`, whatever the reason.
 */

import type { Wire, WireHandler } from '../net/wire.ts'
import type { Pool } from '../pool/pool.ts'
import type { Batch } from '../protocol/batch.ts'
import { errorResponse } from '../protocol/build.ts'
import { ClientSettings } from '../settings/client-settings.ts'
import { Conversation } from './console/conversation.ts'
import { Activity } from './lifecycle/activity.ts'
import { ClientInfo, type ClientOrigin } from './lifecycle/client-info.ts'
import { type ClientState, checkEdge } from './lifecycle/client-state.ts'
import type { ConsoleUser } from './lifecycle/console-backend.ts'
import { countEnd, type EndReason, endingOf, type NamedError, violation } from './lifecycle/ending.ts'
import { HalfClosed } from './lifecycle/half-closed.ts'
import type { LinkedSession } from './lifecycle/linked-session.ts'
import { logEnd } from './lifecycle/log-end.ts'
import type { ClientPorts, RegisteredClient } from './lifecycle/ports.ts'
import { cancelClient } from './link/cancel.ts'
import { ServerLink } from './link/server-link.ts'
import { Login } from './login/login.ts'
import { Inbox } from './requests/inbox.ts'

/** The session of one client. */
export class ClientSession implements WireHandler, LinkedSession, RegisteredClient {
  readonly info: ClientInfo
  readonly activity = new Activity()
  readonly ports: ClientPorts
  /** What the client wants set. */
  readonly settings = new ClientSettings()
  readonly wire: Wire
  /** What the client has to do with servers, from the moment its pool is known. */
  link: ServerLink | undefined
  /** What the client has to do with the console, where it is logged in there. */
  #console: Conversation | undefined
  /** Nothing is read from the client until an operator says otherwise. */
  suspended = false
  /** The process shuts down: when the session is to end. */
  closing: LinkedSession['closing'] = 'not'
  #state: ClientState = 'startup'
  /** Until the client has logged in. */
  #login: Login | undefined
  readonly #inbox = new Inbox()
  /** The client sends no more, and waits for the answers to what it has sent. */
  #halfClosed: HalfClosed | undefined
  #pumping = false

  /** @param makeWire gives the wire with this session as its handler */
  constructor(makeWire: (handler: WireHandler) => Wire, origin: ClientOrigin, ports: ClientPorts) {
    this.info = new ClientInfo(origin)
    this.ports = ports
    this.#login = new Login(this)
    this.wire = makeWire(this)
  }

  get state(): ClientState {
    return this.#state
  }

  /** Change the state (R1). Throws on an edge that does not exist. */
  setState(next: ClientState): void {
    if (next === this.#state) return
    checkEdge(this.info.id, this.#state, next)
    this.#state = next
  }

  /** Belong to `pool` from now on, the login included. */
  join(pool: Pool): ServerLink {
    this.link = new ServerLink(this, pool)
    return this.link
  }

  /** Talk to the console from now on. */
  enterConsole(user: ConsoleUser): void {
    this.setState('console')
    this.#console = new Conversation(this, this.ports.console, user)
  }

  /** The login is over; what it needed is not kept. */
  loggedIn(): void {
    this.#login = undefined
    this.activity.turned()
  }

  /** Why the client keeps its server between transactions; '' where it does not. */
  get pinned(): string {
    return this.link?.effects.remembered.pinned ?? ''
  }

  // ---- input ----

  onBatch(batch: Batch): void {
    if (this.#state === 'closed') {
      batch.release()
      return
    }
    this.#inbox.push(batch)
    this.pump()
  }

  get hasInput(): boolean {
    return this.#inbox.first !== undefined
  }

  get nextType(): number {
    const { first } = this.#inbox
    if (first === undefined) throw new Error('no request waits')
    return first.type(first.cursor)
  }

  putBack(batch: Batch | undefined): void {
    this.#inbox.putBack(batch)
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
    this.regulate()
    this.#halfClosed?.look()
  }

  /** Take the rest of the first batch; false where it must wait. */
  #handle(batch: Batch): boolean {
    while (batch.cursor < batch.count) {
      switch (this.#state) {
        case 'startup':
        case 'login':
        case 'canceling':
          if (!this.#login?.onSegment(batch)) return false
          break
        case 'idle':
        case 'waiting':
        case 'linking':
        case 'active':
        case 'inspecting':
          if (!this.link?.requests.take(batch)) return false
          break
        case 'console':
          if (!this.#console?.take(batch)) return false
          break
        case 'closed':
          return true
      }
    }
    if (batch.violation !== undefined && this.#state !== 'canceling') this.end(violation(this.#state, batch.violation))
    return true
  }

  /** Pause or resume the client's socket. */
  regulate(): void {
    if (this.#state === 'closed') return
    if (this.suspended || this.link?.requests.holdsBack || this.#inbox.full) this.wire.pause()
    else this.wire.resume()
  }

  /** Read nothing from the client and its server (SUSPEND), or go on. A client of the console is left alone. */
  suspend(suspended: boolean): void {
    if (this.#state === 'closed' || this.#state === 'console') return
    this.suspended = suspended
    this.regulate()
    const wire = this.link?.server?.wire
    if (suspended) wire?.pause()
    else if (!this.wire.full) wire?.resume()
  }

  // ---- the client's wire ----

  onFull(): void {
    this.activity.stalled()
    this.link?.onClientFull()
    this.regulate()
  }

  onDrain(): void {
    this.activity.stalledSince = 0
    // What was read from the server is taken; while the client is suspended no more is.
    if (!this.suspended) this.link?.onClientDrain()
    this.pump()
  }

  onPeerEnd(): boolean {
    if (!this.isOwed) return false
    this.#halfClosed = new HalfClosed(this)
    return true
  }

  /** Something the client has sent will be answered, though it may send no more. */
  get isOwed(): boolean {
    switch (this.#state) {
      case 'idle':
      case 'waiting':
      case 'linking':
      case 'active':
      case 'inspecting':
        return this.link?.requests.isOwed(this.hasInput) ?? false
      // A login that goes on for a client that has left is what guessers want.
      default:
        return false
    }
  }

  onEnd(error: Error | undefined): void {
    // That a client which has closed its side reads no more either says no more than that it has left.
    if (this.#halfClosed) this.end({ kind: 'disconnected', error: undefined, answered: true })
    else this.end({ kind: 'disconnected', error })
  }

  onFault(error: unknown): void {
    this.end({ kind: 'fault', error })
  }

  /** Somebody presented the client's cancel key. Resolves when nothing the client sends from then on can be hit. */
  cancel(): Promise<void> {
    this.#console?.cancel()
    return cancelClient(this)
  }

  // ---- end ----

  /** The client has not logged in, and may never. */
  get isNew(): boolean {
    return this.#login !== undefined
  }

  /**
   * The process shuts down: end now if nothing runs, otherwise when the transaction ends. A replication stream has no end to
   * wait for; it ends behind a whole message.
   * @param serves what the client has sent and waits for a server is run first
   */
  shutDown(serves = false): void {
    // Whoever has the process shut down looks on.
    if (this.#state === 'closed' || this.#state === 'console') return
    const lease = this.link?.lease
    const waits = serves && this.#awaitsServer
    this.closing = waits ? 'when served' : 'between transactions'
    if (!waits && (lease === undefined || lease.settled || lease.server.streaming)) this.endWith('admin_shutdown')
  }

  /** The client has sent a request that was not sent to a server. */
  get #awaitsServer(): boolean {
    return (this.#state === 'idle' || this.#state === 'waiting' || this.#state === 'linking') && this.isOwed
  }

  /** End with an error of the catalogue. */
  endWith(name: NamedError['name'], args?: NamedError['args']): void {
    this.end({ kind: 'error', name, args })
  }

  /** The end of the session, whatever the reason. */
  end(reason: EndReason): void {
    if (this.#state === 'closed') return
    const ending = endingOf(reason)
    const phase = this.#state
    this.setState('closed')
    const midReply = this.link?.giveBack(ending) ?? false
    // Behind a part of a message nothing can be said.
    if (ending.connection === 'destroyed' || midReply) this.wire.destroy()
    else if (ending.connection === 'closed-behind-peer') this.wire.closeBehindPeer()
    else this.wire.close(ending.fields && errorResponse(ending.fields))
    this.#inbox.clear(this.#pumping)
    this.#login?.abandon()
    this.#halfClosed?.end()
    this.#console?.end()
    this.link?.end()
    this.ports.registry.remove(this)
    countEnd(this.ports.ends, ending)
    logEnd(this, reason, ending, phase)
  }
}
