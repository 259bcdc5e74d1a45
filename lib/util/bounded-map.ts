/**
 * A map that holds at most `limit` entries and drops the one unused for longest: what is remembered about users must
 * not grow with what strangers send. Used by scram-keys.ts and passthrough.ts.
 */
export class BoundedMap<V> {
  readonly limit: number
  #entries = new Map<string, V>()

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
    if (value !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, value)
    }
    return value
  }

  set(key: string, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
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
