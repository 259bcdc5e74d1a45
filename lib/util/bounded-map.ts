/**
 * A map that holds at most `limit` entries and drops the one unused for longest: what is remembered of clients must not
 * grow with what strangers send.
 */
export class BoundedMap<V> {
  readonly limit: number
  #entries = new Map<string, V>()
  /** The most recently used, where that is known: the one that is asked for most often need not be moved. */
  #newest: string | undefined

  /** `limit` is at least 1. */
  constructor(limit: number) {
    this.limit = Math.max(1, limit)
  }

  get size(): number {
    return this.#entries.size
  }

  /** The value of `key`, which thereby becomes the most recently used. */
  get(key: string): V | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined && key !== this.#newest) {
      this.#entries.delete(key)
      this.#entries.set(key, value)
      this.#newest = key
    }
    return value
  }

  set(key: string, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    this.#newest = key
    if (this.#entries.size > this.limit) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
  }

  delete(key: string): boolean {
    return this.#entries.delete(key)
  }

  clear(): void {
    this.#entries.clear()
  }
}
