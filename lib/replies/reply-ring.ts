/**
 * The queue under the reply plan: a ring of small numbers, which grows and never shrinks, and beside it the data of the
 * entries that have any. Nothing is allocated per entry. Called by reply-plan.ts alone.
 */

/** A queue of bytes with optional data. */
export class ReplyRing {
  /** Data of the entry that was taken out last, and who watched it. */
  shiftedRef: unknown
  shiftedWatcher: unknown
  #size = 0
  #entries = new Uint8Array(16)
  /** Parallel to the entries; made on first use. */
  #refs: unknown[] | undefined
  /** The same for who is told how the request goes. */
  #watchers: unknown[] | undefined
  #first = 0

  get size(): number {
    return this.#size
  }

  /** The first entry; 0 for none. */
  get head(): number {
    return this.#size === 0 ? 0 : this.#entries[this.#first]!
  }

  /** Data of the first entry. */
  get headRef(): unknown {
    return this.#size === 0 ? undefined : this.#refs?.[this.#first]
  }

  /** Who is told how the entry `offset` behind the first goes. */
  watcherAt(offset: number): unknown {
    return offset < this.#size ? this.#watchers?.[(this.#first + offset) % this.#entries.length] : undefined
  }

  /** The entry `offset` behind the head; 0 for none. */
  at(offset: number): number {
    return offset < this.#size ? this.#entries[(this.#first + offset) % this.#entries.length]! : 0
  }

  /** True where one of the entries from `offset` behind the head on, seen through `mask`, is `a` or `b`. */
  holds(mask: number, offset: number, a: number, b = a): boolean {
    for (let i = offset; i < this.#size; i++) {
      const entry = this.at(i) & mask
      if (entry === a || entry === b) return true
    }
    return false
  }

  /** Append an entry, 1 to 255. */
  push(entry: number, ref: unknown, watcher: unknown): void {
    if (this.#size === this.#entries.length) this.#grow()
    const at = (this.#first + this.#size) % this.#entries.length
    this.#entries[at] = entry
    if (ref !== undefined) {
      this.#refs ??= []
      this.#refs[at] = ref
    }
    if (watcher !== undefined) {
      this.#watchers ??= []
      this.#watchers[at] = watcher
    }
    this.#size++
  }

  /** Put another entry in the place of the first, with its data. */
  replaceHead(entry: number): void {
    this.#entries[this.#first] = entry
  }

  /** Take out the first entry; its data are then in `shiftedRef` and `shiftedWatcher`. */
  shift(): number {
    const at = this.#first
    this.#first = (at + 1) % this.#entries.length
    this.#size--
    if (this.#refs) {
      this.shiftedRef = this.#refs[at]
      this.#refs[at] = undefined
    }
    if (this.#watchers) {
      this.shiftedWatcher = this.#watchers[at]
      this.#watchers[at] = undefined
    }
    return this.#entries[at]!
  }

  /** Take out the entry behind the head by moving the head onto its place. */
  removeSecond(): void {
    const second = (this.#first + 1) % this.#entries.length
    this.#entries[second] = this.#entries[this.#first]!
    if (this.#refs) {
      this.#refs[second] = this.#refs[this.#first]
      this.#refs[this.#first] = undefined
    }
    if (this.#watchers) {
      this.#watchers[second] = this.#watchers[this.#first]
      this.#watchers[this.#first] = undefined
    }
    this.#first = second
    this.#size--
  }

  /** Forget all entries. */
  clear(): void {
    this.#first = 0
    this.#size = 0
    this.#refs = undefined
    this.#watchers = undefined
    this.shiftedRef = undefined
    this.shiftedWatcher = undefined
  }

  #grow(): void {
    const old = this.#entries
    const entries = new Uint8Array(old.length * 2)
    const refs: unknown[] | undefined = this.#refs && []
    const watchers: unknown[] | undefined = this.#watchers && []
    for (let i = 0; i < this.#size; i++) {
      const from = (this.#first + i) % old.length
      entries[i] = old[from]!
      if (refs) refs[i] = this.#refs![from]
      if (watchers) watchers[i] = this.#watchers![from]
    }
    this.#entries = entries
    this.#refs = refs
    this.#watchers = watchers
    this.#first = 0
  }
}
