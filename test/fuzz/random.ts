/** Random choices that a seed repeats. */
import { randomWords } from '../fixtures/random.ts'

export class Random {
  readonly #word: () => number

  constructor(seed: number) {
    this.#word = randomWords(seed)
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    return this.#word() % limit
  }

  /** From `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True in so many of a hundred cases. */
  percent(share: number): boolean {
    return this.below(10_000) < share * 100
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  /** One of `list`, each as often as its weight says. */
  weighted<T extends { weight: number }>(list: readonly T[]): T {
    let at = this.below(list.reduce((sum, { weight }) => sum + weight, 0))
    for (const item of list) {
      at -= item.weight
      if (at < 0) return item
    }
    throw new Error('nothing to choose from')
  }
}
