/** How a server is asked something by pgbun while its client waits. */

import type { InternalQueryResult } from '../../server/internal-query.ts'

/** Asks a server something, unless nothing need be asked: then it returns true, and does not call `done`. */
export type Ask = (done: (result: InternalQueryResult) => void) => boolean
