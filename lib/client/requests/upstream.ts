/**
 * A client's messages on their way to the server it holds (R5): each is announced to the server's reply plan by its
 * type, and neighbouring ones leave as one slice of the chunk. Only what names a prepared statement is looked into, and
 * only in transaction and statement mode: named statements are named-statements.ts's, the unnamed one unnamed-statement.ts's.
 *
 * Comes in: batches of an active client. Goes out: bytes on the server's wire. Called by server-link.ts alone.
 */

import { type Batch, FIRST, IN_HEAD, LAST } from '../../protocol/batch.ts'
import { FLUSH } from '../../protocol/build.ts'
import type { ErrorSummary } from '../../protocol/error-response.ts'
import { FRONTEND } from '../../protocol/types.ts'
import { SYNC } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'
import type { Activity } from '../lifecycle/activity.ts'
import type { ClientPorts } from '../lifecycle/ports.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { DeallocatingQuery } from '../statements/deallocating-query.ts'
import { clear } from '../statements/rewrite.ts'
import { deallocateAnswer } from '../statements/sql-statements.ts'
import { waitsForNames } from '../statements/waits-for-names.ts'
import { announce } from './announce.ts'
import { onBind } from './bind.ts'
import { hidesNames } from './bind-names.ts'
import { type ClearingClient, mustClear } from './clear-database.ts'
import { onClose, onDescribe } from './describe-close.ts'
import { onExecute } from './execute.ts'
import { noteCall } from './function-call.ts'
import { MessageContext, type MessageOwner } from './message-context.ts'
import { onParse } from './parse.ts'
import { onQuery } from './query.ts'
import type { RunningStatements } from './running-statements.ts'
import { StatementTexts } from './statement-texts.ts'

/** Instead of a number of bytes: nothing of the message is sent, not yet, or the session is over. */
const OMITTED = -1
const WAITS = -2
const LEFT = -3

/** The client whose requests these are. */
export interface RequestingClient extends ClearingClient, MessageOwner {
  /** Answer a Query without a server; `status` is the transaction's. */
  answer(bytes: Buffer, status: number): void
  /** A message of `type` ends the session. */
  leave(type: number): void
  /** Something that the client has sent to `server` is not answered. */
  awaitsReplies(server: ServerConnection): boolean
  /** A Query does (`disable_pqexec`). */
  readonly refusesQueries: boolean
}

/** The client-to-server direction of one client. */
export class Upstream {
  /** The server has the first part of a message whose rest has not come yet. */
  midMessage = false
  readonly #client: RequestingClient
  readonly #effects: ClientEffects
  readonly #activity: Activity
  readonly #context: MessageContext
  readonly #running: RunningStatements
  /** Made with the first request of which somebody wants to know. */
  #texts: StatementTexts | undefined
  /** The stretch of the chunk that is to be sent and has not been; it begins at -1 where there is none. */
  #from = -1
  #to = -1

  constructor(
    client: RequestingClient,
    effects: ClientEffects,
    activity: Activity,
    ports: ClientPorts,
    running: RunningStatements,
  ) {
    this.#running = running
    this.#client = client
    this.#effects = effects
    this.#activity = activity
    this.#context = new MessageContext(client, effects, ports)
  }

  /** Named prepared statements that the client has. */
  get preparedStatements(): number {
    return this.#context.parts?.names.size ?? 0
  }

