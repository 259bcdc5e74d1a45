/**
 * What a server sends, on its way towards the client (R2, R4): each segment is matched with the reply plan and handed
 * to the consumer, swallowed, or found to be what the server does not owe, which ends the connection. Neighbouring
 * segments that pass leave as one slice of the chunk.
 *
 * Comes in: the batches of the server's wire. Goes out: Consumer calls, in stream order. Holds: after a ReadyForQuery
 * was handed over, `onServerReady` is called before anything else is looked at, so that a release at that point finds
 * the plan as the server sees it.
 */

import { type Batch, FIRST, IN_HEAD, LAST } from '../protocol/batch.ts'
import { CLOSE_COMPLETE, PARSE_COMPLETE, parameterStatus } from '../protocol/build.ts'
import { type ErrorSummary, isHeldUp, readError } from '../protocol/error-response.ts'
import { ProtocolError, Reader } from '../protocol/reader.ts'
import { BACKEND, backendName, TX_BLOCK, TX_FAILED, TX_IDLE } from '../protocol/types.ts'
import type { PlanObserver } from '../replies/reply-kinds.ts'
import {
  CLOSE,
  DESYNC,
  EXECUTE,
  FAKE,
  FUNCTION_CALL,
  PARSE,
  QUERY,
  SWALLOW,
  SYNC,
  TO_CLIENT,
} from '../replies/reply-kinds.ts'
import type { ReplyPlan } from '../replies/reply-plan.ts'
import type { ServerSettings } from '../settings/server-settings.ts'
import type { ServerStatements } from '../statements/server-statements.ts'
import {
  ALTERS_MEANING,
  CHANGES_SESSION,
  DEALLOCATES,
  DEALLOCATES_ALL,
  DISCARDS,
  maySay,
  readTag,
  rowsIn,
} from './command-tags.ts'
import type { LeaseEffects } from './lease-effects.ts'
import {
  type Consumer,
  NOTHING,
  type PlanRef,
  REPEAT,
  type RequestWatcher,
  type RoleChange,
  type ServerState,
} from './ports.ts'
import type { SessionContent } from './session-content.ts'

/** A server may report this many parameters; more is not PostgreSQL. */
const PARAMETER_LIMIT = 1000

/** SQLSTATEs of what a session meets whose role was dropped: there is no such role, or it has no privileges. */
const UNDEFINED_OBJECT = '42704'
const NOT_PERMITTED = '42501'

/** SQLSTATE of an error that is provoked, and of which the client shall not hear. */
const UNDEFINED_COLUMN = '42703'

/** Where a NotificationResponse has the number of the process, and where that ends. */
const NOTIFIER = 5
const NOTIFIER_END = 9

/** The connection whose replies these are: what is known of it, and what its replies change. */
export interface DownstreamServer {
  readonly identity: { readonly pid: number }
  readonly state: ServerState
  readonly consumer: Consumer | null
  readonly plan: ReplyPlan
  readonly settings: ServerSettings
  readonly statements: ServerStatements
  readonly content: SessionContent
  readonly effects: LeaseEffects
  /** Status byte of the last ReadyForQuery. */
  txStatus: number
  /** Requests of clients that were answered. */
  answered: number
  defaultBecame(name: string, value: string): void
  rolesBecame(change: RoleChange): void
  /** An error goes to who has the server. */
  errorCame(sqlstate: string): void
  /** The server said that it ends the session. */
  onFatal(fields: { sqlstate: string; message: string }): void
  /** The connection cannot be trusted any more. */
  abort(reason: string): void
}

/** The server-to-client direction of one server connection. */
export class Downstream implements PlanObserver {
  /** The consumer got the first part of a message whose rest has not come yet. */
  midMessage = false
  /** The consumer got the server's own FATAL. */
  fatalRelayed = false
  readonly #server: DownstreamServer
  /** What is done with the rest of the message that began last. */
  #disposition = TO_CLIENT
  /** The stretch of the chunk that passes and has not been handed over; it begins at -1 where there is none. */
  #from = -1
  #to = -1
  /** Wants to read the message that began last. */
  #reading: PlanRef | undefined
  /** Replies of our own whose turn came with the segment just looked at. */
  #fakes: Buffer[] = []
  /** Bytes that have passed, of these those up to the end of the last request that was watched, and the message at hand. */
  #passed = 0
  #counted = 0
  #size = 0

