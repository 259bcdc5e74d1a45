/**
 * Which errors say that a shared statement is not what its client believes: prepared before tables, types or functions
 * were changed, which for a client that prepared it since is none of its business, or gone from the server. It is
 * prepared anew when it is needed next. Pure but for the clock. Called by upstream.ts.
 */

import type { ErrorSummary } from '../protocol/error-response.ts'
import type { Slot } from '../session/server-statements.ts'
import { now } from '../util/clock.ts'

/** `other`: the error is no such. */
export type Staleness = 'result' | 'definition' | 'gone' | 'other'

/** A value that does not fit is most likely the client's own fault: it counts once in so many ms. */
const DOUBT_PERIOD = 10_000

/** What `error`, the answer to a Bind or Describe of `slot`, says of the statement. */
export function stalenessOf(error: ErrorSummary, slot: Slot): Staleness {
  const { sqlstate, routine } = error
  if (sqlstate === '26000' && routine === 'FetchPreparedStatement') return 'gone'
  if (sqlstate === '0A000' && routine === 'RevalidateCachedQuery') return 'result'
  switch (sqlstate.slice(0, 2)) {
    case '0A':
    case '42':
    case 'XX':
      // What somebody may do is looked at when a portal is made, and is in no plan.
      return sqlstate === '42501' ? 'other' : 'definition'
    case '22':
      if (now() - slot.entry.doubtedAt < DOUBT_PERIOD) return 'other'
      slot.entry.doubtedAt = now()
      return 'definition'
    default:
      return 'other'
  }
}
