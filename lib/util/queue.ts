/** First in, first out, with a cost that does not grow with the length: `Array.shift` moves all that is left. */

/** Taken ones at the beginning of the array that are not worth moving the others. */
const SLACK = 64

/** A queue of values. */
export class Queue<T> {
  #items: T[] = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  /** The newest; undefined where there is none. */
  get last(): T | undefined {
    return this.size === 0 ? undefined : this.#items.at(-1)
  }

  push(item: T): void {
    this.#items.push(item)
  }

  /** Take the oldest; undefined where there is none. */
  shift(): T | undefined {
    if (this.size === 0) return undefined
    const item = this.#items[this.#head]!
    this.#items[this.#head++] = undefined as T
    if (this.size === 0) this.#items = []
    else if (this.#head > SLACK && this.#head * 2 > this.#items.length) this.#items = this.#items.slice(this.#head)
    else return item
    this.#head = 0
    return item
  }

  *[Symbol.iterator](): Generator<T> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at]!
  }
}
