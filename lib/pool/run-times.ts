/** How long each of the requests has taken that a server has run one behind the other: learnt from when answers are read. */

import { idleTime, now } from '../util/clock.ts'
import type { SharedLease } from './shared-lease.ts'

/** Of one pipeline. */
export class RunTimes {
  /** Answered by the chunk at hand, and since when the server has worked on them. */
  readonly #done: SharedLease[] = []
  #since = 0
  #idleBefore = 0

  /** The server begins to work at `at`. */
  begin(at: number, idle = idleTime()): void {
    this.#since = at
    this.#idleBefore = idle
  }

  answered(place: SharedLease): void {
    this.#done.push(place)
  }

  /** The requests that this chunk has answered have taken, each of them, as much. `first` is the one that runs now. */
  chunkOver(first: SharedLease | undefined): void {
    const done = this.#done
    if (done.length === 0) return
    const at = now()
    // Who was there when the last answers came, and is not answered, keeps the server busy. Otherwise it may have been done for
    // as long as this process had other things to do than to read it.
    const busy = first !== undefined && first.since < this.#since
    const idle = idleTime()
    const ms = (busy ? at - this.#since : idle - this.#idleBefore) / done.length
    for (const { text, bytes, waits } of done) text.ran(ms, bytes, waits)
    done.length = 0
    this.begin(at, idle)
  }

  forget(): void {
    this.#done.length = 0
  }
}
