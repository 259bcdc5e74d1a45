/**
 * How long what the clients of a pool do takes. Pools are told apart up to a limit, because each is a set of series for
 * whoever watches pgbun; those beyond are counted together, for as long as they live, so that no sum ever goes down.
 */

import { Histogram, type HistogramCounts } from '../util/histogram.ts'

/** So many pairs of database and user are told apart. */
export const TOLD_APART = 500

/** What is measured. */
export const DURATION_NAMES = ['query', 'transaction', 'wait', 'connect'] as const

export type DurationName = (typeof DURATION_NAMES)[number]

/** The counts of each. */
export type DurationCounts = Record<DurationName, HistogramCounts>

/** The histograms of one pool, or of all that are not told apart. */
export class Durations {
  /** Requests of clients, from their beginning to ReadyForQuery. */
  readonly query = new Histogram()
  /** Transactions of clients. */
  readonly transaction = new Histogram()
  /** Waits of clients for a server, of those that had to. */
  readonly wait = new Histogram()
  /** Attempts to open a server connection that succeeded, the login included. */
  readonly connect = new Histogram()

  counts(): DurationCounts {
    return {
      query: this.query.counts(),
      transaction: this.transaction.counts(),
      wait: this.wait.counts(),
      connect: this.connect.counts(),
    }
  }
}

/** Gives pools their histograms. */
export class DurationBook {
  /** Of the pools that are not told apart. */
  readonly others = new Durations()
  readonly #own = new Set<Durations>()
  readonly #limit: number

  constructor(limit = TOLD_APART) {
    this.#limit = limit
  }

  /** For a pool that begins: of its own, or those of the others. */
  enter(): Durations {
    if (this.#own.size >= this.#limit) return this.others
    const durations = new Durations()
    this.#own.add(durations)
    return durations
  }

  /** The pool that had them is forgotten. */
  leave(durations: Durations): void {
    this.#own.delete(durations)
  }

  /** Whether they belong to one pool alone. */
  isOwn(durations: Durations): boolean {
    return this.#own.has(durations)
  }
}
