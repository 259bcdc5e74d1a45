/**
 * Input of a client that was read and not handled yet: a query sent ahead of the login, a request whose server is still
 * waited for. Bounded by pausing the socket above `LIMIT`.
 */

import type { Batch } from '../../protocol/batch.ts'

/** So much may wait in memory. A paused socket also hides its client's departure, so it is not small. */
const LIMIT = 256 * 1024

/** Batches in the order they came. */
export class Inbox {
  /** The batch whose turn it is. */
  first: Batch | undefined
  /** Those behind it: mostly none. */
  #rest: Batch[] | undefined
  #bytes = 0

  /** More waits than should. */
  get full(): boolean {
    return this.#bytes > LIMIT
  }

  push(batch: Batch): void {
    this.#bytes += batch.bytes
    if (this.first === undefined) this.first = batch
    else if (this.#rest === undefined) this.#rest = [batch]
    else this.#rest.push(batch)
  }

  /** `batch`, if there is one, is handled before all others. */
  putBack(batch: Batch | undefined): void {
    if (batch === undefined) return
    this.#bytes += batch.bytes
    if (this.first !== undefined) this.#rest = [this.first, ...(this.#rest ?? [])]
    this.first = batch
  }

  /** The first batch is handled. */
  shift(): void {
    const batch = this.first
    if (batch === undefined) return
    this.first = this.#rest?.shift()
    if (this.first === undefined) this.#rest = undefined
    this.#bytes -= batch.bytes
    batch.release()
  }

  /**
   * Forget all.
   * @param handled the first batch is being handled right now: it is still looked at, and goes with the shift that follows
   */
  clear(handled: boolean): void {
    if (!handled) this.first?.release()
    if (this.#rest !== undefined) for (const batch of this.#rest) batch.release()
    this.first = handled ? this.first : undefined
    this.#rest = undefined
    this.#bytes = this.first?.bytes ?? 0
  }
}
