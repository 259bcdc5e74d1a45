/**
 * A query of the pooler's own on a server: a reset, a liveness check, a client's settings, a rollback. Its replies go
 * nowhere; its end is reported once. Continuations instead of promises, because tasks run between two leases (R4).
 *
 * The session may have limits of time of its client's, which are not meant for such a query: they are lifted for it where
 * they may be too short.
 */

import type { ErrorFields } from '../errors.ts'
import { query } from '../protocol/build.ts'
import { type ErrorSummary, readError } from '../protocol/error-response.ts'
import { TX_IDLE } from '../protocol/types.ts'
import { QUERY } from '../replies/reply-kinds.ts'
import { isDiscardAll } from '../settings/reset.ts'
import { mayWait, OWN_TRANSACTION, OWN_TRANSACTIONS } from '../settings/settings-sql.ts'
import { hasShortLimit, liftSql, limitsOf } from '../settings/time-limits.ts'
import type { ServerConnection } from './connection.ts'
import type { Consumer, ServerEnd } from './ports.ts'
import { QueryResult } from './query-result.ts'

/** How a task ended: with rows, with the server's error, or with the end of the connection. */
export type InternalQueryResult =
  | { kind: 'done'; answer: QueryResult }
  | { kind: 'error'; error: ErrorSummary; answer: QueryResult }
  | { kind: 'closed'; end: ServerEnd }

/**
 * What becomes of the session's limits of time. `hold`: the query has limits of its own, or can do without an answer;
 * `lifted where canceled`: when one may have ended it; `lifted where short`: at once where one is known to be short, too;
 * `lifted`: at once.
 */
export type TimeLimits = 'hold' | 'lifted where canceled' | 'lifted where short' | 'lifted'

/** The text of a query, or what writes it for when these limits are lifted by it. */
type QueryText = string | ((lifted: readonly string[]) => string)

const NO_LIMITS: readonly string[] = []

/** SQLSTATE of a statement that was canceled: by a request that was meant for what ran before, or by a time limit. */
const CANCELED = '57014'
/** How often a query that was canceled is run again. */
const RETRIES = 2

/** Runs one simple query on a server, in a transaction that does not wait for others. */
export class InternalQuery implements Consumer {
  readonly #server: ServerConnection
  readonly #text: QueryText
  readonly #limits: TimeLimits
  #sql: string
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
    text: QueryText,
    limits: TimeLimits,
    done: (result: InternalQueryResult) => void,
    retries: number,
  ) {
    this.#server = server
    this.#text = text
    this.#limits = limits
    this.#sql = this.#write(limits === 'lifted' || (limits === 'lifted where short' && hasShortLimit(server.settings)))
    this.#done = done
    this.#retries = retries
  }

  /**
   * Send `text` on a settled server and call `done` when its ReadyForQuery came. The server is `busy` from now on, and
   * still is when `done` is called: who called decides what it is next.
   * @param retries how often it is sent again where it is canceled
   */
  static run(
    server: ServerConnection,
    text: QueryText,
    limits: TimeLimits,
    done: (result: InternalQueryResult) => void,
    retries = RETRIES,
  ): void {
    const task = new InternalQuery(server, text, limits, done, retries)
    server.lend(task, 'busy')
    // It may have been paused for a client that does not read.
    server.wire.resume()
    // A cancel request that is under way was meant for what ran before.
    if (server.cancels === 0) task.#send()
  }

  /** The query, with the limits of time lifted or not: DISCARD ALL has to be alone. */
  #write(lifted: boolean): string {
    const text = this.#text
    if (typeof text !== 'string') return text(lifted ? limitsOf(this.#server.settings) : NO_LIMITS)
    return lifted && !isDiscardAll(text) ? liftSql(limitsOf(this.#server.settings)) + text : text
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
      if (this.#limits !== 'hold') this.#sql = this.#write(true)
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
