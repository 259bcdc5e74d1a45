/**
 * Answers that their readers have not taken yet. Those of metrics can be megabytes: what readers that take nothing can keep in
 * memory is bounded by their number and by a time.
 */

import type { ServerResponse } from 'node:http'
import { after } from '../util/clock.ts'

/** So many may be unread. */
const LIMIT = 20
/** An answer is cut where it is not taken by then, in ms. */
const PATIENCE_MS = 30_000

/** Counts them. */
export class UnreadAnswers {
  readonly #patienceMs: number
  #unread = 0

  constructor(patienceMs = PATIENCE_MS) {
    this.#patienceMs = patienceMs
  }

  /** Whether one more may be begun. */
  get hasRoom(): boolean {
    return this.#unread < LIMIT
  }

  /** An answer is begun: it counts until it is taken, or cut. */
  begin(response: Pick<ServerResponse, 'once' | 'destroy'>): void {
    this.#unread++
    const stop = after(this.#patienceMs, () => response.destroy())
    response.once('close', () => {
      stop()
      this.#unread--
    })
  }
}
