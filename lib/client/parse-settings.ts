/** Under which settings a client's statement is prepared, as part of its identity (session/statements). */

import type { ServerConnection } from '../server/connection.ts'
import type { ClientSession } from './session.ts'

/** The fingerprint of what `session` prepares on `server` now. */
export function parseSettings(session: ClientSession, server: ServerConnection): string {
  const { id, parameters } = session
  // Settings of a transaction under way are not the client's yet: what is prepared under them is not shared.
  const changed = server.touched || server.parametersChanged || session.remembered.suspected
  return changed ? `${parameters.fingerprint}\0${id}` : parameters.fingerprint
}
