/**
 * The fingerprint of the text in a message of a batch, found once: who decides how a request is sent asks for it, and who
 * counts it.
 */

import type { Batch } from '../../protocol/batch.ts'
import { type Fingerprint, fingerprintOf } from '../../sql/fingerprint.ts'

/** That of the text from `from` to `to` of the buffer of message `i`. */
export function fingerprintIn(batch: Batch, i: number, from: number, to: number): Fingerprint {
  const known = knownFingerprint(batch, i)
  if (known !== undefined) return known
  const fingerprint = fingerprintOf(batch.buffer(i), from, to)
  batch.note(i, fingerprint)
  return fingerprint
}

/** That of the text in message `i`, if somebody has asked for it. */
export function knownFingerprint(batch: Batch, i: number): Fingerprint | undefined {
  return batch.noteOf(i) as Fingerprint | undefined
}
