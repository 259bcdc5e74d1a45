/**
 * Errors that say that a shared statement is not what its client believes: prepared before tables, types or functions
 * were changed, which for a client that prepared it since is none of its business, or gone from the server. It is
 * prepared anew when it is needed next. Called by upstream.ts.
 */

import type { ErrorSummary } from '../protocol/error-response.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { Slot } from '../session/server-statements.ts'
import { now } from '../util/clock.ts'
import { StandIn } from './statement-refs.ts'

/** Whether the batch may be run again: `described` if the client asks for the columns in it. */
export type Repeatable = 'no' | 'described' | 'yes'

/** A value that does not fit is most likely the client's own fault: it counts once in so many ms. */
const DOUBT_PERIOD = 10_000

/** A Bind or Describe of `slot` failed with `error`. */
export function noteStale(server: ServerConnection, error: ErrorSummary, slot: Slot): Repeatable {
  if (slot instanceof StandIn) return 'no'
  const { sqlstate, routine } = error
  if (sqlstate === '26000' && routine === 'FetchPreparedStatement') {
    server.statements.doubt()
    return 'yes'
  }
  if (!showsChange(sqlstate, slot)) return 'no'
  slot.entry.generation++
  return sqlstate === '0A000' && routine === 'RevalidateCachedQuery' ? 'described' : 'no'
}

function showsChange(sqlstate: string, { entry }: Slot): boolean {
  switch (sqlstate.slice(0, 2)) {
    case '0A':
    case '42':
    case 'XX':
      // What somebody may do is looked at when a portal is made, and is in no plan.
      return sqlstate !== '42501'
    case '22':
      if (now() - entry.doubtedAt < DOUBT_PERIOD) return false
      entry.doubtedAt = now()
      return true
    default:
      return false
  }
}
