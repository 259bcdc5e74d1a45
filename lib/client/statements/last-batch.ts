/**
 * The batch of a client that is under way, for as long as it could be run once more without anybody noticing. Needed
 * where a shared statement turns out to be stale ("cached plan must not change result type"): after a change of a
 * table, PostgreSQL refuses a statement that was prepared before it, even for a client that prepared it only afterwards
 * and was given the shared one.
 *
 * Kept are the messages from the first that names a prepared statement to the Sync, where they came in one chunk, on a
 * server that owed nothing, in no transaction, with no more than one Bind and one Execute and nothing sent behind them.
 * There must be a Describe among them where it is stale: a client that does not ask relies on the columns it was told
 * before, and must see the error that says that they have changed. Where the server has lost the statement, or never
 * parsed it for this client, there need not.
 *
 * Called by upstream.ts for each message of the extended protocol.
 */

import { type Batch, FIRST, LAST } from '../../protocol/batch.ts'
import { requestsIn } from '../../protocol/requests-in.ts'
import { FRONTEND } from '../../protocol/types.ts'

/** `fresh`: only Parse and Close so far. `taking`: up to the Sync. `whole`: sent. `none`: not repeatable. */
type Phase = 'none' | 'fresh' | 'taking' | 'whole'

/** What one client could have run again. */
export class LastBatch {
  #phase: Phase = 'none'
  #chunk: Buffer | undefined
  #from = 0
  #to = 0
  /** Messages that are answered, the Sync included. */
  #requests = 0
  #binds = 0
  #executes = 0
  #described = false

  /** A request begins on a server that owes nothing and is in no transaction. */
  begin(): void {
    this.#phase = 'fresh'
    this.#chunk = undefined
    this.#requests = 0
    this.#binds = 0
    this.#executes = 0
    this.#described = false
  }

  /** No longer: what was sent may have done something, or somebody relies on what came of it. */
  spoil(): void {
    this.#phase = 'none'
    this.#chunk = undefined
  }

  /** Message `i` of `batch` is sent. `shared`: it was rewritten, because it names a shared statement. */
  onMessage(type: number, batch: Batch, i: number, shared: boolean): void {
    if (this.#phase === 'none') return
    if (this.#phase === 'fresh') {
      if (type === FRONTEND.Parse || type === FRONTEND.Close) return
      if (shared) {
        this.#phase = 'taking'
        this.#chunk = batch.chunk
        this.#from = batch.start(i)
      }
    }
    if (this.#phase !== 'taking' || batch.chunk !== this.#chunk || batch.flags(i) !== WHOLE || !this.#takes(type)) {
      this.spoil()
      return
    }
    if (type !== FRONTEND.Flush) this.#requests++
    if (type === FRONTEND.Sync) {
      this.#phase = 'whole'
      this.#to = batch.end(i)
    }
  }

  #takes(type: number): boolean {
    switch (type) {
      case FRONTEND.Bind:
        return ++this.#binds === 1
      case FRONTEND.Execute:
        return ++this.#executes === 1
      case FRONTEND.Describe:
        this.#described = true
        return true
      case FRONTEND.Flush:
      case FRONTEND.Sync:
        return true
      default:
        return false
    }
  }

  /**
   * The messages to be sent again where the first of them failed; undefined where they cannot be.
   * @param unanswered number of requests the server has not answered, the failed one included
   * @param always also without a Describe
   */
  take(unanswered: number, always: boolean): Batch | undefined {
    const chunk = this.#chunk
    const whole = this.#phase === 'whole' && (this.#described || always) && unanswered === this.#requests
    this.spoil()
    if (!whole) return undefined
    return requestsIn(chunk!.subarray(this.#from, this.#to))
  }
}

/** Whether a client that sends `request`, of messages of the extended protocol, asks for the columns. */
export function describes(request: Buffer): boolean {
  const batch = requestsIn(request)
  let found = false
  for (let i = 0; i < batch.count; i++) found ||= batch.type(i) === FRONTEND.Describe
  batch.release()
  return found
}

const WHOLE = FIRST | LAST
