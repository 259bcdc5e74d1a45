/** What a client's transaction has set, as far as its server reports it, becomes what the client wants. */

import type { ServerConnection } from '../../server/connection.ts'
import type { ClientSession } from '../session.ts'
import { ENCODED_VALUE } from './remembered-state.ts'

/** A transaction of `session` has ended on `server`. What no other server can be given keeps the client there. */
export function adoptSettings(session: ClientSession, server: ServerConnection): void {
  session.local = undefined
  if (!server.effects.parametersChanged) return
  server.effects.parametersTaken()
  // What PostgreSQL says of them is waited for (release.ts); what is sent before that was not told.
  session.unsettled = true
  const { parameters, remembered } = session
  const changes = parameters.changes(server.settings)
  const shares = session.mode !== 'session'
  // Where nothing is asked any more, all of it is taken for the client's doing.
  const own = shares && !remembered.pinnedForGood ? remembered.attribute(server, changes) : changes
  if (!parameters.absorb(server.settings, true, own) && shares) session.pin('other', ENCODED_VALUE)
}
