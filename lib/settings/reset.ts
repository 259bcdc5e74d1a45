/** The statements that leave a server as a new session would be. */

import { STATE_KIND_ROWS, STATE_KINDS } from '../sql/state-kinds.ts'

/** Does all there is, and deallocates every prepared statement. Not allowed together with other statements. */
export const DISCARD_ALL = 'DISCARD ALL'

/**
 * The same without deallocating, so that the statements shared by clients survive: for servers on which nobody used
 * SQL-level PREPARE. From the last kind to the first: who the session is decides what it may do, and cursors go before the
 * tables they read.
 */
export const KEEP_STATEMENTS = STATE_KIND_ROWS.toReversed()
  .flatMap(([, { cleanedBy }]) => cleanedBy)
  .filter((sql) => sql !== DISCARD_ALL)
  .join('; ')

/** For a server that holds nothing else of its last client. */
export const DISCARD_SEQUENCES = STATE_KINDS.sequence.cleanedBy.join('; ')

/** True where `sql` is DISCARD ALL and nothing else: what it leaves behind is known. */
export function isDiscardAll(sql: string): boolean {
  return /^\s*DISCARD\s+ALL\s*;?\s*$/i.test(sql)
}
