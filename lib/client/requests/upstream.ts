/**
 * A client's messages on their way to the server it holds (R5): each is announced to the server's reply plan by its
 * type, and neighbouring ones leave as one slice of the chunk. Only what names a prepared statement is looked into, and
 * only in transaction and statement mode: named statements are named-statements.ts's, the unnamed one unnamed-statement.ts's.
 *
 * Comes in: batches of an active client. Goes out: bytes on the server's wire. Called by server-link.ts alone.
 */

import type { ErrorFields } from '../../errors.ts'
import { type Batch, FIRST, IN_HEAD, LAST } from '../../protocol/batch.ts'
import { FLUSH } from '../../protocol/build.ts'
import type { ErrorSummary } from '../../protocol/error-response.ts'
import { FRONTEND, TX_IDLE } from '../../protocol/types.ts'
import { BIND, CLOSE, DESCRIBE, EXECUTE, FORWARD, PARSE, SYNC } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import { ANY, EXECUTES, effectsOf, PREPARED, SEQUENCE } from '../../sql/state-effects.ts'
import { DEALLOCATING } from '../../sql/statement-names.ts'
import { speaksOfSession, textOf } from '../../statements/shared-statements.ts'
import type { Activity } from '../activity.ts'
import { type ClearingClient, mustClear } from '../link/clear-database.ts'
import type { ClientPorts } from '../ports.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import {
  noteEffects,
  noteNamed,
  notePrepared,
  noteSequence,
  noteUnmovable,
  noteUnnamed,
} from '../state/note-effects.ts'
import { FAILING_NAMED_PARSE, FAILING_PARSE, FAILING_QUERY, refuseState } from '../state/refused-state.ts'
import { DeallocatingQuery } from '../statements/deallocating-query.ts'
import { waitsForNames } from '../statements/pending-names.ts'
import { deallocateAnswer, SPEAKS } from '../statements/sql-statements.ts'
import { StatementParts, unnamedStatement } from '../statements/statement-parts.ts'
import { concat } from '../statements/statement-slots.ts'
import { closesStrange } from '../statements/strange-close.ts'
import { type UnnamedStatement, unnamedOf } from '../statements/unnamed-statement.ts'
import { announce } from './announce.ts'
import { hidesNames } from './bind-names.ts'
import { noteCall } from './function-call.ts'
import { LongQuery } from './long-query.ts'
import { bindsPlain, bindsUnnamed, isUnnamed, kindOf, passesBarrier, queryText, STATEMENT } from './message-kinds.ts'
import { clear, type Rewrite } from './rewrite.ts'

/** The client whose requests these are. */
export interface RequestingClient extends ClearingClient {
  /** Answer a Query without a server; `status` is the transaction's. */
  answer(bytes: Buffer, status: number): void
  /** A message of `type` ends the session. */
  leave(type: number): void
  logRefused(fields: ErrorFields): void
  /** Look again at what waits. */
  pump(): void
}

/** The client-to-server direction of one client. */
export class Upstream {
  /** What was sent deallocates statements: what may name one waits for the answer, on which its meaning depends. */
  barrier = false
  /** The server has the first part of a message whose rest has not come yet. */
  midMessage = false
  readonly #client: RequestingClient
  readonly #effects: ClientEffects
  readonly #activity: Activity
  readonly #ports: ClientPorts
  #parts: StatementParts | undefined
  readonly #unnamed: UnnamedStatement
  /** The server is to be asked for the answer the barrier waits for as soon as something waits. */
  #flush = false
  /** Number of the batch under way: the messages between two Syncs, of which an error takes all that follow. */
  #batch = 0
  #long: LongQuery | undefined
  /** What #look decided of the current message. */
  readonly #rewrite: Rewrite = { omit: false, prefix: undefined, skip: 0, held: false }
  /** Named statements are shared with other clients, and follow this one. */
  #sharing: boolean | undefined

  constructor(client: RequestingClient, effects: ClientEffects, activity: Activity, ports: ClientPorts) {
    this.#client = client
    this.#effects = effects
    this.#activity = activity
    this.#ports = ports
    this.#unnamed = unnamedStatement(effects, this.#lift)
  }

