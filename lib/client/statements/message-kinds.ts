/** What can be told of a client's message by a look at its first bytes. */

import { type Batch, RUN } from '../../protocol/batch.ts'
import { FRONTEND } from '../../protocol/types.ts'
import { firstStatement } from '../../sql/tokens.ts'

/** Kind of a Describe or Close that names a statement. */
export const STATEMENT = 0x53

/** The text of message `i`, a Query that is whole. */
export function queryText(batch: Batch, i: number): string {
  return batch.buffer(i).toString('latin1', batch.start(i) + 5, batch.end(i) - 1)
}

/** True for the body of a Bind of the unnamed statement: behind the portal's name there is an empty one. */
export function bindsUnnamed(body: Buffer): boolean {
  const portalEnd = body.indexOf(0)
  return portalEnd >= 0 && body[portalEnd + 1] === 0
}

/** True for a Bind of the unnamed statement to the unnamed portal, which is what most are. */
export function bindsPlain(batch: Batch, i: number): boolean {
  const names = batch.start(i) + 5
  const bytes = batch.buffer(i)
  return names + 1 < batch.end(i) && bytes[names] === 0 && bytes[names + 1] === 0
}

/** What a Describe or Close is of: a statement or a portal. */
export function kindOf(batch: Batch, i: number): number | undefined {
  return batch.buffer(i)[batch.start(i) + 5]
}

/** True for the body of a Describe or Close of the unnamed statement. */
export function isUnnamed(body: Buffer): boolean {
  return body[0] === STATEMENT && body[1] === 0
}

/** True for what names no statement, and for what a COPY or a batch that failed must get to come to its end. */
export function passesBarrier(type: number): boolean {
  switch (type) {
    case RUN:
    case FRONTEND.CopyDone:
    case FRONTEND.CopyFail:
    case FRONTEND.Flush:
    case FRONTEND.Sync:
      return true
    default:
      return false
  }
}

/** True where a statement's text begins like one that deallocates statements. */
export function deallocates(text: Buffer): boolean {
  let at = 0
  while (isBlank(text[at]!)) at++
  // Nearly every text is told by its first letter.
  const first = text[at]! | 0x20
  if (first === 0x64) return BEGINS_DEALLOCATING.test(text.toString('latin1', at, at + 11))
  if (first !== SLASH && first !== MINUS && first !== SEMICOLON) return false
  const sql = text.toString('latin1', at)
  const start = firstStatement(sql)
  return start >= 0 && BEGINS_DEALLOCATING.test(sql.slice(start, start + 11))
}

const BEGINS_DEALLOCATING = /^(?:deallocate|discard)\b/i
const SLASH = 0x2f
const MINUS = 0x2d
const SEMICOLON = 0x3b

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)
}