  /** Send the rest of `batch` to `server`; false where a part of it has to wait. */
  forward(server: ServerConnection, batch: Batch): boolean {
    const { count } = batch
    this.#from = -1
    if (!this.#activity.running) this.#begin(server)
    for (let i = batch.cursor; i < count; i++) {
      const flags = batch.flags(i)
      let skip = 0
      if ((flags & FIRST) !== 0) skip = this.#first(server, batch, i)
      else {
        this.#context.long = this.#context.long?.readOn(batch.bytesOf(i), (flags & LAST) !== 0)
        if (this.#context.rewrite.omit) skip = OMITTED
      }
      if (skip === WAITS) {
        batch.cursor = i
        return false
      }
      if (skip === LEFT) return true
      if (skip !== OMITTED) this.#add(server, batch, i, skip)
    }
    batch.cursor = count
    this.#sendStretch(server, batch)
    return true
  }

  /**
   * The first segment `i` of a message: decide what becomes of the message, and send what goes in front of it. Returns how
   * many bytes of the segment are not sent, or OMITTED, WAITS or LEFT.
   */
  #first(server: ServerConnection, batch: Batch, i: number): number {
    const type = batch.type(i)
    const { parts, rewrite } = this.#context
    if (type === FRONTEND.Query && parts?.spoken.deallocatesHere(server, batch, i)) {
      if (!server.plan.settled) return this.#wait(server, batch)
      // The message is no part of the stretch: what asks for no answer may be in front of it.
      this.#sendStretch(server, batch)
      this.takeDeallocate(batch, i, server.txStatus)
      return OMITTED
    }
    if (this.#mustWait(server, type, batch, i)) return this.#wait(server, batch)
    if (this.#ends(type, batch, i)) {
      this.#sendStretch(server, batch)
      batch.cursor = batch.count
      this.#client.leave(type)
      return LEFT
    }
    this.#texts?.look(server, type, batch, i)
    this.#look(server, type, batch, i)
    const { prefix, skip, omit, held } = rewrite
    this.#texts?.sent(server, held)
    if (prefix !== undefined || omit) {
      this.#sendStretch(server, batch)
      if (held) return this.#hold(server, batch)
      if (prefix !== undefined) this.#send(server, prefix)
    }
    this.#context.parts?.last.onMessage(type, batch, i, skip > 0 || omit)
    return omit ? OMITTED : skip
  }

  /** True for a message that ends the session: by its type, or because nobody can tell whose statement it names. */
  #ends(type: number, batch: Batch, i: number): boolean {
    if (type === FRONTEND.Terminate || type === FRONTEND.Password) return true
    if (type === FRONTEND.Query) return this.#client.refusesQueries
    return (type === FRONTEND.Bind || type === FRONTEND.Parse) && this.#pooled() && hidesNames(batch, i)
  }

  /** Segment `i`, but for its first `skip` bytes, is sent: neighbouring ones leave as one slice of the chunk. */
  #add(server: ServerConnection, batch: Batch, i: number, skip: number): void {
    const flags = batch.flags(i)
    const start = batch.start(i) + skip
    this.midMessage = (flags & LAST) === 0
    if ((flags & IN_HEAD) !== 0) {
      this.#send(server, batch.head.subarray(start, batch.end(i)))
      return
    }
    if (this.#from < 0) this.#from = start
    this.#to = batch.end(i)
  }

  /** Send what of the chunk is to be sent and has not been. */
  #sendStretch(server: ServerConnection, { chunk }: Batch): void {
    const from = this.#from
    const to = this.#to
    if (from < 0) return
    this.#from = -1
    this.#send(server, from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to))
  }

