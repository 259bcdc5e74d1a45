/**
 * A histogram of durations with fixed bounds: recorded on the data path without garbage, read as plain numbers, which
 * can be added up over several processes.
 */

/** Upper bounds of the buckets in milliseconds; one more bucket has all that took longer. */
export const BOUNDS_MS = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000, 60_000] as const

/** What a histogram has counted. */
export interface HistogramCounts {
  /** How many were in each bucket and in none below, in the order of the bounds; the last had no bound. */
  buckets: number[]
  /** The sum of all, in milliseconds. */
  sum: number
}

/** Counts at zero. */
export function emptyCounts(): HistogramCounts {
  return { buckets: new Array<number>(BOUNDS_MS.length + 1).fill(0), sum: 0 }
}

/** Counts durations by how long they were. */
export class Histogram {
  readonly #buckets = new Float64Array(BOUNDS_MS.length + 1)
  #sum = 0

  /** Something took `ms` milliseconds. Returns them, for whoever adds them up. */
  record(ms: number): number {
    let bucket = 0
    while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket++
    this.#buckets[bucket]!++
    this.#sum += ms
    return ms
  }

  /** Add what was counted so far to `sum`. */
  addTo(sum: HistogramCounts): void {
    for (const [bucket, count] of this.#buckets.entries()) sum.buckets[bucket]! += count
    sum.sum += this.#sum
  }

  /** What was counted so far. */
  counts(): HistogramCounts {
    return { buckets: Array.from(this.#buckets), sum: this.#sum }
  }
}
