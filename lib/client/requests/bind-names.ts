/** The names in front of a Parse or a Bind, which decide whose statement it is. Called by upstream.ts. */

import { type Batch, LAST } from '../../protocol/batch.ts'
import { FRONTEND } from '../../protocol/types.ts'

/** A Parse or Bind of which the names do not show, because they are too long: there is no telling whose statement it is. */
export function hidesNames(batch: Batch, i: number): boolean {
  // What is wrong with a whole one, PostgreSQL says.
  if ((batch.flags(i) & LAST) !== 0) return false
  return !showsNames(batch.bodyOf(i), batch.type(i) === FRONTEND.Bind ? 2 : 1)
}

/** True where the `count` names at the beginning of `body` are there. */
export function showsNames(body: Buffer, count: number): boolean {
  let at = -1
  for (let found = 0; found < count; found++) {
    at = body.indexOf(0, at + 1)
    if (at < 0) return false
  }
  return true
}
