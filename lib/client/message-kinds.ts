/** What can be told of a client's message by a look at its first bytes. */

import { RUN } from '../protocol/batch.ts'
import { FRONTEND } from '../protocol/types.ts'

/** Kind of a Describe or Close that names a statement. */
export const STATEMENT = 0x53

/** The text of a Query, of which `body` is whole. */
export function sqlOf(body: Buffer): string {
  return body.toString('latin1', 0, body.length - 1)
}

/** True for the body of a Bind of the unnamed statement: behind the portal's name there is an empty one. */
export function bindsUnnamed(body: Buffer): boolean {
  const portalEnd = body.indexOf(0)
  return portalEnd >= 0 && body[portalEnd + 1] === 0
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
  // Nearly every text is told by its first letter.
  const first = text[0]! | 0x20
  if (first !== 0x64 && first !== 0x20 && first !== 0x2f && first !== 0x2d && first > 0x20) return false
  return BEGINS_DEALLOCATING.test(text.toString('latin1', 0, 200))
}

const BEGINS_DEALLOCATING = /^(?:\s|--[^\n]*\n|\/\*.*?\*\/)*(?:deallocate|discard)\b/is

/** Words without which a text, of however many statements, deallocates nothing. */
export const DEALLOCATING = /\b(?:deallocate|discard)\b/i
