/**
 * Collects the answer to a query of the pooler's own: its rows, in text format, and what PostgreSQL said to the session's
 * owner in between. Small answers only: of rows that are more than a MB nothing is kept.
 */

import { ProtocolError, Reader } from '../protocol/reader.ts'
import { BACKEND } from '../protocol/types.ts'

const LIMIT = 1024 * 1024
/** Bytes of notices that are kept. */
const NOTICE_LIMIT = 16_384
const HEADER = 5

/** The messages of one answer, which come in pieces. */
export class QueryResult {
  #rows: Buffer[] = []
  #notifications: Buffer[] = []
  #notices: Buffer[] = []
  #noticeBytes = 0
  #bytes = 0
  /** What is there of the message under way: its header first, then all of it where it is kept. */
  #pieces: Buffer[] = []
  #has = 0
  /** Bytes of it that have not come yet, once its header is known. */
  #rest = 0

  /** More of the answer. What is kept is copied: the chunk it lies in is good for this turn only. */
  add(bytes: Buffer): void {
    for (let at = this.#whole(bytes); at < bytes.length; ) {
      const missing = this.#rest > 0 ? this.#rest : HEADER - this.#has
      const piece = bytes.subarray(at, at + missing)
      at += piece.length
      if (this.#rest > 0) {
        this.#rest -= piece.length
        if (this.#pieces.length > 0) this.#pieces.push(Buffer.from(piece))
      } else {
        this.#pieces.push(Buffer.from(piece))
        this.#has += piece.length
        if (this.#has === HEADER) this.#begin()
      }
      if (this.#rest === 0 && this.#has === HEADER) this.#end()
    }
  }

  /** Take the messages at the beginning of `bytes` that are whole, which is mostly all; returns where the first is not. */
  #whole(bytes: Buffer): number {
    let at = 0
    if (this.#has > 0) return at
    while (at + HEADER <= bytes.length) {
      const type = bytes[at]
      const end = at + 1 + bytes.readInt32BE(at + 1)
      if (end > bytes.length) break
      if (type === BACKEND.DataRow) {
        this.#bytes += end - at - HEADER
        if (!this.tooLong) this.#rows.push(Buffer.from(bytes.subarray(at, end)))
      } else if (type === BACKEND.NotificationResponse) this.#notifications.push(Buffer.from(bytes.subarray(at, end)))
      else if (type === BACKEND.NoticeResponse && this.#keeps(end - at)) {
        this.#notices.push(Buffer.from(bytes.subarray(at, end)))
      }
      at = end
    }
    return at
  }

  /** The header of a message is there. */
  #begin(): void {
    const header = Buffer.concat(this.#pieces)
    this.#rest = header.readInt32BE(1) + 1 - HEADER
    if (header[0] === BACKEND.DataRow) this.#bytes += this.#rest
    const kept =
      header[0] === BACKEND.NotificationResponse ||
      (header[0] === BACKEND.DataRow && !this.tooLong) ||
      (header[0] === BACKEND.NoticeResponse && this.#keeps(this.#rest))
    this.#pieces = kept ? [header] : []
  }

  /** A message is complete. */
  #end(): void {
    if (this.#pieces.length > 0) {
      const message = Buffer.concat(this.#pieces)
      if (message[0] === BACKEND.DataRow) this.#rows.push(message)
      else if (message[0] === BACKEND.NoticeResponse) this.#notices.push(message)
      else this.#notifications.push(message)
    }
    this.#pieces = []
    this.#has = 0
  }

  /** The query is run again. */
  forgetRows(): void {
    this.#rows = []
    this.#bytes = 0
    this.#notices = []
    this.#noticeBytes = 0
  }

  /** There was more than is kept: the rows cannot be read. */
  get tooLong(): boolean {
    return this.#bytes > LIMIT
  }

  /**
   * NotificationResponse messages that came meanwhile: they are for the client that listens. Those of the process `own`
   * are its own, and bear its number `pid`.
   */
  notifications(own: number, pid: number): readonly Buffer[] {
    for (const message of this.#notifications) if (message.readInt32BE(5) === own) message.writeInt32BE(pid, 5)
    return this.#notifications
  }

  /** NoticeResponse messages that came meanwhile, as far as they are kept. */
  notices(): readonly Buffer[] {
    return this.#notices
  }

  #keeps(bytes: number): boolean {
    this.#noticeBytes += bytes
    return this.#noticeBytes <= NOTICE_LIMIT
  }

  /** All rows. @throws ProtocolError where the answer is too long or malformed */
  rows(): (string | null)[][] {
    if (this.tooLong) throw new ProtocolError('answer too long')
    return this.#rows.map((message) => readRow(new Reader(message.subarray(HEADER))))
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
