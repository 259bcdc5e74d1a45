/**
 * What surrounds a pipeline, without sockets: a real server connection (its plan and its reading of replies included) whose
 * wire leads to a scripted PostgreSQL, a pool of one server, and clients that do what a real one does and note what they are
 * told.
 */

import { giveBack } from '../../../lib/client/link/give-back.ts'
import type { Wire } from '../../../lib/net/wire.ts'
import { type Counters, createCounters } from '../../../lib/pool/counters.ts'
import { Lease, type LeaseOutcome } from '../../../lib/pool/lease.ts'
import type { PipelineOwner } from '../../../lib/pool/pipeline.ts'
import { Pipelines } from '../../../lib/pool/pipelines.ts'
import type { PoolMode } from '../../../lib/pool/settings.ts'
import { SharedLease } from '../../../lib/pool/shared-lease.ts'
import type { ShortText } from '../../../lib/pool/short-texts.ts'
import type { Waiter } from '../../../lib/pool/waiter.ts'
import { Batch } from '../../../lib/protocol/batch.ts'
import type { ErrorSummary } from '../../../lib/protocol/error-response.ts'
import { Scanner } from '../../../lib/protocol/scanner.ts'
import { BACKEND_TABLE, TX_IDLE } from '../../../lib/protocol/types.ts'
import { BIND, EXECUTE, FORWARD, QUERY, SYNC } from '../../../lib/replies/reply-kinds.ts'
import { ServerConnection } from '../../../lib/server/connection.ts'
import { Drain } from '../../../lib/server/drain.ts'
import {
  NOT_RUN,
  type PlanRef,
  REPEAT,
  type ServerEnd,
  type ServerOwner,
  type ServerState,
} from '../../../lib/server/ports.ts'
import { StatementStore } from '../../../lib/statements/shared-statements.ts'
import { List } from '../../../lib/util/list.ts'
import { backend, frontend } from '../../fixtures/messages.ts'

/** What a prepared statement that is not there is refused with. */
export const REFUSED = '26000'

const LOG = { enabled: () => false, debug() {}, info() {}, warn() {}, error() {} }
const STORE = new StatementStore()
const nothing = (): void => {}
const REF: PlanRef = { answered() {}, dropped() {} }

/** A connection, and the bytes that come from PostgreSQL. */
export class Server {
  readonly connection: ServerConnection
  readonly wire: { full: boolean; waitsForOthers: boolean }
  readonly #scanner = new Scanner(BACKEND_TABLE)

  /** @param got takes what is written to it */
  constructor(owner: ServerOwner<ServerConnection>, got: (bytes: Buffer) => void) {
    const wire = {
      full: false,
      waitsForOthers: false,
      handler: undefined,
      write: got,
      close: nothing,
      destroy: nothing,
      pause: nothing,
      resume: nothing,
    }
    this.wire = wire
    const target = { host: 'nowhere', port: 5432 } as ServerConnection['identity']['target']
    const identity = { user: '', database: '', address: '', target, pid: 1, secret: Buffer.alloc(0), tls: '' }
    this.connection = new ServerConnection(
      wire as unknown as Wire,
      { ...identity, parameters: new Map(), notices: [] as never, replication: 'none' },
      owner,
      STORE,
      LOG,
    )
    this.connection.setState('idle')
  }

  /** One read: the memory is used again for the next. */
  reads(bytes: Buffer): void {
    const chunk = Buffer.from(bytes)
    const batch = Batch.take(chunk)
    this.#scanner.scan(chunk, batch)
    this.connection.onBatch(batch)
    chunk.fill('x')
  }

  /** The peer has closed. */
  ends(): void {
    this.connection.onEnd(undefined)
  }
}

/** What comes to the ears of the model. */
export interface Ears {
  /** `bytes` were written to PostgreSQL. */
  written(bytes: Buffer): void
  /** A cancel request begins, which `client` has asked for, or nobody. */
  cancelBegins(client: ModelClient | undefined): void
  /** The pipeline has nothing under way any more. */
  over(outcome: LeaseOutcome): void
  /** Something is wrong. */
  fault(what: string): void
}

/** A pool of one server, which is replaced when it is lost. */
export class ModelPool implements ServerOwner<ServerConnection> {
  readonly counters: Counters = createCounters()
  readonly pipelines: Pipelines
  readonly waiting: ModelClient[] = []
  budgetMs = 1e9
  /** Those with requests of a pipeline under way. */
  readonly busy = new Set<ServerConnection>()
  /** How often one began to. */
  periods = 0
  server: Server
  readonly #ears: Ears
  readonly #lists = new Map<ServerState, List<ServerConnection>>()
  #serving = false

