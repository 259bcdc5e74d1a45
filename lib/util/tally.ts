/** How many there are of each name; names of which there are none take no place. */
export class Tally {
  readonly #counts = new Map<string, number>()

  /** How many there are of `name`. */
  count(name: string): number {
    return this.#counts.get(name) ?? 0
  }

  /** One more. */
  add(name: string, by = 1): void {
    const count = this.count(name) + by
    if (count === 0) this.#counts.delete(name)
    else this.#counts.set(name, count)
  }

  /** One less. */
  remove(name: string): void {
    this.add(name, -1)
  }
}