  constructor(server: DownstreamServer) {
    this.#server = server
  }

  /** Hand a chunk's segments on. */
  onBatch(batch: Batch): void {
    const server = this.#server
    const { count } = batch
    this.#from = -1
    this.#to = -1
    for (let i = 0; i < count; i++) {
      const flags = batch.flags(i)
      const type = batch.type(i)
      if ((flags & FIRST) !== 0) this.#disposition = this.#look(type, batch, i)
      if (this.#disposition === DESYNC) {
        // What is in order before it belongs to the other end, which may have the first part of its last message.
        this.#handOver(batch)
        batch.release()
        server.abort(`unexpected ${backendName(type)}`)
        return
      }
      if (this.#reading !== undefined) this.#read(type, batch, i, flags)
      if (this.#disposition === TO_CLIENT) this.#add(batch, i, flags)
      const fakes = this.#fakes.length > 0 && (flags & LAST) !== 0
      if (type === BACKEND.ReadyForQuery || type === BACKEND.ErrorResponse || fakes) {
        this.#handOver(batch)
        if (fakes) this.sendFakes()
        this.#tell(type, batch, i, flags)
        if (server.state === 'closed') {
          batch.release()
          return
        }
      }
    }
    this.#handOver(batch)
    server.consumer?.onServerChunkOver?.()
    const violation = batch.violation
    batch.release()
    if (violation !== undefined) server.abort(violation)
  }

  /** Segment `i` passes: neighbouring ones are handed over as one slice of the chunk. */
  #add(batch: Batch, i: number, flags: number): void {
    this.midMessage = (flags & LAST) === 0
    this.#passed += batch.end(i) - batch.start(i)
    if ((flags & IN_HEAD) !== 0) {
      this.#server.consumer?.onServerBytes(batch.bytesOf(i))
      return
    }
    if (this.#to !== batch.start(i)) {
      this.#handOver(batch)
      this.#from = batch.start(i)
    }
    this.#to = batch.end(i)
  }

  /** Hand over what of the chunk passes and has not been handed over. */
  #handOver({ chunk }: Batch): void {
    const from = this.#from
    const to = this.#to
    if (from < 0) return
    this.#from = -1
    this.#to = -1
    this.#server.consumer?.onServerBytes(slice(chunk, from, to))
  }

