/**
 * A gate that lets a few in at a time. Who has to wait is taken from each group in turn, so that a group of thousands
 * does not keep the others out, and leaves the queue when its signal is aborted.
 */

interface Group {
  name: string
  inside: number
  waiting: Set<() => void>
}

export class FairGate {
  readonly #limit: () => number
  readonly #share: (limit: number) => number
  /** All with somebody inside or waiting; the one whose turn is next comes first. */
  readonly #groups = new Map<string, Group>()
  #inside = 0
  #waiting = 0

  /**
   * @param limit how many may be inside
   * @param share how many of them may be of one group; default all
   */
  constructor(limit: () => number, share: (limit: number) => number = (limit) => limit) {
    this.#limit = limit
    this.#share = share
  }

  /** How many are inside. */
  get inside(): number {
    return this.#inside
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting
  }

  /**
   * Resolves when it is the caller's turn, with a function to be called once to leave.
   * @throws the reason of `signal`, where that is aborted before
   */
  enter(group: string, signal?: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const of = this.#group(group)
      const enter = (): void => {
        signal?.removeEventListener('abort', giveUp)
        resolve(() => this.#leave(of))
      }
      const giveUp = (): void => {
        of.waiting.delete(enter)
        this.#waiting--
        if (of.inside === 0 && of.waiting.size === 0) this.#groups.delete(group)
        reject(signal!.reason)
      }
      signal?.addEventListener('abort', giveUp)
      of.waiting.add(enter)
      this.#waiting++
      this.#admit()
    })
  }

  #group(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) this.#groups.set(name, (group = { name, inside: 0, waiting: new Set() }))
    return group
  }

  #admit(): void {
    const limit = this.#limit()
    const share = Math.max(1, this.#share(limit))
    while (this.#inside < limit) {
      const group = this.#nextGroup(share)
      if (group === undefined) return
      // Behind the others.
      this.#groups.delete(group.name)
      this.#groups.set(group.name, group)
      group.inside++
      this.#inside++
      this.#waiting--
      for (const enter of group.waiting) {
        group.waiting.delete(enter)
        enter()
        break
      }
    }
  }

  #nextGroup(share: number): Group | undefined {
    if (this.#waiting === 0) return undefined
    for (const group of this.#groups.values()) if (group.waiting.size > 0 && group.inside < share) return group
    return undefined
  }

  #leave(group: Group): void {
    group.inside--
    this.#inside--
    // Whoever came while it was alone is next.
    this.#groups.delete(group.name)
    if (group.inside > 0 || group.waiting.size > 0) this.#groups.set(group.name, group)
    this.#admit()
  }
}
