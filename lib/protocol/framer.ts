/**
 * The Transform of the pipeline: socket chunks in, one Batch per chunk out (R3). The connection's wire writes
 * what its socket reads into it and listens to its `data`. All the work is the scanner's.
 */

import { Transform, type TransformCallback } from 'node:stream'
import { Batch } from './batch.ts'
import type { Scanner } from './scanner.ts'

/** Cuts a stream of bytes into batches of message segments. */
export class Framer extends Transform {
  readonly scanner: Scanner
  /** Bytes that came in since the connection began. */
  bytes = 0

  constructor(scanner: Scanner) {
    super({ readableObjectMode: true, readableHighWaterMark: 16 })
    this.scanner = scanner
  }

  /**
   * A chunk is framed before this returns, so where somebody listens and nothing waits, its batch is handed over at once.
   * The streams' own bookkeeping for this, of a callback and of what to read next, costs each chunk two entries in the
   * queue of ticks and more time than all of the framing.
   */
  override write(chunk: unknown, ...rest: unknown[]): boolean {
    if (rest.length > 0 || !this.readableFlowing || this.readableLength > 0) return super.write(chunk, ...(rest as []))
    const batch = this.#frame(chunk as Buffer)
    if (batch !== undefined) this.emit('data', batch)
    return true
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    done(null, this.#frame(chunk))
  }

  #frame(chunk: Buffer): Batch | undefined {
    this.bytes += chunk.length
    const batch = Batch.take(chunk)
    this.scanner.scan(chunk, batch)
    if (batch.count > 0 || batch.violation !== undefined) return batch
    batch.release()
    return undefined
  }
}
