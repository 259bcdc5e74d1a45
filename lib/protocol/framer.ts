/**
 * The Transform of the pipeline: socket chunks in, one Batch per chunk out (R3). The connection's wire pipes its
 * socket into it and listens to its `data`. All the work is the scanner's.
 */

import { Transform, type TransformCallback } from 'node:stream'
import { Batch } from './batch.ts'
import type { Scanner } from './scanner.ts'

/** Cuts a stream of bytes into batches of message segments. */
export class Framer extends Transform {
  readonly scanner: Scanner

  constructor(scanner: Scanner) {
    // One batch at a time: backpressure is the wire's business (it pauses the socket), not this buffer's.
    super({ readableObjectMode: true, readableHighWaterMark: 1 })
    this.scanner = scanner
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    const batch = Batch.take(chunk)
    this.scanner.scan(chunk, batch)
    if (batch.count > 0 || batch.violation !== undefined) this.push(batch)
    else batch.release()
    done()
  }
}
