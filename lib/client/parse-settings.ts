/** Under which settings a client's statement is prepared, as part of its identity (session/statements). */

import type { ServerConnection } from '../server/connection.ts'
import type { ClientSession } from './session.ts'

/** The fingerprint of what `session` prepares on `server` now. */
export function parseSettings(session: ClientSession, server: ServerConnection): string {
  const { id, parameters, remembered } = session
  // Settings of a transaction under way are not the client's yet: what is prepared under them is not shared.
  const changed = server.touched || server.parametersChanged || remembered.suspected
  // A temporary table may hide another that the text names. Of one that stays for good nobody asks whether it has any.
  const own = changed || remembered.pinnedForGood || remembered.kinds.has('temporary')
  return own ? `${parameters.fingerprint}\0${id}` : parameters.fingerprint
}
