/** Takes the values that sequences gave to others from a server, in front of what its client sends next. */

import { query } from '../protocol/build.ts'
import { QUERY, SKIP } from '../replies/reply-kinds.ts'
import { DISCARD_SEQUENCES } from '../settings/reset.ts'
import { mayWait, OWN_TRANSACTION } from '../settings/settings-sql.ts'
import type { ServerConnection } from './connection.ts'
import type { PlanRef } from './ports.ts'

const FORGET_SEQUENCES = query(DISCARD_SEQUENCES)
const FORGET_AT_ONCE = query(OWN_TRANSACTION + DISCARD_SEQUENCES)
const FORGETTING: PlanRef = { answered() {}, dropped() {} }

/**
 * Take from `server` the values sequences gave to others, in front of what client `id` sends next: that cannot fail, so
 * that nobody need wait for its answer.
 */
export function forgetSequences(server: ServerConnection, id: number): void {
  server.plan.expect(QUERY, SKIP, FORGETTING)
  server.content.unnamedGone()
  server.send(mayWait(server.settings) ? FORGET_AT_ONCE : FORGET_SEQUENCES)
  server.content.sequencesForgotten(id)
}

/** True while that is what `server` answers next: a cancel request would have it fail. */
export function forgetsSequences(server: ServerConnection): boolean {
  return server.plan.ref === FORGETTING
}