  /**
   * True where what message `i` names depends on an answer under way. That answer must not depend on the client's next
   * messages: none does but the one to a COPY, which whatever comes next ends or has fail.
   */
  #mustWait(server: ServerConnection, type: number, batch: Batch, i: number): boolean {
    if (server.plan.copyIn) return false
    const { pending, parts, unnamed } = this.#context
    if (pending.holds(type)) return true
    const parses = type === FRONTEND.Query || type === FRONTEND.Parse
    if (parses && mustClear(this.#client, server, type, batch, i)) return true
    if (!this.#client.awaitsReplies(server) || !this.#pooled()) return false
    return waitsForNames(server, type, batch.bytesOf(i), parts?.prepared, unnamed, pending.batch)
  }

  /** The message at hand cannot be sent yet. */
  #wait(server: ServerConnection, batch: Batch): typeof WAITS {
    this.#sendStretch(server, batch)
    if (this.#context.pending.takeFlush()) server.send(FLUSH)
    return WAITS
  }

  /** The message at hand waits for the answer to what goes in front of it, which is sent. */
  #hold(server: ServerConnection, batch: Batch): typeof WAITS {
    this.#wait(server, batch)
    this.#send(server, this.#context.rewrite.prefix!)
    this.#context.pending.wait()
    return WAITS
  }

  /** Answer message `i` where it is a DEALLOCATE of one statement the client has; false where it is not. */
  takeDeallocate(batch: Batch, i: number, status: number): boolean {
    if (!this.#context.parts?.spoken.deallocate(batch, i)) return false
    this.#context.unnamed.forget()
    this.#client.answer(deallocateAnswer(status), status)
    return true
  }

  /** The shared statement that the client calls `name`, as far as the server has answered. */
  statementNamed(name: string): StatementEntry | undefined {
    return this.#context.parts?.names.get(name)
  }

  /** Whether `server` certainly has what the client calls `name`. */
  has(server: ServerConnection, name: string): boolean {
    return this.#context.parts?.prepared.isReady(server, name) ?? false
  }

  /** The server deallocated one of the client's names, or `all`. */
  onDeallocated(server: ServerConnection, all: boolean): void {
    if (all) this.#context.parts?.names.clear()
    else this.#context.parts?.spoken.onDeallocated(server)
  }

  /** All that was sent is answered. */
  settled(server: ServerConnection): void {
    this.#context.pending.over()
    this.#context.parts?.last.spoil()
    this.#context.parts?.spoken.settled(server)
  }

  /**
   * What the client is told where the request with the plan data `ref` failed (Consumer.onServerRefused).
   * @param request the request as a whole, where it was sent among those of others and can be sent again apart from them
   */
  onRefused(
    server: ServerConnection,
    error: ErrorSummary,
    body: Buffer,
    ref: PlanRef,
    request: Buffer | undefined,
  ): Buffer | undefined {
    const { unnamed, pending } = this.#context
    const query = ref instanceof DeallocatingQuery
    if (query) ref.onRefused()
    if (ref === unnamed || (query && ref.other === unnamed)) unnamed.onRefused(error)
    return this.#context.made(server).onRefused(server, error, body, ref, pending.waiting, request)
  }

  /** Send the batch again that failed; returns what of it has to wait. */
  repeat(server: ServerConnection): Batch | undefined {
    const batch = this.#context.made(server).takeAgain()
    if (!this.forward(server, batch)) return batch
    batch.release()
  }

  /** The session is over: its statements are nobody's. */
  end(): void {
    this.#context.parts?.names.destroy()
  }

  /** The first message of a request. */
  #begin(server: ServerConnection): void {
    this.#context.parts?.begin(server)
    this.#activity.began()
    // From one request to the next: nothing is under way.
    if (!this.#running.watching) this.#texts = undefined
    else {
      this.#texts ??= new StatementTexts(this.#context, this.#running)
      this.#running.hasServer()
    }
  }

  #send(server: ServerConnection, bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#effects.pool.counters.received += bytes.length
    server.send(bytes)
  }

  /** The beginning of a message: announce it to the plan, and decide whether it is sent as it is. */
  #look(server: ServerConnection, type: number, batch: Batch, i: number): void {
    clear(this.#context.rewrite)
    if (!this.#pooled()) {
      announce(this.#effects, server, type, batch, i)
      return
    }
    const context = this.#context
    switch (type) {
      case FRONTEND.Query:
        onQuery(context, server, batch, i)
        return
      case FRONTEND.Parse:
        onParse(context, server, batch, i)
        return
      case FRONTEND.Bind:
        onBind(context, server, batch, i)
        return
      case FRONTEND.Describe:
        onDescribe(context, server, batch, i)
        return
      case FRONTEND.Close:
        onClose(context, server, batch, i)
        return
      case FRONTEND.Execute:
        onExecute(context, server, batch, i)
        return
      case FRONTEND.Sync:
        context.rewrite.prefix = context.unnamed.onSync(server)
        server.plan.expect(SYNC)
        context.pending.batch++
        return
      case FRONTEND.FunctionCall:
        noteCall(this.#effects, server, batch.bodyOf(i), (batch.flags(i) & LAST) !== 0)
    }
    announce(this.#effects, server, type, batch, i)
  }

  /** Nothing is sent in the place of a batch that failed. */
  discarded(): void {
    this.#context.pending.over()
  }

  #pooled(): boolean {
    return this.#effects.mode !== 'session'
  }
}
