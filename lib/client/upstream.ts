/**
 * A client's messages on their way to the server it holds (R5): each is announced to the server's reply plan by its
 * type, and neighbouring ones leave as one slice of the chunk. Only what names a prepared statement is looked into, and
 * only in transaction and statement mode: named statements are prepared.ts's, the unnamed one unnamed-statement.ts's.
 *
 * Comes in: batches of an active client. Goes out: bytes on the server's wire. Called by session.ts alone.
 */

import { type Batch, FIRST, IN_HEAD, LAST, RUN } from '../protocol/batch.ts'
import { query } from '../protocol/build.ts'
import { FRONTEND, frontendName, TX_IDLE } from '../protocol/types.ts'
import type { ServerConnection } from '../server/connection.ts'
import {
  BIND,
  CLOSE,
  COPY_END,
  DESCRIBE,
  EXECUTE,
  FUNCTION_CALL,
  PARSE,
  QUERY,
  SKIP,
  SYNC,
} from '../session/reply-plan.ts'
import { RESETTING } from '../session/setting-names.ts'
import { ANY, effectsOf, NEXTVAL, SEQUENCE, SETTINGS } from '../session/state-effects.ts'
import { ClientStatements, textOf } from '../session/statements.ts'
import { now } from '../util/clock.ts'
import { PreparedStatements, STATEMENT } from './prepared.ts'
import type { ClientSession } from './session.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

/** The client-to-server direction of one client. */
export class Upstream {
  /**
   * What was sent deallocates statements: nothing behind it that may name one is sent before it is answered, because
   * what the names stand for depends on whether it succeeds.
   */
  barrier = false
  /** The server has the first part of a message whose rest has not come yet. */
  midMessage = false
  readonly #session: ClientSession
  /** Made when first needed: most clients of session mode never do. */
  #names: ClientStatements | undefined
  #prepared: PreparedStatements | undefined
  readonly #unnamed = new UnnamedStatement()
  #barrierAtSync = false
  /** Number of the batch under way: the messages between two Syncs, of which an error takes all that follow. */
  #batch = 0
  // What #look decided of the current message.
  #prefix: Buffer | undefined
  #skip = 0
  #omit = false

  constructor(session: ClientSession) {
    this.#session = session
  }

