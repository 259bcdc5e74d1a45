/** The names in front of a Bind, which decide whose statement it runs. Called by upstream.ts. */

import { BIND_NAMES } from '../protocol/types.ts'

/** False where the two names in the `body` of a Bind, of which the beginning is there, are longer than is looked at. */
export function showsNames(body: Buffer): boolean {
  if (body.length <= BIND_NAMES) return true
  const portalEnd = body.indexOf(0)
  const end = portalEnd < 0 ? -1 : body.indexOf(0, portalEnd + 1)
  return end >= 0 && end < BIND_NAMES
}
