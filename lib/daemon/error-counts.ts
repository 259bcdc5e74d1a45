/**
 * How many errors of PostgreSQL's clients got, by database and SQLSTATE. Functions may raise any, and databases come and go:
 * the number of kinds is bounded.
 */

import { OTHER_DATABASES } from '../pool/counters.ts'

/** So many kinds are told apart. */
const LIMIT = 2000

interface ErrorCount {
  readonly database: string
  readonly sqlstate: string
  count: number
}

/** Counts since the start. */
export class ErrorCounts {
  readonly #kinds = new Map<string, ErrorCount>()
  readonly #others: ErrorCount = { database: OTHER_DATABASES, sqlstate: 'other', count: 0 }

  #total = 0

  /** All of them. */
  get total(): number {
    return this.#total
  }

  add(database: string, sqlstate: string): void {
    const key = `${sqlstate}\0${database}`
    let kind = this.#kinds.get(key)
    if (kind === undefined) {
      kind = this.#kinds.size < LIMIT ? { database, sqlstate, count: 0 } : this.#others
      if (kind !== this.#others) this.#kinds.set(key, kind)
    }
    kind.count++
    this.#total++
  }

  *all(): Generator<ErrorCount> {
    for (const kind of this.#kinds.values()) yield { ...kind }
    if (this.#others.count > 0) yield { ...this.#others }
  }
}
