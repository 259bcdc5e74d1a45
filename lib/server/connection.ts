/**
 * One logged-in connection to PostgreSQL: its state, its reply plan, its settings, its cancel key. Requests come in
 * by `send` with their kind announced to the plan first; replies leave through downstream.ts to the consumer of the
 * lease. Owned by one pool for life.
 *
 * Contract: `consumer` is set exactly while the state is active, busy or draining. A connection of which the plan does
 * not know what it owes is closed, never handed on.
 */

import { type ErrorFields, errorFields } from '../errors.ts'
import type { DialTarget } from '../net/dial-error.ts'
import type { Wire, WireHandler } from '../net/wire.ts'
import type { Batch } from '../protocol/batch.ts'
import { closePortal, SYNC as SYNC_MESSAGE, TERMINATE } from '../protocol/build.ts'
import type { ReplicationMode } from '../protocol/replication-mode.ts'
import { TX_IDLE } from '../protocol/types.ts'
import { CLOSE, FAKE, SKIP, SYNC } from '../replies/reply-kinds.ts'
import { ReplyPlan } from '../replies/reply-plan.ts'
import { ServerSettings } from '../settings/server-settings.ts'
import { ServerStatements } from '../statements/server-statements.ts'
import type { StatementStore } from '../statements/shared-statements.ts'
import { now } from '../util/clock.ts'
import type { ListNode } from '../util/list.ts'
import { asError, type LogFields, type Logger } from '../util/logger.ts'
import { Downstream, type DownstreamServer } from './downstream.ts'
import { LeaseEffects } from './lease-effects.ts'
import type { LoginNotices } from './login-notices.ts'
import type { Consumer, PlanRef, RoleChange, ServerEnd, ServerOwner, ServerState } from './ports.ts'
import { SessionContent } from './session-content.ts'

/** What login learnt about a connection. */
export interface ServerIdentity {
  /** Who logged in to what. */
  user: string
  database: string
  /** Where it leads, readable: `db.example.com (10.0.0.1), port 5432`. */
  address: string
  /** The very server: where a cancel request for it must go. */
  target: DialTarget
  pid: number
  /** Cancel secret, of any length the server chose. */
  secret: Buffer
  /** The parameters it reported before its first ReadyForQuery, by name as spelled by the server. */
  parameters: Map<string, string>
  /** What it said meanwhile. */
  notices: LoginNotices
  /** TLS version and cipher, or '' on a plain connection. */
  tls: string
  /** Whether a walsender is at the other end. */
  replication: ReplicationMode
}

/** Which states may follow which (R1). */
const EDGES: Record<ServerState, readonly ServerState[]> = {
  idle: ['active', 'busy', 'closed'],
  active: ['idle', 'busy', 'draining', 'beingCanceled', 'closed'],
  busy: ['idle', 'active', 'draining', 'beingCanceled', 'closed'],
  draining: ['idle', 'busy', 'active', 'beingCanceled', 'closed'],
  beingCanceled: ['idle', 'active', 'busy', 'closed'],
  closed: [],
}

const NO_OPERATION = Buffer.concat([closePortal('pgbun_no_such_portal'), SYNC_MESSAGE])

let nextId = 1

/** A connection to PostgreSQL after its login. */
export class ServerConnection implements WireHandler, ListNode<ServerConnection>, DownstreamServer {
  list: { readonly name: string } | null = null
  prev: ServerConnection | null = null
  next: ServerConnection | null = null

  readonly id = nextId++
  readonly identity: ServerIdentity
  readonly wire: Wire
  readonly plan: ReplyPlan
  readonly owner: ServerOwner<ServerConnection>
  readonly log: Logger
  /** Takes the replies while the server is lent out or runs a task. */
  consumer: Consumer | null = null
  /** Status byte of the last ReadyForQuery. */
  txStatus: number = TX_IDLE
  /** What its session has set. */
  readonly settings: ServerSettings
  /** The clients' named statements it has prepared. */
  readonly statements: ServerStatements
  /** What its session holds besides. */
  readonly content: SessionContent
  /** What the lease at hand has done, or the last one. */
  effects = new LeaseEffects()
  /** Requests of clients it has answered: which one runs. */
  answered = 0
  /** Cancel requests under way towards it. */
  cancels = 0
  /** When it logged in, when it was lent or came back last (ms of the clock). */
  readonly openedAt = now()
  usedAt = this.openedAt
  /**
   * Which part of `server_lifetime` it lives for: connections opened together would otherwise all be renewed together.
   */
  readonly lifetimeShare = 0.8 + Math.random() * 0.2
  #state: ServerState = 'busy'
  readonly #downstream: Downstream
  #closeReason: string | undefined

