/**
 * A session of the simple query protocol on a connection that is logged in: one text after the other, each answered as a
 * whole. What pgbun's own commands talk to a server or to a console with.
 *
 * What must hold: nothing is asked while an answer is owed; each question ends with an answer, or with a SessionEnd when
 * the connection does.
 */
import type { Wire, WireHandler } from '../../net/wire.ts'
import type { Batch } from '../../protocol/batch.ts'
import { query, TERMINATE } from '../../protocol/build.ts'
import { QueryResults } from './query-results.ts'

/** The connection ended, or cannot be used any more. The message says why. */
export class SessionEnd extends Error {
  override readonly name = 'SessionEnd'
  readonly sqlstate: string
  /** It was the other side's decision, in the words of its last error. */
  readonly lastWords: boolean

  constructor(message: string, sqlstate = '08006', lastWords = false) {
    super(message)
    this.sqlstate = sqlstate
    this.lastWords = lastWords
  }
}

interface Question {
  results: QueryResults
  resolve(results: QueryResults): void
  reject(end: SessionEnd): void
}

/** One session. */
export class SimpleSession {
  readonly #wire: Wire
  #question: Question | undefined
  #end: SessionEnd | undefined

  constructor(wire: Wire) {
    this.#wire = wire
    // The wire may have ended between its login and now.
    if (wire.ended) this.#end = new SessionEnd('server closed the connection after login')
    const handler: WireHandler = {
      onBatch: (batch) => this.#onBatch(batch),
      onFull() {},
      onDrain() {},
      onFault: (error) => this.#fail(new SessionEnd(error instanceof Error ? error.message : String(error), '08P01')),
      onEnd: (error) => this.#onEnd(error),
    }
    wire.handler = handler
    wire.resume()
  }

  /** Why nothing can be asked any more. */
  get ended(): SessionEnd | undefined {
    return this.#end
  }

  /**
   * Ask. An error of a statement is part of the answer.
   * @throws SessionEnd
   */
  ask(sql: string): Promise<QueryResults> {
    if (this.#end) return Promise.reject(this.#end)
    if (this.#question) throw new Error('the session is asked while it owes an answer')
    return new Promise((resolve, reject) => {
      this.#question = { results: new QueryResults(), resolve, reject }
      this.#wire.write(query(sql))
      this.#wire.flush()
    })
  }

  /** Take leave. Resolves when the connection is closed; at once, where the other side was first. */
  close(): Promise<void> {
    const wire = this.#wire
    const closed = new Promise<void>((resolve) => {
      if (wire.ended) {
        wire.destroy()
        resolve()
      } else {
        wire.onClosed = resolve
        wire.close(TERMINATE)
      }
    })
    this.#fail(new SessionEnd('the session was closed'))
    return closed
  }

  /** End it at once, with this reason. */
  abort(reason: string): void {
    this.#wire.destroy()
    this.#fail(new SessionEnd(reason))
  }

  #onBatch(batch: Batch): void {
    try {
      for (let i = 0; i < batch.count; i++) this.#question?.results.add(batch.bytesOf(i))
      if (batch.violation !== undefined) throw new Error(`it broke the protocol: ${batch.violation}`)
    } catch (error) {
      this.abort(error instanceof Error ? error.message : String(error))
      return
    } finally {
      batch.release()
    }
    const { results, resolve } = this.#question ?? {}
    if (!results?.complete) return
    this.#question = undefined
    resolve!(results)
  }

  #onEnd(error: Error | undefined): void {
    const last = this.#question?.results.error
    if (last) this.#fail(new SessionEnd(last.message, last.sqlstate, true))
    else this.#fail(new SessionEnd(`server closed the connection${error ? `: ${error.message}` : ''}`))
  }

  #fail(end: SessionEnd): void {
    this.#end ??= end
    const question = this.#question
    this.#question = undefined
    question?.reject(this.#end)
  }
}
