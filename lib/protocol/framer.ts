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
    // Every chunk is consumed before write() returns, so these buffers stay empty. The writable side's mark lies above
    // any chunk of a socket: one that reaches it is followed by a `drain` nobody waits for.
    super({ readableObjectMode: true, readableHighWaterMark: 16, writableHighWaterMark: 1024 * 1024 })
    this.scanner = scanner
  }

  override _transform(chunk: Buffer, _encoding: string, done: TransformCallback): void {
    this.bytes += chunk.length
    const batch = Batch.take(chunk)
    this.scanner.scan(chunk, batch)
    if (batch.count > 0 || batch.violation !== undefined) this.push(batch)
    else batch.release()
    done()
  }
}
