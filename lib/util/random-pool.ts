/**
 * Random bytes of the runtime's cryptographic generator, drawn in bulk: a call into it costs more than the login it is
 * for can spare. No byte is given out twice, and those given out do not stay behind.
 */

import { randomFillSync } from 'node:crypto'

/** Bytes drawn at a time. */
const SIZE = 4096

/** A supply of random bytes. */
export class RandomPool {
  readonly #bytes = Buffer.alloc(SIZE)
  #used = SIZE

  /** `length` random bytes in a buffer of their own, at most 4096. */
  take(length: number): Buffer {
    if (length > SIZE) throw new RangeError(`random bytes: ${length} of at most ${SIZE}`)
    if (this.#used + length > SIZE) {
      randomFillSync(this.#bytes)
      this.#used = 0
    }
    const end = this.#used + length
    const taken = Buffer.from(this.#bytes.subarray(this.#used, end))
    this.#bytes.fill(0, this.#used, end)
    this.#used = end
    return taken
  }
}
