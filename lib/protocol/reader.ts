/**
 * Reads fields out of a message body with every step checked: a body that is too short or has an unterminated string
 * is a ProtocolError, never a read beyond it (R6, R20).
 */

/** The peer broke the protocol. `message` says how, without quoting what it sent. */
export class ProtocolError extends Error {
  override name = 'ProtocolError'
}

/** Cursor over one message body. */
export class Reader {
  readonly #buf: Buffer
  #pos = 0

  constructor(body: Buffer) {
    this.#buf = body
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#buf.length - this.#pos
  }

  int16(): number {
    this.#check(2)
    const value = this.#buf.readInt16BE(this.#pos)
    this.#pos += 2
    return value
  }

  int32(): number {
    this.#check(4)
    const value = this.#buf.readInt32BE(this.#pos)
    this.#pos += 4
    return value
  }

  /** A null-terminated string, as UTF-8. */
  cstring(): string {
    const end = this.#buf.indexOf(0, this.#pos)
    if (end < 0) throw new ProtocolError('unterminated string')
    const value = this.#buf.toString('utf8', this.#pos, end)
    this.#pos = end + 1
    return value
  }

  /** `length` bytes as a view; copy what outlives the tick. */
  bytes(length: number): Buffer {
    this.#check(length)
    const value = this.#buf.subarray(this.#pos, this.#pos + length)
    this.#pos += length
    return value
  }

  /** All that is left, as a view. */
  rest(): Buffer {
    return this.bytes(this.left)
  }

  #check(length: number): void {
    if (length < 0 || length > this.left) throw new ProtocolError('message too short')
  }
}
