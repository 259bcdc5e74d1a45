/**
 * Input of a client that was read and not handled yet: a query sent ahead of the login, a request whose server is still
 * waited for. Bounded by pausing the socket above `LIMIT`.
 */

import type { Batch } from '../protocol/batch.ts'

/** So much may wait in memory. A paused socket also hides its client's departure, so it is not small. */
const LIMIT = 256 * 1024

/** Batches in the order they came. */
export class Inbox {
  readonly #batches: Batch[] = []
  #bytes = 0

  /** The batch whose turn it is. */
  get first(): Batch | undefined {
    return this.#batches[0]
  }

  /** More waits than should. */
  get full(): boolean {
    return this.#bytes > LIMIT
  }

  push(batch: Batch): void {
    this.#batches.push(batch)
    this.#bytes += batch.bytes
  }

  /** The first batch is handled. */
  shift(): void {
    const batch = this.#batches.shift()
    if (batch === undefined) return
    this.#bytes -= batch.bytes
    batch.release()
  }

  /** Forget all. A batch being handled right now is still looked at: it is left to the garbage collector. */
  clear(): void {
    this.#batches.length = 0
    this.#bytes = 0
  }
}
