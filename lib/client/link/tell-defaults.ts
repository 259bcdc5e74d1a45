/**
 * Tells a client what a server has otherwise than the client was told, in its greeting or with another server: a reload of
 * PostgreSQL's configuration, ALTER ROLE … SET, a failover or an upgrade may have changed it since, and a driver reads dates as
 * the last DateStyle it heard of. Called when a client gets a server, before anything else that server says.
 */

import { parameterStatus } from '../../protocol/build.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import { reportedKey } from '../../sql/parameter-names.ts'
import type { ClientSession } from '../session.ts'

/** Who the session is decides it, where the client has asked to be somebody else. */
const SUPERUSER = 'is_superuser'

/** Bring what `session` was told up to what holds on `server`. */
export function tellDefaults(session: ClientSession, { settings }: ServerConnection): void {
  const { defaults } = settings
  const { told, parameters } = session
  session.told = defaults
  if (told === undefined) return
  for (const [name, value] of defaults) {
    const key = reportedKey(name)
    // What the client wants is set, whatever the default is.
    if (told.get(name) === value || parameters.has(key) || (key === SUPERUSER && isOther(parameters))) continue
    session.wire.write(parameterStatus(name, value))
  }
}

function isOther(parameters: ClientSettings): boolean {
  return parameters.has('role') || parameters.has('session_authorization')
}
