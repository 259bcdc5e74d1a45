/**
 * A query of the pooler's own on a server: a reset, a liveness check, a client's settings, a rollback. Its replies go
 * nowhere; its end is reported once. Continuations instead of promises, because tasks run between two leases (R4).
 */

import { query } from '../protocol/build.ts'
import { type ErrorSummary, readError } from '../protocol/error-response.ts'
import { QUERY } from '../session/reply-kinds.ts'
import { Answer } from './answer.ts'
import type { ServerConnection } from './connection.ts'
import type { Consumer, ServerEnd } from './ports.ts'

/** How a task ended: with rows, with the server's error, or with the end of the connection. */
export type TaskResult =
  | { kind: 'done'; answer: Answer }
  | { kind: 'error'; error: ErrorSummary; answer: Answer }
  | { kind: 'closed'; end: ServerEnd }

/** Runs one simple query on a server. */
export class Task implements Consumer {
  readonly #done: (result: TaskResult) => void
  readonly #answer = new Answer()
  #over = false
  #error: ErrorSummary | undefined

  private constructor(done: (result: TaskResult) => void) {
    this.#done = done
  }

  /**
   * Send `sql` on a settled server and call `done` when its ReadyForQuery came. The server is `busy` from now on, and
   * still is when `done` is called: who called decides what it is next.
   */
  static run(server: ServerConnection, sql: string, done: (result: TaskResult) => void): void {
    const task = new Task(done)
    server.lend(task, 'busy')
    server.plan.expect(QUERY)
    server.unnamedOwner = undefined
    server.send(query(sql))
  }

  onServerBytes(bytes: Buffer): void {
    this.#answer.add(bytes)
  }

  onServerError(body: Buffer): void {
    this.#error ??= readError(body)
  }

  onServerReady(): void {
    const answer = this.#answer
    this.#end(this.#error ? { kind: 'error', error: this.#error, answer } : { kind: 'done', answer })
  }

  onServerFull(): void {}

  onServerDrain(): void {}

  onServerClosed(end: ServerEnd): void {
    this.#end({ kind: 'closed', end })
  }

  #end(result: TaskResult): void {
    // Whoever is told of an error may close the connection, of which we are still the consumer.
    if (this.#over) return
    this.#over = true
    this.#done(result)
  }
}