  constructor(
    wire: Wire,
    identity: ServerIdentity,
    owner: ServerOwner<ServerConnection>,
    store: StatementStore,
    log: Logger,
  ) {
    this.wire = wire
    this.identity = identity
    this.owner = owner
    this.log = log
    this.statements = new ServerStatements(store)
    this.content = new SessionContent(this.statements)
    this.settings = new ServerSettings(identity.parameters)
    this.#downstream = new Downstream(this)
    this.plan = new ReplyPlan(this.#downstream)
    wire.handler = this
    owner.listOf('busy').push(this)
  }

  get state(): ServerState {
    return this.#state
  }

  /** Change the state and with it the list. Throws on an edge that does not exist. */
  setState(next: ServerState): void {
    if (next === this.#state) return
    const last = this.#state
    // The edges of every transaction first: a look into the table costs more than all else here.
    const common = (last === 'idle' && next === 'active') || (last === 'active' && next === 'idle')
    if (!common && !EDGES[last].includes(next)) throw new Error(`server ${this.id}: ${last} -> ${next}`)
    this.owner.listOf(last).remove(this)
    this.#state = next
    if (next === 'closed') return
    const list = this.owner.listOf(next)
    list.push(this)
  }

  /** A lease begins: what it does to the session is noted in `effects`. */
  beginLease(consumer: Consumer, effects: LeaseEffects): void {
    this.lend(consumer, 'active')
    this.effects = effects
  }

  /** Lend the server out. The consumer gets all that it sends from now on. */
  lend(consumer: Consumer, state: 'active' | 'busy' | 'draining'): void {
    this.setState(state)
    this.consumer = consumer
    this.usedAt = now()
  }

  /** No session has set the parameter `name`, which is reported as `value`: that is the default from now on. */
  defaultBecame(name: string, value: string): void {
    this.owner.onServerParameter(this, name, value)
  }

  /** Roles have changed, which other connections have to know. */
  rolesBecame(change: RoleChange): void {
    this.owner.onRoles?.(change)
  }

  /** An error goes to who has the server: a client, or a query of pgbun's own, which is not counted. */
  errorCame(sqlstate: string): void {
    if (this.#state === 'active') this.owner.onError?.(sqlstate)
  }

  /** What the server reports of `name` (in its spelling) is what a new session has: where RESET goes to. */
  noteDefault(name: string): void {
    if (!this.settings.isDefault(name)) this.defaultBecame(name, this.settings.get(name)!)
  }

  /** Write to the server. What it will answer must be in the plan already. */
  send(bytes: Buffer): void {
    this.wire.write(bytes)
  }

  /** A request the server needs not see: it is answered by us when its turn comes. */
  expectFake(kind: number, ref: PlanRef): void {
    this.plan.expect(kind, FAKE, ref)
    // Nothing was outstanding: its turn is now.
    this.#downstream.sendFakes()
  }

  /**
   * Where the plan is doubtful, ask something harmless of which the answer tells: a Close of a portal that is not there
   * is no error, and whatever the server still owed comes before it.
   */
  resolveDoubt(): void {
    // A walsender refuses the extended protocol, and nobody else will ever get it.
    if (!this.plan.doubtful || this.identity.replication !== 'none') return
    this.plan.expect(CLOSE, SKIP)
    this.plan.expect(SYNC, SKIP)
    this.send(NO_OPERATION)
  }

  /** True where it owes nothing, is in no transaction and in no message: only then it may change hands. */
  get settled(): boolean {
    return this.plan.settled && this.txStatus === TX_IDLE && !this.plan.mixed && !this.midReply
  }

  /** True between two messages of a replication stream, which has no end of its own. */
  get streaming(): boolean {
    return this.plan.copyBoth && !this.midReply
  }

  /** The consumer got the first part of a message whose rest has not come yet. */
  get midReply(): boolean {
    return this.#downstream.midMessage
  }

  /** A cancel request towards this server begins: until `cancelEnded` it must not be used by anybody else. */
  cancelBegan(): void {
    this.cancels++
  }

  /** A cancel request is over. */
  cancelEnded(): void {
    this.cancels--
    if (this.cancels > 0) return
    if (this.#state === 'beingCanceled') this.owner.onServerFree(this)
    else this.consumer?.onServerCancelOver?.()
  }

  /** Why the connection is not to be used again; undefined where it is. */
  get closeReason(): string | undefined {
    return this.#closeReason
  }

  /** The connection is not to be used again when it comes back: the first `reason` counts. Returns that. */
  retire(reason: string): string {
    this.#closeReason ??= reason
    return this.#closeReason
  }

  /** End the connection in an orderly way. `reason` is logged. */
  close(reason: string): void {
    if (this.#state === 'closed') return
    this.retire(reason)
    this.wire.close(this.plan.copyIn ? undefined : TERMINATE)
    this.#gone(this.#endWith(reason), undefined)
  }

  /** End the connection at once because its last message was not sent whole: whatever followed would be taken for it. */
  cut(reason: string): void {
    if (this.#state === 'closed') return
    this.retire(reason)
    this.wire.destroy()
    this.#gone(this.#endWith(reason), undefined)
  }

  /** End the connection at once because it cannot be trusted any more. */
  abort(reason: string): void {
    if (this.#state === 'closed') return
    this.retire(reason)
    this.log.error(`server connection closed: lost synchronization: ${reason}`, this.about())
    this.wire.destroy()
    this.#gone(
      { ...this.#endWith(reason), fields: errorFields('server_protocol', { detail: `${this.#where()}: ${reason}` }) },
      undefined,
    )
  }

  // ---- WireHandler ----

  onBatch(batch: Batch): void {
    this.#downstream.onBatch(batch)
  }

  onFull(): void {
    this.consumer?.onServerFull()
  }

  onDrain(): void {
    this.consumer?.onServerDrain()
  }

  onFault(error: unknown): void {
    this.log.error('internal error of pgbun', { ...this.about(), err: asError(error) })
    this.abort('internal error')
  }

  onEnd(error: Error | undefined): void {
    if (this.#state === 'closed') return
    const cause = error ? error.message : 'connection closed by the server'
    this.#gone(this.#endWith(cause), cause)
  }

  /** The server said that it ends the session (FATAL): it is not used again even if it takes its time to close. */
  onFatal(fields: { sqlstate: string; message: string }): void {
    if (this.#state === 'closed') return
    const reason = this.retire(`${fields.message} (${fields.sqlstate})`)
    if (this.consumer !== null) return
    // It would fail whoever gets it before it has closed.
    this.wire.close(TERMINATE)
    this.#gone(this.#endWith(reason), reason)
  }

  #endWith(cause: string): ServerEnd {
    return {
      fields: this.#lostFields(cause),
      reason: this.#closeReason ?? cause,
      relayed: this.#downstream.fatalRelayed || this.plan.streamOver,
      midMessage: this.#downstream.midMessage,
    }
  }

  #gone(end: ServerEnd, cause: string | undefined): void {
    if (cause !== undefined) {
      const level = this.#state === 'idle' ? 'info' : 'warn'
      const doing = level === 'info' ? undefined : this.#doing()
      this.log[level](`server connection lost: ${this.#closeReason ?? cause}`, { ...this.about(), doing })
    } else this.log.debug(`server connection closed: ${this.#closeReason}`, this.about())
    const consumer = this.consumer
    this.consumer = null
    this.setState('closed')
    this.plan.clear()
    this.statements.destroy()
    // The owner first: it must not count this one when the consumer's end sets a waiter going.
    this.owner.onServerGone(this, end)
    consumer?.onServerClosed(end)
  }

  /** What a log line says of it. */
  about(): LogFields {
    const { user, database, address, pid } = this.identity
    return { server: this.id, user, database, address, server_pid: pid, age_ms: Math.round(now() - this.openedAt) }
  }

  #where(): string {
    return `server ${this.identity.address}, process ${this.identity.pid}`
  }

  #lostFields(cause: string): ErrorFields {
    const age = `${((now() - this.openedAt) / 1000).toFixed(1)}s`
    return errorFields('server_lost', {
      detail: `${this.#where()}, connected for ${age}, ${this.#doing()}: ${cause}.`,
    })
  }

  #doing(): string {
    if (this.plan.settled) return this.txStatus === TX_IDLE ? 'idle' : 'idle in a transaction'
    if (this.plan.copyIn) return 'reading COPY data'
    return this.plan.copyBoth ? 'streaming replication data' : 'running a query'
  }
}
