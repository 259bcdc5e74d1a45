/**
 * Collects the answer to a query of the pooler's own: its rows, in text format, and what PostgreSQL said to the session's
 * owner in between. Small answers only: more than a MB is refused.
 */

import { ProtocolError, Reader } from '../protocol/reader.ts'
import { BACKEND } from '../protocol/types.ts'

const LIMIT = 1024 * 1024

/** The messages of one answer, which come in pieces. */
export class Answer {
  #pieces: Buffer[] = []
  #bytes = 0

  /** More of the answer. Copied: the chunk it lies in is good for this turn only. */
  add(bytes: Buffer): void {
    this.#bytes += bytes.length
    if (this.#bytes <= LIMIT) this.#pieces.push(Buffer.from(bytes))
  }

  /** NotificationResponse messages that came meanwhile: they are for the client that listens. */
  notifications(): Buffer[] {
    const found: Buffer[] = []
    for (const { type, message } of this.#messages()) {
      if (type === BACKEND.NotificationResponse) found.push(message)
    }
    return found
  }

  /** All rows. @throws ProtocolError where the answer is too long or malformed */
  rows(): (string | null)[][] {
    const rows: (string | null)[][] = []
    for (const { type, message } of this.#messages()) {
      if (type === BACKEND.DataRow) rows.push(readRow(new Reader(message.subarray(5))))
    }
    return rows
  }

  *#messages(): Generator<{ type: number; message: Buffer }> {
    if (this.#bytes > LIMIT) throw new ProtocolError('answer too long')
    const all = Buffer.concat(this.#pieces)
    for (let at = 0; at < all.length; ) {
      const end = at + 1 + all.readInt32BE(at + 1)
      yield { type: all[at]!, message: all.subarray(at, end) }
      at = end
    }
  }
}

function readRow(body: Reader): (string | null)[] {
  const row: (string | null)[] = []
  for (let columns = body.int16(); columns > 0; columns--) {
    const length = body.int32()
    row.push(length < 0 ? null : body.bytes(length).toString('utf8'))
  }
  return row
}
