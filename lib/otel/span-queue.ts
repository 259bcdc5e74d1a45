/** Spans until they are sent. What a collector that is not there can keep in memory is bounded: what comes then is dropped. */

import { Queue } from '../util/queue.ts'

/** So many may wait; a thousand take about a megabyte. */
export const QUEUE_LIMIT = 2048
/** So many are sent at once, which takes a few milliseconds to write. */
export const BATCH_SIZE = 64

/** Keeps them in their order. */
export class SpanQueue<Span> {
  readonly #spans = new Queue<Span>()
  #dropped = 0

  get size(): number {
    return this.#spans.size
  }

  /** Keep it, unless there is no room. */
  push(span: Span): void {
    if (this.#spans.size >= QUEUE_LIMIT) this.#dropped++
    else this.#spans.push(span)
  }

  /** The oldest ones, to be sent. */
  take(): Span[] {
    const batch: Span[] = []
    while (batch.length < BATCH_SIZE) {
      const span = this.#spans.shift()
      if (span === undefined) break
      batch.push(span)
    }
    return batch
  }

  /** So many that were taken could not be sent. */
  lost(count: number): void {
    this.#dropped += count
  }

  /** How many were dropped since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped
    this.#dropped = 0
    return dropped
  }
}