  /** Tell the consumer of an error, or of the end of a request: the bytes of both have been handed over. */
  #tell(type: number, batch: Batch, i: number, flags: number): void {
    const server = this.#server
    if (type === BACKEND.ErrorResponse) {
      if ((flags & FIRST) !== 0) server.consumer?.onServerError?.(batch.bodyOf(i))
    } else if (type === BACKEND.ReadyForQuery) {
      const shown = this.#disposition === TO_CLIENT
      if (shown) server.answered++
      server.consumer?.onServerReady(server.txStatus, shown)
    }
  }

  #read(type: number, batch: Batch, i: number, flags: number): void {
    const reading = this.#reading!
    if ((flags & LAST) !== 0) this.#reading = undefined
    reading.described!(type, batch.bytesOf(i), flags)
  }

  /** The first segment of a message: update what is known of the server, decide what is done with the message. */
  #look(type: number, batch: Batch, i: number): number {
    const server = this.#server
    this.#size = batch.end(i) - batch.start(i)
    switch (type) {
      case BACKEND.ReadyForQuery:
        return this.#lookAtReady(batch, i)
      case BACKEND.ErrorResponse:
        return this.#lookAtError(batch.bodyOf(i), (batch.flags(i) & LAST) !== 0)
      case BACKEND.ParameterStatus:
        return this.#lookAtParameter(batch.bodyOf(i))
      case BACKEND.NotificationResponse:
        if (batch.end(i) - batch.start(i) < NOTIFIER_END) return DESYNC
        this.#nameNotifier(batch.bytesOf(i))
        return server.consumer ? TO_CLIENT : SWALLOW
      case BACKEND.NoticeResponse:
        // Asynchronous: may come anywhere. Nobody is there to read it while the server is not lent out.
        return server.consumer ? TO_CLIENT : SWALLOW
      case BACKEND.Authentication:
      case BACKEND.BackendKeyData:
      case BACKEND.NegotiateProtocolVersion:
        return DESYNC
      case BACKEND.CommandComplete:
        ;(server.plan.ref as PlanRef | undefined)?.completed?.()
        this.#tellRows(batch, i)
        return this.#lookAtTag(server.consumer ? server.plan.onMessage(type) : DESYNC, batch, i)
      case BACKEND.CopyInResponse: {
        const disposition = server.consumer ? server.plan.onMessage(type) : DESYNC
        if (disposition === TO_CLIENT) server.consumer?.onServerCopyIn?.()
        return disposition
      }
      case BACKEND.ParameterDescription:
      case BACKEND.RowDescription:
      case BACKEND.NoData: {
        const ref = server.plan.ref as PlanRef | undefined
        if (ref?.described !== undefined) this.#reading = ref
        return server.consumer ? server.plan.onMessage(type) : DESYNC
      }
      default:
        return server.consumer ? server.plan.onMessage(type) : DESYNC
    }
  }

  #lookAtReady(batch: Batch, i: number): number {
    const server = this.#server
    const at = batch.start(i) + 5
    const status = at < batch.end(i) ? batch.buffer(i)[at] : undefined
    if (status !== TX_IDLE && status !== TX_BLOCK && status !== TX_FAILED) return DESYNC
    server.txStatus = status
    if (status === TX_IDLE) this.#noteCommitted()
    const disposition = server.consumer ? server.plan.onMessage(BACKEND.ReadyForQuery, status) : DESYNC
    const forbidden = status !== TX_IDLE && disposition === TO_CLIENT && server.consumer?.forbidsBlocks
    return forbidden ? SWALLOW : disposition
  }

  /** A transaction is over: what it has changed in the database holds now. */
  #noteCommitted(): void {
    const server = this.#server
    if (server.statements.altering) server.statements.altered()
    const { rolesChanged } = server.content
    if (rolesChanged === undefined) return
    server.rolesBecame(rolesChanged)
    server.content.rolesNoted()
  }

  /** What a client has notified itself of bears the process of its own BackendKeyData: drivers compare the two. */
  #nameNotifier(message: Buffer): void {
    const { consumer, identity } = this.#server
    if (consumer?.pid && message.readInt32BE(NOTIFIER) === identity.pid) message.writeInt32BE(consumer.pid, NOTIFIER)
  }

  #lookAtError(body: Buffer, whole: boolean): number {
    const server = this.#server
    const error = readError(body)
    if (error.severity === 'FATAL' || error.severity === 'PANIC') {
      // It closes the connection on its own; whatever the plan still holds will not be answered.
      server.onFatal(error)
      if (server.consumer?.onServerFatal?.()) return SWALLOW
      this.fatalRelayed = server.consumer !== null
      server.errorCame(error.sqlstate)
      return server.consumer ? TO_CLIENT : SWALLOW
    }
    if (error.sqlstate === UNDEFINED_OBJECT || error.sqlstate === NOT_PERMITTED) server.content.doubtRole()
    if (isHeldUp(error)) server.content.doubtOrder()
    const { consumer, plan } = server
    if (consumer === null) return DESYNC
    const ref = plan.ref as PlanRef | undefined
    const instead = ref === undefined ? undefined : this.#inPlaceOf(error, whole ? body : undefined, ref)
    if (instead === undefined || (instead !== REPEAT && instead !== NOTHING)) {
      ;(plan.watcherOfError as RequestWatcher | undefined)?.failing(error.sqlstate)
    }
    const disposition = plan.onMessage(BACKEND.ErrorResponse)
    if (instead === undefined && disposition === TO_CLIENT) server.errorCame(error.sqlstate)
    if (instead === undefined || disposition !== TO_CLIENT) return disposition
    if (instead === REPEAT) {
      plan.swallowReady()
      consumer.onServerRepeat?.()
    } else if (instead !== NOTHING) this.#fakes.push(instead)
    return SWALLOW
  }

  /** What the client is told instead of `error`, of which `body` is there if it is whole. */
  #inPlaceOf(error: ErrorSummary, body: Buffer | undefined, ref: PlanRef): Buffer | undefined {
    if (ref.silent) return NOTHING
    if (ref.error !== undefined) return error.sqlstate === UNDEFINED_COLUMN ? ref.error : undefined
    return body && this.#server.consumer?.onServerRefused?.(error, body, ref)
  }

  /** What the server answers to is an Execute of pgbun's own: nothing else of it sets anything in a client's session. */
  get #setsForParse(): boolean {
    const { plan } = this.#server
    return plan.kindOfHead() === EXECUTE && plan.actionOfHead === SWALLOW
  }

  #lookAtParameter(body: Buffer): number {
    const server = this.#server
    let name: string
    let value: string
    try {
      const reader = new Reader(body)
      name = reader.cstring()
      value = reader.cstring()
    } catch (error) {
      if (error instanceof ProtocolError) return DESYNC
      throw error
    }
    const before = server.settings.get(name)
    if (before === undefined && server.settings.reported.size >= PARAMETER_LIMIT) return DESYNC
    server.settings.report(name, value)
    // Nobody's session made this change: a reload, or, whoever has the server, its promotion.
    if (server.consumer === null || name === 'in_hot_standby') server.defaultBecame(name, value)
    // What pgbun sets around a Parse is taken back behind it; before 14, PostgreSQL reports each on its own, changed or not.
    if (server.consumer === null || this.#setsForParse) return SWALLOW
    server.effects.parameterCame()
    const instead = server.consumer.onServerParameter?.(name, value)
    if (instead === undefined) return TO_CLIENT
    if (instead !== before) this.#fakes.push(parameterStatus(name, instead))
    return SWALLOW
  }

  #tellRows(batch: Batch, i: number): void {
    const watcher = this.#server.plan.watcher as RequestWatcher | undefined
    if (watcher !== undefined) watcher.completed(rowsIn(batch.buffer(i), batch.start(i) + 5, batch.end(i)))
  }

  #lookAtTag(disposition: number, batch: Batch, i: number): number {
    if (disposition !== TO_CLIENT) return disposition
    if (!maySay(batch.buffer(i), batch.start(i) + 5)) return disposition
    const said = readTag(batch.bodyOf(i))
    if (said === 0) return disposition
    const server = this.#server
    server.content.noteTag(said, server.effects.suspected)
    if ((said & CHANGES_SESSION) !== 0) server.effects.tagCame(server.state === 'active')
    if ((said & ALTERS_MEANING) !== 0) server.statements.alter()
    if ((said & DISCARDS) !== 0) server.settings.wereReset()
    if ((said & DEALLOCATES_ALL) !== 0) {
      server.content.deallocatedAll(server.plan.parsing)
      server.consumer?.onServerDeallocated?.(true)
    } else if ((said & DEALLOCATES) !== 0) server.consumer?.onServerDeallocated?.(false)
    return disposition
  }

  /** Hand over the replies of our own whose turn has come. */
  sendFakes(): void {
    if (this.#fakes.length === 0) return
    for (const fake of this.#fakes) this.#server.consumer?.onServerBytes(fake)
    this.#fakes = []
  }

  // ---- PlanObserver ----

  onAnswered(kind: number, action: number, ref: unknown, watcher: unknown): void {
    if (watcher !== undefined) this.#ended(watcher, true)
    // What a ReadyForQuery ends that nobody watches is no part of the next answer.
    else if (kind === SYNC || kind === QUERY || kind === FUNCTION_CALL) this.#counted = this.#passed + this.#size
    if (ref !== undefined) (ref as PlanRef).answered()
    if (action !== FAKE) return
    if (kind === PARSE) this.#fakes.push(PARSE_COMPLETE)
    else if (kind === CLOSE) this.#fakes.push(CLOSE_COMPLETE)
  }

  onDropped(kind: number, _action: number, ref: unknown, failed: boolean, watcher: unknown): void {
    if (watcher !== undefined) this.#ended(watcher, failed)
    if (ref !== undefined) (ref as PlanRef).dropped(failed)
    // It was not prepared, or not closed: whose the unnamed statement is now is not known.
    if (kind === PARSE || kind === CLOSE) this.#server.content.unnamedGone()
  }

  onLost(watcher: unknown): void {
    ;(watcher as RequestWatcher).lost()
  }

  /** A request that is watched is over, with the message at hand. */
  #ended(watcher: unknown, reached: boolean): void {
    const passed = this.#passed + this.#size
    ;(watcher as RequestWatcher).ended(passed - this.#counted, reached)
    this.#counted = passed
  }
}

function slice(chunk: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to)
}