  constructor(ears: Ears, maxWaitMs = 1e6) {
    this.#ears = ears
    for (const state of ['idle', 'active', 'busy', 'draining', 'beingCanceled'] as const)
      this.#lists.set(state, new List(state))
    const owner: PipelineOwner = {
      counters: this.counters,
      maxWaitMs: () => maxWaitMs,
      over: (server, _mode, outcome) => this.#over(server, outcome),
      moved: () => this.#serve(),
      cancel: () => this.cancel(undefined),
    }
    this.pipelines = new Pipelines(owner)
    this.server = this.#open()
  }

  #open(): Server {
    return new Server(this, (bytes) => this.#ears.written(bytes))
  }

  /** A server for `client`, at once or later. */
  acquire(client: ModelClient): void {
    if (this.waiting.length > 0 || !this.#lend(client)) this.waiting.push(client)
    this.#serve()
  }

  leave(client: ModelClient): void {
    const at = this.waiting.indexOf(client)
    if (at >= 0) this.waiting.splice(at, 1)
  }

  #lend(client: ModelClient): boolean {
    const lease = this.#leaseFor(client)
    if (lease !== undefined) client.onLease(lease)
    return lease !== undefined
  }

  #leaseFor(client: ModelClient): Lease | undefined {
    const suits = ({ closeReason }: ServerConnection): boolean => closeReason === undefined
    const joined = this.pipelines.join(client, this.budgetMs, 0, suits)
    if (joined !== undefined) return joined
    const { connection } = this.server
    if (connection.state !== 'idle') return undefined
    if (client.short !== undefined) {
      if (this.busy.has(connection)) this.#ears.fault('a pipeline begins twice')
      this.busy.add(connection)
      this.periods++
      return this.pipelines.begin(connection, client, 0)
    }
    const lease = new Lease(
      { takeBack: (_, outcome) => this.#cameBack(connection, outcome) },
      connection,
      client.mode,
      0,
    )
    connection.beginLease(client, lease)
    return lease
  }

  #serve(): void {
    while (!this.#serving && this.waiting.length > 0) {
      const lease = this.#leaseFor(this.waiting[0]!)
      if (lease === undefined) return
      this.#serving = true
      this.waiting.shift()!.onLease(lease)
      this.#serving = false
    }
  }

  /** Whether one more, which is known as short, would be let in. */
  hasRoom(client: ModelClient): boolean {
    let room = false
    this.pipelines.join(client, this.budgetMs, 0, ({ closeReason }) => {
      room = closeReason === undefined
      return false
    })
    return room
  }

  #over(server: ServerConnection, outcome: LeaseOutcome): void {
    if (!this.busy.delete(server)) this.#ears.fault('over twice')
    this.#ears.over(outcome)
    if (outcome === 'done' && server.state !== 'closed' && !server.settled) this.#ears.fault('not settled, and done')
    this.#cameBack(server, outcome)
  }

  #cameBack(server: ServerConnection, outcome: LeaseOutcome): void {
    server.consumer = null
    if (server.state === 'closed') return
    if (outcome === 'broken') server.cut('broken')
    else if (outcome === 'done' || (server.settled && server.cancels === 0)) this.#offer(server)
    else {
      const cancel = outcome === 'abandoned' ? (): void => this.cancel(undefined) : undefined
      new Drain(server, cancel, 0, () => this.#cameBack(server, 'done'))
    }
  }

  #offer(server: ServerConnection): void {
    server.consumer = null
    if (server.cancels > 0) server.setState('beingCanceled')
    else if (server.closeReason !== undefined) server.close(server.closeReason)
    else {
      server.setState('idle')
      this.#serve()
    }
  }

  /** A cancel request begins. */
  cancel(client: ModelClient | undefined): void {
    this.#ears.cancelBegins(client)
    this.server.connection.cancelBegan()
  }

  listOf(state: ServerState): List<ServerConnection> {
    return this.#lists.get(state)!
  }

  onServerParameter(): void {}

  onServerFree(server: ServerConnection): void {
    this.#offer(server)
  }

  onServerGone(): void {
    this.server = this.#open()
    this.#serve()
  }
}

/** What a client sends. */
export interface Request {
  /** By Bind, Execute and Sync. */
  extended?: boolean
  /** It names a function of which nothing is known: nobody is sent behind it. */
  suspected?: boolean
}

/** A client with one request. */
export class ModelClient implements Waiter {
  list = null
  prev = null
  next = null
  waitingSince = 0
  readonly lastServer = 0
  readonly mode: PoolMode = 'transaction'
  readonly id: number
  readonly name: string
  readonly text: ShortText
  readonly request: Request
  lease: Lease | undefined
  /** All that it was told, in order. */
  told = ''
  /** All that it should have been told. */
  expected = ''
  turns = 0
  gone = false
  /** Its request is sent again, to a server of its own. */
  alone = false
  readonly #pool: ModelPool
  readonly #ears: Ears

