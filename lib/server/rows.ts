/** Collects the rows of a query of the pooler's own, in text format. Small answers only: more than a MB is refused. */

import { ProtocolError, Reader } from '../protocol/reader.ts'
import { BACKEND } from '../protocol/types.ts'

const LIMIT = 1024 * 1024

/** The rows in a stretch of whole messages that comes in pieces. */
export class RowCollector {
  #pieces: Buffer[] = []
  #bytes = 0

  /** More of the answer. */
  add(bytes: Buffer): void {
    this.#bytes += bytes.length
    if (this.#bytes <= LIMIT) this.#pieces.push(bytes)
  }

  /** All rows. @throws ProtocolError where the answer is too long or malformed */
  rows(): (string | null)[][] {
    if (this.#bytes > LIMIT) throw new ProtocolError('answer too long')
    const rows: (string | null)[][] = []
    const reader = new Reader(Buffer.concat(this.#pieces))
    while (reader.left > 0) {
      const type = reader.uint8()
      const body = new Reader(reader.bytes(reader.int32() - 4))
      if (type === BACKEND.DataRow) rows.push(readRow(body))
    }
    return rows
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