  /** Send the rest of `batch` to the server; false where a part of it has to wait for the barrier. */
  forward(batch: Batch): boolean {
    const session = this.#session
    const { server } = session.lease!
    const count = batch.count
    // The stretch of the chunk that is to be sent and has not been.
    let from = -1
    let to = -1
    if (!session.running) this.#begin()
    for (let i = batch.cursor; i < count; i++) {
      const flags = batch.flags(i)
      let start = batch.start(i)
      if ((flags & FIRST) !== 0) {
        const type = batch.type(i)
        if ((this.barrier && !passesBarrier(type)) || this.#uncertain(server, type, batch, i)) {
          batch.cursor = i
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          return false
        }
        if (type === FRONTEND.Terminate || type === FRONTEND.Password) {
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          batch.cursor = count
          this.#leave(type)
          return true
        }
        this.#look(server, type, batch, i)
        if (this.#prefix !== undefined || this.#omit) {
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          from = -1
          if (this.#prefix !== undefined) this.#send(server, this.#prefix)
          start += this.#skip
        }
      }
      if (this.#omit) continue
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

  /** The client's names were deallocated. */
  forgetNames(): void {
    this.#names?.clear()
  }

  /** The session is over: its statements are nobody's. */
  end(): void {
    this.#names?.destroy()
  }

  /** The first message of a request. */
  #begin(): void {
    const session = this.#session
    session.running = true
    session.since = now()
    if (session.transactionSince === 0) session.transactionSince = session.since
  }

  #send(server: ServerConnection, bytes: Buffer): void {
    if (bytes.length === 0) return
    this.#session.pool!.counters.received += bytes.length
    server.send(bytes)
  }

  #leave(type: number): void {
    if (type === FRONTEND.Terminate) this.#session.end({ kind: 'terminated' })
    else this.#session.endWith('protocol_violation', { args: { what: `unexpected ${frontendName(type)}` } })
  }

  /** The beginning of a message: announce it to the plan, and decide whether it is sent as it is. */
  #look(server: ServerConnection, type: number, batch: Batch, i: number): void {
    const { plan } = server
    this.#prefix = undefined
    this.#skip = 0
    this.#omit = false
    switch (type) {
      case FRONTEND.Query:
        if (this.#pooled()) this.#onQuery(server, batch, i)
        else {
          this.#noteReset(batch.bodyOf(i))
          plan.expect(QUERY)
        }
        return
      case FRONTEND.Parse:
        if (this.#pooled()) this.#onParse(server, batch, i)
        else {
          this.#noteReset(batch.bodyOf(i))
          plan.expect(PARSE)
        }
        return
      case FRONTEND.Bind:
        if (this.#pooled()) this.#onBind(server, batch, i)
        else plan.expect(BIND)
        return
      case FRONTEND.Describe:
        if (this.#pooled() && this.#map().onDescribe(server, batch.bytesOf(i))) this.#adopt()
        else {
          if (this.#pooled() && isUnnamed(batch.bodyOf(i))) {
            this.#prefix = this.#unnamed.onDescribe(server, this.#batch)
          }
          plan.expect(DESCRIBE)
        }
        return
      case FRONTEND.Close:
        if (this.#pooled() && this.#map().onClose(server, batch.bytesOf(i))) this.#adopt()
        else if (this.#pooled() && isUnnamed(batch.bodyOf(i))) this.#unnamed.onClose(server, this.#batch)
        else plan.expect(CLOSE)
        return
      case FRONTEND.Execute:
        plan.expect(EXECUTE)
        return
      case FRONTEND.Sync:
        plan.expect(SYNC)
        this.#batch++
        if (this.#prepared !== undefined) this.#prepared.batch = this.#batch
        if (this.#barrierAtSync) this.barrier = true
        this.#barrierAtSync = false
        return
      case FRONTEND.FunctionCall:
        plan.expect(FUNCTION_CALL)
        return
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        plan.expect(COPY_END)
        return
      // CopyData and Flush ask for nothing.
    }
  }

  /**
   * True for a message whose meaning depends on a batch that was sent and has not been answered: were that to fail, a
   * statement it prepared would not be there, or one of the same name would still be. It waits for the answer. A driver
   * that pipelines meets this once for each new statement; a batch never waits for itself.
   */
  #uncertain(server: ServerConnection, type: number, batch: Batch, i: number): boolean {
    if (server.plan.readies === 0 || !this.#pooled()) return false
    switch (type) {
      case FRONTEND.Parse: {
        const bytes = batch.bytesOf(i)
        if (this.#prepared === undefined || bytes[5] === 0) return false
        if (this.#prepared.uncertain(server, bytes, 5)) return true
        const body = bytes.subarray(bytes.indexOf(0, 5) + 1)
        return this.#prepared.uncertainText(server, this.#settings(server), body)
      }
      case FRONTEND.Bind: {
        const bytes = batch.bytesOf(i)
        if (bindsUnnamed(batch.bodyOf(i))) return !this.#unnamed.certain(this.#batch)
        return this.#prepared?.uncertain(server, bytes, bytes.indexOf(0, 5) + 1) ?? false
      }
      case FRONTEND.Describe:
      case FRONTEND.Close: {
        const bytes = batch.bytesOf(i)
        if (bytes[5] !== STATEMENT) return false
        // A Close makes an end of the unnamed statement whatever it was.
        if (bytes[6] === 0) return type === FRONTEND.Describe && !this.#unnamed.certain(this.#batch)
        return this.#prepared?.uncertain(server, bytes, 6) ?? false
      }
      default:
        return false
    }
  }

  /** What a statement prepared now is prepared under, as part of its identity. */
  #settings(server: ServerConnection): string {
    const { id, parameters } = this.#session
    // Settings of a transaction under way are not the client's yet: what is prepared under them is not shared.
    const changed = server.touched || server.parametersChanged || this.#session.remembered.suspected
    return changed ? `${parameters.fingerprint}\0${id}` : parameters.fingerprint
  }

  #onQuery(server: ServerConnection, batch: Batch, i: number): void {
    const text = batch.bodyOf(i)
    // A text too long to be looked at may do anything.
    if ((batch.flags(i) & LAST) === 0) this.#note(server, ANY, '')
    else {
      const sql = text.toString('latin1', 0, text.length - 1)
      this.#note(server, effectsOf(sql), sql)
    }
    this.#unnamed.onQuery(server, this.#batch)
    // In a batch that failed it does nothing, and only the Sync behind it will be answered.
    this.barrier = deallocates(text) && !server.plan.skipping
  }

  /** What is sent may leave state behind: it is looked at when the transaction is over. */
  #note(server: ServerConnection, effects: number, text: string): void {
    if (effects === 0) return
    if ((effects & (SEQUENCE | NEXTVAL)) !== 0) this.#onSequence(server, effects)
    const rest = effects & ~(SEQUENCE | NEXTVAL)
    if (rest !== 0) this.#session.remembered.note(rest, text)
  }

  /**
   * currval() and lastval() speak of this session's nextval(): a client that uses them stays with its server from then
   * on, and from the first one on no server of the pool is handed over with values of somebody else's.
   */
  #onSequence(server: ServerConnection, effects: number): void {
    const session = this.#session
    const pool = session.pool!
    if ((effects & SEQUENCE) !== 0) {
      const { plan } = server
      const foreign = !pool.readsSequences && server.sequenceOwner !== session.id
      pool.readsSequences = true
      // Inside a transaction the values may be its own; nobody but this first reader can find others there.
      if (foreign && plan.settled && server.txStatus === TX_IDLE) {
        plan.expect(QUERY, SKIP)
        this.#send(server, query('DISCARD SEQUENCES'))
      }
    }
    if (pool.readsSequences) session.pin('sequence values')
  }

  /** In session mode only what takes parameters back to their defaults matters: those are the client's own. */
  #noteReset(body: Buffer): void {
    if (this.#session.parameters.startup.size === 0) return
    const text = body.toString('latin1')
    if (!RESETTING.test(text)) return
    // The body of a Query, or of a Parse behind its name.
    const sql = textOf(body.subarray(text.indexOf('\0') + 1)) || textOf(body)
    this.#session.remembered.note(SETTINGS, sql)
  }

  #onBind(server: ServerConnection, batch: Batch, i: number): void {
    const entry = this.#map().onBind(server, batch.bytesOf(i))
    if (entry !== false) {
      this.#adopt()
      if (entry !== true && entry.effects !== 0) this.#note(server, entry.effects, textOf(entry.body))
      return
    }
    if (bindsUnnamed(batch.bodyOf(i))) {
      const unnamed = this.#unnamed.current
      if (unnamed) this.#note(server, unnamed.effects, unnamed.text)
      this.#prefix = this.#unnamed.onBind(server, this.#batch)
    }
    server.plan.expect(BIND)
  }

  #onParse(server: ServerConnection, batch: Batch, i: number): void {
    const whole = (batch.flags(i) & LAST) !== 0
    // The first byte of the body ends an empty name.
    const named = batch.buffer(i)[batch.start(i) + 5] !== 0
    const session = this.#session
    const text = batch.bodyOf(i)
    if (deallocates(text.subarray(text.indexOf(0) + 1))) this.#barrierAtSync = true
    const sql = whole ? textOf(text.subarray(text.indexOf(0) + 1)) : ''
    const effects = whole ? effectsOf(sql) : ANY
    if ((effects & SEQUENCE) !== 0) this.#onSequence(server, effects)
    if (whole && named && session.ports.config.maxPreparedStatements > 0) {
      this.#map().onParse(server, batch.bytesOf(i), this.#settings(server))
      this.#adopt()
      return
    }
    // What cannot be carried to another server keeps the client where it is: a text too long to be kept, or any where
    // max_prepared_statements is 0.
    if (!whole || named) session.pin(named ? 'prepared statement' : 'long unnamed statement')
    if (!named) {
      const message = whole ? batch.bytesOf(i) : undefined
      this.#unnamed.onParse(server, message, effects, sql, this.#batch)
      return
    }
    // Under a name of the client's: only DISCARD ALL takes it away before the next client comes.
    server.namesLeft = true
    if (!whole) this.#prefix = this.#map().onLongParse(server, batch.bytesOf(i))
    server.plan.expect(PARSE)
  }

  #adopt(): void {
    const { rewrite } = this.#prepared!
    this.#prefix = rewrite.prefix
    this.#skip = rewrite.skip
    this.#omit = rewrite.omit
  }

  #map(): PreparedStatements {
    if (this.#prepared === undefined) {
      const { ports } = this.#session
      this.#names = new ClientStatements(ports.statements)
      this.#prepared = new PreparedStatements(this.#names, ports.statements, () => ports.config.maxPreparedStatements)
      this.#prepared.batch = this.#batch
    }
    return this.#prepared
  }

  #pooled(): boolean {
    return this.#session.mode !== 'session'
  }
}

/** True for the body of a Bind of the unnamed statement: behind the portal's name there is an empty one. */
function bindsUnnamed(body: Buffer): boolean {
  const portalEnd = body.indexOf(0)
  return portalEnd >= 0 && body[portalEnd + 1] === 0
}

/** True for the body of a Describe or Close of the unnamed statement. */
function isUnnamed(body: Buffer): boolean {
  return body[0] === STATEMENT && body[1] === 0
}

/** True for what names no statement, and for what a COPY or a batch that failed must get to come to its end. */
function passesBarrier(type: number): boolean {
  switch (type) {
    case RUN:
    case FRONTEND.CopyDone:
    case FRONTEND.CopyFail:
    case FRONTEND.Flush:
    case FRONTEND.Sync:
      return true
    default:
      return false
  }
}

/** True where a statement's text begins like one that deallocates statements. */
function deallocates(text: Buffer): boolean {
  // Nearly every text is told by its first letter.
  const first = text[0]! | 0x20
  if (first !== 0x64 && first !== 0x20 && first !== 0x2f && first !== 0x2d && first > 0x20) return false
  return DEALLOCATING.test(text.toString('latin1', 0, 200))
}

const DEALLOCATING = /^(?:\s|--[^\n]*\n|\/\*.*?\*\/)*(?:deallocate|discard)\b/is