  constructor(id: number, text: ShortText, request: Request, pool: ModelPool, ears: Ears) {
    this.id = id
    this.name = `c${id}`
    this.text = text
    this.request = request
    this.#pool = pool
    this.#ears = ears
  }

  get pid(): number {
    return 100 + this.id
  }

  get short(): ShortText | undefined {
    return this.alone ? undefined : this.text
  }

  suits(): boolean {
    return true
  }

  onLease(lease: Lease): void {
    this.lease = lease
    this.send()
    lease.sent(!this.request.suspected)
  }

  send(): void {
    const { connection } = this.#pool.server
    const { plan } = connection
    if (this.request.extended) {
      plan.expect(BIND, FORWARD, REF)
      plan.expect(EXECUTE)
      plan.expect(SYNC)
    } else plan.expect(QUERY)
    connection.send(requestOf(this.name, this.request))
  }

  /** It begins a message that has not come as a whole. */
  sendPart(): void {
    const { connection } = this.#pool.server
    connection.plan.expect(BIND)
    connection.send(PART)
  }

  /** It ends its session. Returns whether it has got a part of a message. */
  leave(outstanding: 'abandoned' | 'finishing', midMessage = false): boolean {
    this.gone = true
    this.#pool.leave(this)
    const { lease } = this
    this.lease = undefined
    return lease !== undefined && giveBack(lease, midMessage, false, { outstanding })
  }

  cancel(): void {
    if (!this.lease!.isNext) this.#ears.fault(`${this.name} is not next`)
    this.lease!.cancelBegins()
    this.#pool.cancel(this)
  }

  #tell(what: string): void {
    if (this.gone) this.#ears.fault(`${this.name} is gone, and told ${what}`)
    if (this.lease === undefined) this.#ears.fault(`${this.name} holds no server, and is told ${what}`)
    this.told += what
  }

  onServerBytes(bytes: Buffer): void {
    this.#tell(bytes.toString('latin1'))
  }

  onServerReady(status: number, shown: boolean): void {
    if (shown) this.#tell(`|ready ${String.fromCharCode(status)}|`)
    const { lease } = this
    if (!lease?.answered || status !== TX_IDLE) return
    this.lease = undefined
    lease.release('done')
  }

  onServerRefused(error: ErrorSummary): Buffer | undefined {
    if (error.sqlstate !== REFUSED) return undefined
    if (this.lease!.amongOthers) return NOT_RUN
    return this.lease!.alone ? REPEAT : undefined
  }

  onServerRepeat(): void {
    this.send()
  }

  onTurn(): void {
    this.turns++
  }

  onNotRun(): void {
    this.#tell('|not run|')
    this.lease = undefined
    this.alone = true
    this.#pool.acquire(this)
  }

  onServerClosed(end: ServerEnd): void {
    this.#tell(closed(end.relayed, end.midMessage, /outcome is unknown/.test(end.fields.detail ?? '')))
    this.lease?.forfeit()
    this.lease = undefined
  }

  onServerFull(): void {}
  onServerDrain(): void {}
  onLongWait(): void {}
  onLeaseRefused(): void {}
}

/** The end of a client's server, as it is noted. */
export function closed(relayed: boolean, midMessage: boolean, unknown: boolean): string {
  return `|closed${relayed ? ' by FATAL' : ''}${midMessage ? ' in a message' : ''}${unknown ? ', outcome unknown' : ''}|`
}

/** Whether `lease` is a place in a pipeline. */
export function isShared(lease: Lease | undefined): boolean {
  return lease instanceof SharedLease
}

const PART = Buffer.from('B')
const requests = new Map<string, Buffer>()

function requestOf(name: string, { extended }: Request): Buffer {
  const key = `${name} ${extended}`
  let bytes = requests.get(key)
  if (bytes === undefined) {
    bytes = extended
      ? Buffer.concat([frontend.bind([`'${name}'`]), frontend.execute(), frontend.sync()])
      : frontend.query(`select '${name}'`)
    requests.set(key, bytes)
  }
  return bytes
}

const heads = new Map<string, Buffer[]>()

/** What comes ahead of the CommandComplete. */
export function headOf(name: string, attempt: number, extended: boolean | undefined): Buffer[] {
  const key = `${name}#${attempt} ${extended}`
  let head = heads.get(key)
  if (head === undefined) {
    head = [extended ? backend.bindComplete() : backend.rowDescription('a'), backend.dataRow(`${name}#${attempt}`)]
    heads.set(key, head)
  }
  return head
}
