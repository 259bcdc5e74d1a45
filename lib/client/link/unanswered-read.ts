/**
 * A read that was sent to a standby and that may be sent to the primary instead: until the first row, or the end of the
 * statement, the client is not told what comes before. Owned by pool-choice.ts.
 */

import { readError } from '../../protocol/error-response.ts'
import { BACKEND } from '../../protocol/types.ts'

const HEADER = 5
/** Bytes that are held back. */
const LIMIT = 16_384
/** What comes ahead of the rows, and is the same again from another server. */
const AHEAD: ReadonlySet<number> = new Set([
  BACKEND.ParseComplete,
  BACKEND.BindComplete,
  BACKEND.CloseComplete,
  BACKEND.ParameterDescription,
  BACKEND.RowDescription,
  BACKEND.NoData,
])

/**
 * Classes of errors that another server may not have: what is there on the primary already, what only a standby refuses, or
 * ends because of what it replays.
 */
const OF_A_STANDBY: ReadonlySet<string> = new Set(['0A', '25', '3F', '40', '42', '53', '55', '58', 'XX'])

/** One request, and the beginning of its answer. */
export class UnansweredRead {
  readonly request: Buffer
  #held: Buffer[] = []
  #bytes = 0
  /** The answer is an error that the primary may not have. */
  failed = false

  constructor(request: Buffer) {
    this.request = request
  }

  /** Hold `bytes` of the answer back; false where they are of the answer itself, or too many. */
  holds(bytes: Buffer): boolean {
    this.#bytes += bytes.length
    if (this.#bytes > LIMIT || !this.#isAhead(bytes)) return false
    this.#held.push(Buffer.from(bytes))
    return true
  }

  /** What was held back. */
  get held(): readonly Buffer[] {
    return this.#held
  }

  /** True where `bytes` are whole messages that come ahead of the rows, or such an error and its end. */
  #isAhead(bytes: Buffer): boolean {
    let at = 0
    while (at + HEADER <= bytes.length) {
      const type = bytes[at]!
      const end = at + 1 + bytes.readInt32BE(at + 1)
      if (end > bytes.length) return false
      if (type === BACKEND.ErrorResponse) {
        if (!OF_A_STANDBY.has(readError(bytes.subarray(at + HEADER, end)).sqlstate.slice(0, 2))) return false
        this.failed = true
      } else if (type === BACKEND.ReadyForQuery) {
        if (!this.failed) return false
      } else if (!AHEAD.has(type)) return false
      at = end
    }
    return at === bytes.length
  }
}
