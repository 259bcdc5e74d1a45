/**
 * A query of the pooler's own on a server: a reset, a liveness check, a client's settings, a rollback. Its replies go
 * nowhere; its end is reported once. Continuations instead of promises, because tasks run between two leases (R4).
 */

import type { ErrorFields } from '../errors.ts'
import { query } from '../protocol/build.ts'
import { type ErrorSummary, readError } from '../protocol/error-response.ts'
import { TX_IDLE } from '../protocol/types.ts'
import { QUERY } from '../replies/reply-kinds.ts'
import { isDiscardAll } from '../settings/reset.ts'
import { mayWait, OWN_TRANSACTION, OWN_TRANSACTIONS } from '../settings/settings-sql.ts'
import type { ServerConnection } from './connection.ts'
import type { Consumer, ServerEnd } from './ports.ts'
import { QueryResult } from './query-result.ts'

/** How a task ended: with rows, with the server's error, or with the end of the connection. */
export type InternalQueryResult =
  | { kind: 'done'; answer: QueryResult }
  | { kind: 'error'; error: ErrorSummary; answer: QueryResult }
  | { kind: 'closed'; end: ServerEnd }

type Unlimited = (() => string) | undefined

/** SQLSTATE of a statement that was canceled: by a request that was meant for what ran before, or by a time limit. */
const CANCELED = '57014'
/** How often a query that was canceled is run again. */
const RETRIES = 2

/** Runs one simple query on a server, in a transaction that does not wait for others. */
export class InternalQuery implements Consumer {
  readonly #server: ServerConnection
  #sql: string
  readonly #unlimited: Unlimited
  readonly #done: (result: InternalQueryResult) => void
  readonly #answer = new QueryResult()
  #sent = false
  /** What goes ahead of it has not been answered. */
  #preparing = false
  #retries: number
  #over = false
  #error: ErrorSummary | undefined
  /** With what the server ended its session while the task ran. */
  #lastWords: ErrorFields | undefined

  private constructor(
    server: ServerConnection,
    sql: string,
    unlimited: Unlimited,
    done: (result: InternalQueryResult) => void,
    retries: number,
  ) {
    this.#server = server
    this.#sql = sql
    this.#unlimited = unlimited
    this.#done = done
    this.#retries = retries
  }

  /**
   * Send `sql` on a settled server and call `done` when its ReadyForQuery came. The server is `busy` from now on, and
   * still is when `done` is called: who called decides what it is next.
   * @param unlimited the same under no limit of time, for where it was canceled
   * @param retries how often it is sent again where it is canceled
   */
  static run(
    server: ServerConnection,
    sql: string,
    unlimited: Unlimited,
    done: (result: InternalQueryResult) => void,
    retries = RETRIES,
  ): void {
    const task = new InternalQuery(server, sql, unlimited, done, retries)
    server.lend(task, 'busy')
    // It may have been paused for a client that does not read.
    server.wire.resume()
    // A cancel request that is under way was meant for what ran before.
    if (server.cancels === 0) task.#send()
  }

  #send(): void {
    const server = this.#server
    this.#sent = true
    server.content.unnamedGone()
    const waits = mayWait(server.settings)
    this.#preparing = waits && isDiscardAll(this.#sql)
    if (this.#preparing) {
      server.plan.expect(QUERY)
      server.send(query(OWN_TRANSACTIONS))
    }
    server.plan.expect(QUERY)
    server.send(query(waits && !this.#preparing ? OWN_TRANSACTION + this.#sql : this.#sql))
  }

  onServerBytes(bytes: Buffer): void {
    this.#answer.add(bytes)
  }

  onServerError(body: Buffer): void {
    const error = readError(body)
    if (error.severity === 'FATAL' || error.severity === 'PANIC') this.#lastWords = { ...error, severity: 'FATAL' }
    this.#error ??= error
  }

  onServerReady(status: number): void {
    const answer = this.#answer
    if (this.#preparing) {
      this.#preparing = false
      this.#error = undefined
      return
    }
    if (this.#error?.sqlstate === CANCELED && status === TX_IDLE && this.#retries-- > 0) {
      this.#error = undefined
      answer.forgetRows()
      this.#sql = this.#unlimited?.() ?? this.#sql
      this.#send()
      return
    }
    this.#end(this.#error ? { kind: 'error', error: this.#error, answer } : { kind: 'done', answer })
  }

  onServerCancelOver(): void {
    if (!this.#sent) this.#send()
  }

  onServerFull(): void {}

  onServerDrain(): void {}

  onServerClosed(end: ServerEnd): void {
    // The server's last words were said to nobody but us: whoever depended on it is told them.
    const fields = this.#lastWords ?? end.fields
    this.#end({ kind: 'closed', end: { ...end, fields, relayed: false, midMessage: false } })
  }

  #end(result: InternalQueryResult): void {
    // Whoever is told of an error may close the connection, of which we are still the consumer.
    if (this.#over) return
    this.#over = true
    try {
      this.#done(result)
    } catch (error) {
      // It is the connection's end, of which whoever waits for this must hear, unless it is lent on by now.
      this.#over = false
      throw error
    }
  }
}
