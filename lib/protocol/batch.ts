/**
 * What one chunk of a connection amounts to: a list of segments in it, without an object per message (R3).
 *
 * A segment is one message, one part of a message, or a run of neighbouring messages nobody needs to look at. It lies
 * in `chunk`, or, where its first bytes came with an earlier chunk, in `head` (at most the first segment of a batch).
 * The consumer walks it with `next()` and returns it with `release()`; until then its buffers stay valid.
 */

/** The segment begins with the first byte of a message. */
export const FIRST = 1
/** The segment ends with the last byte of a message. */
export const LAST = 2
/** The segment lies in `head`. */
export const IN_HEAD = 4

/** Pseudo type: messages, or parts of them, that pass without being looked at. */
export const RUN = 0
/** Pseudo type: a packet of the startup phase, which has a length but no type byte. */
export const STARTUP = 256

const STRIDE = 4
const EMPTY = Buffer.alloc(0)
/** Batches are returned here: between two chunks of any connection nothing is allocated. */
const spare: Batch[] = []
const SPARE_LIMIT = 64

/** The segments of one chunk. */
export class Batch {
  chunk: Buffer = EMPTY
  head: Buffer = EMPTY
  /** Why scanning stopped, if the peer broke the protocol: nothing behind the last segment can be trusted. */
  violation: string | undefined
  /** Position in the segment list, the consumer's. */
  cursor = 0
  #segments = new Int32Array(32 * STRIDE)
  #length = 0
  #taken = true
  /** What was found out about one of its segments, and which. */
  #note: object | undefined
  #notedOf = -1

  /** An empty batch for `chunk`. */
  static take(chunk: Buffer): Batch {
    const batch = spare.pop() ?? new Batch()
    batch.#taken = true
    batch.chunk = chunk
    return batch
  }

  /** Give the batch back. Its buffers must not be used through it any more. Throws the second time. */
  release(): void {
    // It would be handed out twice, and two connections would see each other's bytes.
    if (!this.#taken) throw new Error('batch released twice')
    this.#taken = false
    this.chunk = EMPTY
    this.head = EMPTY
    this.violation = undefined
    this.cursor = 0
    this.#length = 0
    this.#note = undefined
    this.#notedOf = -1
    // A chunk of tiny messages makes a long list; do not keep that memory.
    if (spare.length < SPARE_LIMIT && this.#segments.length <= 4096 * STRIDE) spare.push(this)
  }

  /** Number of segments. */
  get count(): number {
    return this.#length / STRIDE
  }

  /** Keep what was found out about segment `i`, as long as the batch is here and nothing is noted of another. */
  note(i: number, what: object): void {
    this.#note = what
    this.#notedOf = i
  }

  /** What was noted of segment `i`. */
  noteOf(i: number): object | undefined {
    return i === this.#notedOf ? this.#note : undefined
  }

  /** Bytes the batch holds on to. */
  get bytes(): number {
    return this.chunk.length + this.head.length
  }

  /** Append a segment. */
  add(type: number, start: number, end: number, flags: number): void {
    const at = this.#length
    if (at === this.#segments.length) {
      const larger = new Int32Array(at * 2)
      larger.set(this.#segments)
      this.#segments = larger
    }
    this.#segments[at] = type
    this.#segments[at + 1] = start
    this.#segments[at + 2] = end
    this.#segments[at + 3] = flags
    this.#length = at + STRIDE
  }

  /** Append to the last segment where that is a run that ends at `start`; otherwise add a new run. */
  addRun(start: number, end: number, flags: number): void {
    const last = this.#length - STRIDE
    if (last >= 0 && this.#segments[last] === RUN && (this.#segments[last + 3]! & IN_HEAD) === 0) {
      this.#segments[last + 2] = end
      this.#segments[last + 3] = (this.#segments[last + 3]! & FIRST) | (flags & LAST)
      return
    }
    this.add(RUN, start, end, flags)
  }

  /** Type of segment `i`: a message type, RUN or STARTUP. */
  type(i: number): number {
    return this.#segments[i * STRIDE]!
  }

  /** First byte of segment `i` in its buffer. */
  start(i: number): number {
    return this.#segments[i * STRIDE + 1]!
  }

  /** Byte behind segment `i` in its buffer. */
  end(i: number): number {
    return this.#segments[i * STRIDE + 2]!
  }

  /** FIRST, LAST and IN_HEAD of segment `i`. */
  flags(i: number): number {
    return this.#segments[i * STRIDE + 3]!
  }

  /** The buffer segment `i` lies in. */
  buffer(i: number): Buffer {
    return (this.flags(i) & IN_HEAD) !== 0 ? this.head : this.chunk
  }

  /** The bytes of segment `i`, as a view. */
  bytesOf(i: number): Buffer {
    return this.buffer(i).subarray(this.start(i), this.end(i))
  }

  /** The body of segment `i` (the bytes behind type and length), as a view; as far as it is here. */
  bodyOf(i: number): Buffer {
    return this.buffer(i).subarray(this.start(i) + (this.type(i) === STARTUP ? 4 : 5), this.end(i))
  }
}
