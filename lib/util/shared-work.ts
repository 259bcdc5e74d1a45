/**
 * Work that is done once for all who ask for it at the same time, and given up when the last of them has left.
 */

interface Work<T> {
  promise: Promise<T>
  askers: number
  controller: AbortController
}

export class SharedWork<T> {
  readonly #underway = new Map<string, Work<T>>()

  /** How much is under way. */
  get size(): number {
    return this.#underway.size
  }

  /**
   * The result of the work called `key`, which `begin` begins where it is not under way.
   * @param signal aborted when the asker leaves; without one it stays
   */
  join(key: string, signal: AbortSignal | undefined, begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const work = this.#underway.get(key) ?? this.#begin(key, begin)
    work.askers++
    if (signal === undefined) return work.promise
    const leave = (): void => {
      if (--work.askers > 0) return
      // Whoever comes now begins anew.
      if (this.#underway.get(key) === work) this.#underway.delete(key)
      work.controller.abort(signal.reason)
    }
    if (signal.aborted) {
      leave()
      return work.promise
    }
    signal.addEventListener('abort', leave)
    const done = (): void => signal.removeEventListener('abort', leave)
    work.promise.then(done, done)
    return work.promise
  }

  #begin(key: string, begin: (signal: AbortSignal) => Promise<T>): Work<T> {
    const controller = new AbortController()
    const promise = begin(controller.signal).finally(() => {
      if (this.#underway.get(key) === work) this.#underway.delete(key)
    })
    // All who asked may have left by the time it fails.
    promise.catch(() => {})
    const work: Work<T> = { promise, askers: 0, controller }
    this.#underway.set(key, work)
    return work
  }
}
