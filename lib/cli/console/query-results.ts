/**
 * The answer to a text of the simple query protocol (protocol chapter "Message Flow"): results with their columns and rows,
 * what was said beside them, and the error that ended it. Made of the bytes of the server's messages as they come, cut
 * anywhere. Pure.
 */
import { type ErrorSummary, readError } from '../../protocol/error-response.ts'
import { ProtocolError, Reader } from '../../protocol/reader.ts'
import { BACKEND } from '../../protocol/types.ts'

/** A column, and the type of its values by PostgreSQL's number. */
export interface ResultColumn {
  readonly name: string
  readonly type: number
}

/** The result of one statement. A command has no columns and no rows. */
export interface StatementResult {
  columns: ResultColumn[]
  rows: (string | null)[][]
  /** CommandComplete's, `SHOW` or `PAUSE`. */
  tag: string
}

/** Bytes of rows and notices that are kept: more than any console says. */
const LIMIT = 256 * 1024 * 1024
const HEADER = 5

/** Collects one answer. */
export class QueryResults {
  readonly results: StatementResult[] = []
  readonly notices: ErrorSummary[] = []
  error: ErrorSummary | undefined
  /** ReadyForQuery has come. */
  complete = false
  #open: StatementResult | undefined
  #pieces: Buffer[] = []
  #has = 0
  /** Bytes of which there must be at least so many until there is something to read. */
  #needs = HEADER
  #bytes = 0

  /** More bytes, which are good for this turn only. @throws ProtocolError */
  add(bytes: Buffer): void {
    this.#bytes += bytes.length
    if (this.#bytes > LIMIT) throw new ProtocolError(`the answer is longer than ${LIMIT / 1024 / 1024} MB`)
    this.#pieces.push(Buffer.from(bytes))
    this.#has += bytes.length
    if (this.#has < this.#needs) return
    const all = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces)
    let at = 0
    this.#needs = HEADER
    while (at + HEADER <= all.length) {
      const end = at + 1 + all.readInt32BE(at + 1)
      if (end > all.length) {
        this.#needs = end - at
        break
      }
      this.#take(all[at]!, all.subarray(at + HEADER, end))
      at = end
    }
    this.#has = all.length - at
    this.#pieces = this.#has === 0 ? [] : [all.subarray(at)]
  }

  #take(type: number, body: Buffer): void {
    // A server that shuts down says so behind its answer.
    if (this.complete) return
    switch (type) {
      case BACKEND.RowDescription:
        this.#open = { columns: readColumns(new Reader(body)), rows: [], tag: '' }
        return
      case BACKEND.DataRow:
        if (this.#open === undefined) throw new ProtocolError('a row without a description')
        this.#open.rows.push(readRow(new Reader(body), this.#open.columns.length))
        return
      case BACKEND.CommandComplete:
        this.results.push({ columns: [], rows: [], ...this.#open, tag: new Reader(body).cstring() })
        this.#open = undefined
        return
      case BACKEND.ErrorResponse:
        this.error ??= readError(body)
        return
      case BACKEND.NoticeResponse:
        this.notices.push(readError(body))
        return
      case BACKEND.ReadyForQuery:
        this.complete = true
    }
  }
}

function readColumns(body: Reader): ResultColumn[] {
  const columns: ResultColumn[] = []
  for (let count = body.int16(); count > 0; count--) {
    const name = body.cstring()
    body.bytes(6)
    columns.push({ name, type: body.int32() })
    body.bytes(8)
  }
  return columns
}

function readRow(body: Reader, width: number): (string | null)[] {
  if (body.int16() !== width) throw new ProtocolError('a row that does not fit its description')
  return Array.from({ length: width }, () => {
    const length = body.int32()
    return length < 0 ? null : body.bytes(length).toString('utf8')
  })
}
