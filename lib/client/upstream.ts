/**
 * A client's messages on their way to the server it holds (R5): each is announced to the server's reply plan by its
 * type, and neighbouring ones leave as one slice of the chunk. Nothing is decoded that need not be.
 *
 * In transaction and statement mode two kinds of state outlive a transaction on a server and are looked after here: a
 * named prepared statement pins the client to its server; the unnamed statement belongs to whoever prepared it last,
 * and a client never runs another's.
 *
 * Comes in: batches of an active client. Goes out: bytes on the server's wire. Called by session.ts alone.
 */

import { type Batch, FIRST, IN_HEAD, LAST } from '../protocol/batch.ts'
import { FRONTEND, frontendName } from '../protocol/types.ts'
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
  SYNC,
} from '../session/reply-plan.ts'
import { now } from '../util/clock.ts'
import type { ClientSession } from './session.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

/** The client-to-server direction of one client. */
export class Upstream {
  /** The server has the first part of a message whose rest has not come yet. */
  midMessage = false
  readonly #session: ClientSession
  readonly #unnamed = new UnnamedStatement()

  constructor(session: ClientSession) {
    this.#session = session
  }

  /** Send the rest of `batch` to the server, up to a message that ends the session. */
  forward(batch: Batch): void {
    const session = this.#session
    const { server } = session.lease!
    const count = batch.count
    // The stretch of the chunk that is to be sent and has not been.
    let from = -1
    let to = -1
    if (!session.running) this.#begin()
    for (let i = batch.cursor; i < count; i++) {
      const flags = batch.flags(i)
      if ((flags & FIRST) !== 0) {
        const type = batch.type(i)
        if (type === FRONTEND.Terminate || type === FRONTEND.Password) {
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          batch.cursor = count
          this.#leave(type)
          return
        }
        const injected = this.#expect(server, type, batch, i)
        if (injected !== undefined) {
          if (from >= 0) this.#send(server, batch.chunk.subarray(from, to))
          from = -1
          to = -1
          this.#send(server, injected)
        }
      }
      this.midMessage = (flags & LAST) === 0
      if ((flags & IN_HEAD) !== 0) {
        this.#send(server, batch.bytesOf(i))
      } else {
        if (from < 0) from = batch.start(i)
        to = batch.end(i)
      }
    }
    batch.cursor = count
    if (from >= 0) {
      this.#send(server, from === 0 && to === batch.chunk.length ? batch.chunk : batch.chunk.subarray(from, to))
    }
  }

  /** The first message of a request. */
  #begin(): void {
    const session = this.#session
    session.running = true
    session.since = now()
    if (session.transactionSince === 0) session.transactionSince = session.since
  }

  #send(server: ServerConnection, bytes: Buffer): void {
    this.#session.pool!.counters.received += bytes.length
    server.send(bytes)
  }

  #leave(type: number): void {
    if (type === FRONTEND.Terminate) this.#session.end({ kind: 'terminated' })
    else this.#session.endWith('protocol_violation', { args: { what: `unexpected ${frontendName(type)}` } })
  }

  /** Announce a message to the plan. Returns what must be sent before it, if anything. */
  #expect(server: ServerConnection, type: number, batch: Batch, i: number): Buffer | undefined {
    const { plan } = server
    switch (type) {
      case FRONTEND.Query:
        // A simple query does away with the unnamed statement (protocol chapter "Simple Query").
        this.#unnamed.forget()
        server.unnamedOwner = undefined
        plan.expect(QUERY)
        return undefined
      case FRONTEND.Parse:
        this.#onParse(server, batch, i)
        plan.expect(PARSE)
        return undefined
      case FRONTEND.Bind: {
        const injected = this.#pooled() ? this.#unnamed.onBind(server, batch.bodyOf(i)) : undefined
        plan.expect(BIND)
        return injected
      }
      case FRONTEND.Describe: {
        const injected = this.#pooled() ? this.#unnamed.onDescribe(server, batch.bodyOf(i)) : undefined
        plan.expect(DESCRIBE)
        return injected
      }
      case FRONTEND.Execute:
        plan.expect(EXECUTE)
        return undefined
      case FRONTEND.Close:
        if (this.#pooled()) this.#unnamed.onClose(server, batch.bodyOf(i))
        plan.expect(CLOSE)
        return undefined
      case FRONTEND.Sync:
        plan.expect(SYNC)
        return undefined
      case FRONTEND.Flush:
        plan.flush()
        return undefined
      case FRONTEND.FunctionCall:
        plan.expect(FUNCTION_CALL)
        return undefined
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        plan.expect(COPY_END)
        return undefined
      default:
        // CopyData asks for nothing.
        return undefined
    }
  }

  #onParse(server: ServerConnection, batch: Batch, i: number): void {
    if (!this.#pooled()) return
    // The first byte of the body ends an empty name.
    if (batch.buffer(i)[batch.start(i) + 5] !== 0) this.#session.pin('prepared statement')
    // Too long to be kept: the client stays where the server keeps it.
    else if ((batch.flags(i) & LAST) === 0) this.#session.pin('long unnamed statement')
    else this.#unnamed.onParse(server, batch.bytesOf(i))
  }

  #pooled(): boolean {
    return this.#session.mode !== 'session'
  }
}