  /** Send the rest of `batch` to `server`; false where a part of it has to wait for the barrier. */
  forward(server: ServerConnection, batch: Batch): boolean {
    const count = batch.count
    // The stretch of the chunk that is to be sent and has not been.
    let from = -1
    let to = -1
    if (!this.#activity.running) this.#begin(server)
    for (let i = batch.cursor; i < count; i++) {
      const flags = batch.flags(i)
      let start = batch.start(i)
      if ((flags & FIRST) !== 0) {
        const type = batch.type(i)
        if (type === FRONTEND.Query && this.#parts?.spoken.deallocatesHere(server, batch, i)) {
          if (!server.plan.settled) return this.#wait(server, batch, i, from, to)
          // It is no part of the stretch: what asks for no answer may be in front of it.
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          from = -1
          this.takeDeallocate(batch, i, server.txStatus)
          continue
        }
        if (this.#mustWait(server, type, batch, i)) return this.#wait(server, batch, i, from, to)
        if (
          type === FRONTEND.Terminate ||
          type === FRONTEND.Password ||
          ((type === FRONTEND.Bind || type === FRONTEND.Parse) && this.#pooled() && hidesNames(batch, i))
        ) {
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          batch.cursor = count
          this.#client.leave(type)
          return true
        }
        this.#look(server, type, batch, i)
        const { prefix, skip, omit, held } = this.#rewrite
        if (held) return this.#hold(server, batch, i, from, to)
        if (prefix !== undefined || omit) {
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          from = -1
          if (prefix !== undefined) this.#send(server, prefix)
          start += skip
        }
        if (this.#parts !== undefined) this.#parts.last.onMessage(type, batch, i, skip > 0 || omit)
      } else this.#long = this.#long?.readOn(batch.bytesOf(i), (flags & LAST) !== 0)
      if (this.#rewrite.omit) continue
      this.midMessage = (flags & LAST) === 0
      if ((flags & IN_HEAD) !== 0) {
        this.#send(server, batch.head.subarray(start, batch.end(i)))
      } else {
        if (from < 0) from = start
        to = batch.end(i)
      }
    }
    batch.cursor = count
    if (from >= 0) {
      this.#send(server, from === 0 && to === batch.chunk.length ? batch.chunk : batch.chunk.subarray(from, to))
    }
    return true
  }

  /**
   * True where what message `i` names depends on an answer under way. That answer must not depend on the client's next
   * messages: none does but the one to a COPY, which whatever comes next ends or has fail.
   */
  #mustWait(server: ServerConnection, type: number, batch: Batch, i: number): boolean {
    if (server.plan.copyIn) return false
    if (this.barrier && !passesBarrier(type)) return true
    const parses = type === FRONTEND.Query || type === FRONTEND.Parse
    if (parses && mustClear(this.#client, server, type, batch, i)) return true
    if (server.plan.readies === 0 || !this.#pooled()) return false
    return waitsForNames(server, type, batch.bytesOf(i), this.#parts?.prepared, this.#unnamed, this.#batch)
  }

  /** Segment `i` is the first that cannot be sent yet, what lies between `from` and `to` is still to be sent. */
  #wait(server: ServerConnection, batch: Batch, i: number, from: number, to: number): false {
    batch.cursor = i
    if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
    if (this.barrier && this.#flush) server.send(FLUSH)
    this.#flush = false
    return false
  }

  /** Segment `i` is the first that waits for the answer to what `#look` has sent before it. */
  #hold(server: ServerConnection, batch: Batch, i: number, from: number, to: number): false {
    this.#wait(server, batch, i, from, to)
    this.#send(server, this.#rewrite.prefix!)
    this.barrier = true
    return false
  }

  /** Answer message `i` where it is a DEALLOCATE of one statement the client has; false where it is not. */
  takeDeallocate(batch: Batch, i: number, status: number): boolean {
    if (!this.#parts?.spoken.deallocate(batch, i)) return false
    this.#unnamed.forget()
    this.#client.answer(deallocateAnswer(status), status)
    return true
  }

  /** The server deallocated one of the client's names, or `all`. */
  onDeallocated(server: ServerConnection, all: boolean): void {
    if (all) this.#parts?.names.clear()
    else this.#parts?.spoken.onDeallocated(server)
  }

  /** All that was sent is answered. */
  settled(server: ServerConnection): void {
    this.barrier = false
    this.#parts?.last.spoil()
    this.#parts?.spoken.settled(server)
  }

  /** What the client is told where the request with the plan data `ref` failed (Consumer.onServerRefused). */
  onRefused(server: ServerConnection, error: ErrorSummary, body: Buffer, ref: PlanRef): Buffer | undefined {
    const query = ref instanceof DeallocatingQuery
    if (query) ref.onRefused()
    if (ref === this.#unnamed || (query && ref.other === this.#unnamed)) this.#unnamed.onRefused(error)
    return this.#made(server).onRefused(server, error, body, ref, this.barrier)
  }

  /** Send the batch again that failed; returns what of it has to wait. */
  repeat(server: ServerConnection): Batch | undefined {
    const batch = this.#parts!.takeAgain()
    if (!this.forward(server, batch)) return batch
    batch.release()
  }

  /** The session is over: its statements are nobody's. */
  end(): void {
    this.#parts?.names.destroy()
  }

  /** The first message of a request. */
  #begin(server: ServerConnection): void {
    if (this.#parts !== undefined) this.#beginBatch(server)
    this.#activity.began()
  }

  #beginBatch(server: ServerConnection): void {
    if (server.txStatus === TX_IDLE && server.plan.settled) this.#parts!.last.begin()
  }

  #send(server: ServerConnection, bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#effects.pool.counters.received += bytes.length
    server.send(bytes)
  }

  /** The beginning of a message: announce it to the plan, and decide whether it is sent as it is. */
  #look(server: ServerConnection, type: number, batch: Batch, i: number): void {
    clear(this.#rewrite)
    if (!this.#pooled()) {
      announce(this.#effects, server, type, batch, i)
      return
    }
    switch (type) {
      case FRONTEND.Query:
        this.#onQuery(server, batch, i)
        return
      case FRONTEND.Parse:
        this.#onParse(server, batch, i)
        return
      case FRONTEND.Bind:
        this.#onBind(server, batch, i)
        return
      case FRONTEND.Describe:
        if (kindOf(batch, i) !== STATEMENT) server.plan.expect(DESCRIBE)
        else if (this.#made(server).prepared.onDescribe(server, batch.bytesOf(i))) return
        else if (isUnnamed(batch.bodyOf(i))) {
          const own = this.#speak(server, this.#unnamed.current?.effects ?? 0, this.#unnamed.current?.text ?? '')
          this.#rewrite.prefix = this.#unnamed.onDescribe(server, this.#batch)
          this.#putInFront(own)
        } else server.plan.expect(DESCRIBE)
        return
      case FRONTEND.Close:
        if (this.#made(server).prepared.onClose(server, batch.bytesOf(i))) return
        if (isUnnamed(batch.bodyOf(i))) this.#unnamed.onClose(server, this.#batch)
        else if (closesStrange(this.#effects, server, batch.bodyOf(i))) this.#rewrite.omit = true
        else server.plan.expect(CLOSE)
        return
      case FRONTEND.Execute:
        this.#unnamed.onExecute()
        if (this.#parts?.spoken.bound) this.#onExecute(server, batch.bodyOf(i))
        else server.plan.expect(EXECUTE)
        return
      case FRONTEND.Sync:
        this.#rewrite.prefix = this.#unnamed.onSync(server)
        server.plan.expect(SYNC)
        this.#batch++
        if (this.#parts !== undefined) this.#parts.prepared.batch = this.#batch
        return
      case FRONTEND.FunctionCall:
        noteCall(this.#effects, server, batch.bodyOf(i), (batch.flags(i) & LAST) !== 0)
    }
    announce(this.#effects, server, type, batch, i)
  }

  #onQuery(server: ServerConnection, batch: Batch, i: number): void {
    let deallocating: DeallocatingQuery | undefined
    if ((batch.flags(i) & LAST) === 0) {
      this.#long = new LongQuery(this.#effects, server, batch.bodyOf(i))
      this.barrier = true
    } else {
      const sql = queryText(batch, i)
      const effects = effectsOf(sql)
      const refused = effects === 0 ? undefined : refuseState(this.#effects, sql, false)
      if (refused !== undefined) {
        this.#client.logRefused(refused.fields)
        this.#unnamed.onQuery(server, this.#batch, refused)
        this.#rewrite.prefix = FAILING_QUERY
        this.#rewrite.omit = true
        return
      }
      noteEffects(this.#effects, server, effects, sql)
      if ((effects & SPEAKS) !== 0) this.#rewrite.prefix = this.#made(server).spoken.onQuery(server, sql, this.#batch)
      this.barrier = (effects & PREPARED) !== 0 && DEALLOCATING.test(sql)
      if (this.barrier) deallocating = this.#made(server).spoken.refOf(server, sql)
    }
    this.#unnamed.onQuery(server, this.#batch, deallocating)
    // In a batch that failed it does nothing, and only the Sync behind it will be answered.
    if (server.plan.skipping) this.barrier = false
  }

  #onBind(server: ServerConnection, batch: Batch, i: number): void {
    const plain = bindsPlain(batch, i)
    const entry = plain ? false : this.#made(server).prepared.onBind(server, batch.bytesOf(i))
    if (entry !== false) {
      if (this.#rewrite.held) return
      const sql = entry === true || entry.effects === 0 ? '' : textOf(entry.body)
      if (entry !== true) noteNamed(this.#effects, server, entry)
      if (sql !== '' || this.#parts!.spoken.bound) this.#parts!.spoken.onBind(batch.bodyOf(i), sql)
      return
    }
    if (plain || bindsUnnamed(batch.bodyOf(i))) {
      const { effects = 0, text = '' } = this.#unnamed.current ?? {}
      noteUnnamed(this.#effects, server, this.#unnamed.current)
      const own = (effects & SPEAKS) === 0 ? undefined : this.#made(server).spoken.beforeBind(server, text, this.#batch)
      if (text !== '' || this.#parts?.spoken.bound) this.#made(server).spoken.onBind(batch.bodyOf(i), text)
      this.#unnamed.onBind(server, this.#batch, this.#rewrite)
      this.#putInFront(own)
    } else server.plan.expect(BIND)
  }

  /** What must be sent before `sql` is parsed or described, because its columns are another statement's. */
  #speak(server: ServerConnection, effects: number, sql: string): Buffer | undefined {
    if ((effects & EXECUTES) === 0 || !speaksOfSession(sql)) return undefined
    return this.#made(server).spoken.beforeBind(server, sql, this.#batch)
  }

  #onExecute(server: ServerConnection, body: Buffer): void {
    // Before it is announced: behind an error that is its end.
    this.barrier = this.#flush = true
    if (!this.#parts!.spoken.onExecute(server, body, this.#lift)) this.barrier = false
  }

  readonly #lift = (): void => {
    this.barrier = false
    queueMicrotask(() => this.#client.pump())
  }

  #onParse(server: ServerConnection, batch: Batch, i: number): void {
    const whole = (batch.flags(i) & LAST) !== 0
    // The first byte of the body ends an empty name.
    const named = batch.buffer(i)[batch.start(i) + 5] !== 0
    const client = this.#effects
    if (whole && !named) {
      const again = this.#unnamed.repeated(batch, i)
      if (again !== undefined) {
        // Its text leaves nothing behind: there is nothing to refuse, and nothing to note before it is bound.
        this.#unnamed.stays = noteUnmovable(client, server, false, true)
        this.#unnamed.onParse(server, again, this.#batch)
        return
      }
    }
    const text = batch.bodyOf(i)
    const sql = whole ? textOf(text.subarray(text.indexOf(0) + 1)) : ''
    const effects = whole ? effectsOf(sql) : ANY
    const movable = !named || this.#shares
    const refused = whole && (effects !== 0 || !movable) ? refuseState(client, sql, !movable) : undefined
    if (refused !== undefined) {
      this.#client.logRefused(refused.fields)
      if (named) server.plan.expect(PARSE, FORWARD, refused)
      else this.#unnamed.onParse(server, unnamedOf(FAILING_PARSE, 0, ''), this.#batch, refused)
      this.#rewrite.prefix = named ? FAILING_NAMED_PARSE : FAILING_PARSE
      this.#rewrite.omit = true
      return
    }
    if ((effects & SEQUENCE) !== 0) noteSequence(client, server, effects)
    if (named && effects !== 0) notePrepared(client, effects)
    const own = this.#speak(server, effects, sql)
    if (whole && named && this.#shares) {
      const before = this.#made(server).spoken.beforeParse(server, batch.bytesOf(i), this.#batch)
      const refused = this.#made(server).prepared.onParse(server, batch.bytesOf(i))
      if (refused !== undefined) this.#client.logRefused(refused)
      this.#putInFront(before)
      this.#putInFront(own)
      return
    }
    this.#rewrite.prefix = own
    const pins = noteUnmovable(client, server, named, whole)
    if (!named) {
      this.#unnamed.stays = pins
      this.#unnamed.onParse(server, unnamedOf(whole ? batch.bytesOf(i) : undefined, effects, sql), this.#batch)
      return
    }
    // Under a name of the client's: only DISCARD ALL takes it away before the next client comes.
    server.content.names.leaveNameless()
    if (whole) server.plan.expect(PARSE)
    else this.#made(server).prepared.onLongParse(server, batch.bytesOf(i), pins)
  }

  #putInFront(bytes: Buffer | undefined): void {
    const { prefix } = this.#rewrite
    if (bytes !== undefined) this.#rewrite.prefix = prefix === undefined ? bytes : concat(bytes, prefix)
  }

  /** What the prepared statements need, from now on. */
  #made(server: ServerConnection): StatementParts {
    if (this.#parts === undefined) {
      this.#parts = new StatementParts(this.#effects, this.#ports, this.#batch, this.#rewrite, this.#lift)
      this.#beginBatch(server)
    }
    return this.#parts
  }

  /** As it was when first asked for: names given one way would not be found the other way. */
  get #shares(): boolean {
    this.#sharing ??= this.#ports.config.maxPreparedStatements > 0
    return this.#sharing
  }

  #pooled(): boolean {
    return this.#effects.mode !== 'session'
  }
}
