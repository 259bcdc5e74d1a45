/**
 * Errors that say that a shared statement is not what its client believes: prepared before tables, types or functions
 * were changed, or gone from the server. Names given before keep what they stand for, as on a direct connection; whoever
 * prepares the text from then on has it parsed. A name whose Parse pgbun has answered by itself may have been given after
 * the change: as long as PostgreSQL has not confirmed it, it is parsed after all. Called by upstream.ts.
 */

import { errorFields } from '../../errors.ts'
import { errorResponse } from '../../protocol/build.ts'
import type { ErrorSummary } from '../../protocol/error-response.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import { Slot } from '../../statements/server-statements.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'
import { now } from '../../util/clock.ts'
import { ChangedResult, FirstUse, StandIn } from './statement-refs.ts'

/**
 * What is to be done about an error. `described`: the batch is run again if its client asks for the columns in it;
 * `again`: it is run again.
 */
export interface Remedy {
  readonly repeat: 'no' | 'described' | 'again'
  /** What its client is told anew where it is run again. */
  readonly entry: StatementEntry | undefined
  /** What the client is told where it is not run again, if not the server's own words. */
  readonly error: Buffer | undefined
}

const NOTHING: Remedy = { repeat: 'no', entry: undefined, error: undefined }
const AGAIN: Remedy = { repeat: 'again', entry: undefined, error: undefined }

/** A value that does not fit is most likely the client's own fault: it counts once in so many ms. */
const DOUBT_PERIOD = 10_000

/** SQLSTATE of what is provoked in the place of a Bind. */
const UNDEFINED_COLUMN = '42703'

/** The request with the plan data `ref` failed with `error`. */
export function remedyFor(server: ServerConnection, error: ErrorSummary, ref: PlanRef): Remedy {
  if (ref instanceof ChangedResult) return remedyForChanged(error, ref)
  const slot = ref instanceof FirstUse ? ref.slot : ref
  if (!(slot instanceof Slot) || slot instanceof StandIn) return NOTHING
  const { sqlstate, routine } = error
  if (sqlstate === '26000' && routine === 'FetchPreparedStatement') {
    server.statements.doubt()
    return AGAIN
  }
  const entry = slot.entry.twinOf ?? slot.entry
  if (!showsChange(sqlstate, entry)) return NOTHING
  entry.outdated = true
  // A change that was seen is one behind the Parse.
  if (ref instanceof FirstUse && server.statements.unaltered(entry)) {
    ref.refuted()
    return AGAIN
  }
  const changed = sqlstate === '0A000' && routine === 'RevalidateCachedQuery'
  return changed ? { repeat: 'described', entry, error: undefined } : NOTHING
}

function remedyForChanged({ sqlstate }: ErrorSummary, { entry }: ChangedResult): Remedy {
  // In a transaction that has failed before, or behind a cancel request, the server's own words stand.
  if (sqlstate !== UNDEFINED_COLUMN) return NOTHING
  const error = errorResponse(errorFields('changed_result'))
  return { repeat: entry === undefined ? 'no' : 'described', entry, error }
}

function showsChange(sqlstate: string, entry: StatementEntry): boolean {
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
