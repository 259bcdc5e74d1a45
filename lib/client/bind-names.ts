/** The names in front of a Bind, which decide whose statement it runs. Called by upstream.ts. */

import type { Batch } from '../protocol/batch.ts'
import { BIND_NAMES } from '../protocol/types.ts'

/** A Bind of which the names do not show: there is no telling whose statement it would run. */
export function hidesNames(batch: Batch, i: number): boolean {
  return batch.end(i) - batch.start(i) > BIND_NAMES && !showsNames(batch.bodyOf(i))
}

/** False where the two names in the `body` of a Bind, of which the beginning is there, are longer than is looked at. */
export function showsNames(body: Buffer): boolean {
  if (body.length <= BIND_NAMES) return true
  const portalEnd = body.indexOf(0)
  const end = portalEnd < 0 ? -1 : body.indexOf(0, portalEnd + 1)
  return end >= 0 && end < BIND_NAMES
}
