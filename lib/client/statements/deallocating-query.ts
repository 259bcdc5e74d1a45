/** A Query that deallocates prepared statements: what each of its command tags, or the lack of one, tells. */

import type { PlanRef } from '../../server/ports.ts'
import type { LastDeallocation } from '../../sql/statement-names.ts'
import type { SharedRef } from './statement-refs.ts'

/** What to do where a Query has deallocated. */
export interface Deallocations {
  /** One statement. */
  one(name: string): void
  /** All of them. */
  all(): void
  /** Code of it may have deallocated any, whether it failed or not; undefined where there is none. */
  unseen: (() => void) | undefined
}

/**
 * What the reply plan knows it by. PostgreSQL commits before it says that the last statement is done: where that fails
 * (a deferred constraint), an error comes in place of its tag, and the statement is gone.
 */
export class DeallocatingQuery implements SharedRef {
  other: PlanRef | undefined
  readonly #names: Iterator<string>
  readonly #last: LastDeallocation | undefined
  readonly #deallocations: Deallocations
  /** Statements that have been completed. */
  #completed = 0

  /** @param names whose DEALLOCATE is in it, in the order of their command tags */
  constructor(names: string[], last: LastDeallocation | undefined, deallocations: Deallocations) {
    this.#names = names.values()
    this.#last = last
    this.#deallocations = deallocations
  }

  completed(): void {
    this.#completed++
  }

  /** The name its next DEALLOCATE was of; undefined where that is not known. */
  next(): string | undefined {
    return this.#names.next().value
  }

  /** It failed. */
  onRefused(): void {
    const last = this.#last
    if (last === undefined || last.before !== this.#completed) return
    if (last.name === undefined) this.#deallocations.all()
    else this.#deallocations.one(last.name)
  }

  answered(): void {
    this.#deallocations.unseen?.()
    this.other?.answered()
  }

  dropped(failed: boolean): void {
    this.other?.dropped(failed)
  }
}
