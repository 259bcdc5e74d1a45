/**
 * Tells a client what a server has otherwise than the client was told, in its greeting or with another server: a reload of
 * PostgreSQL's configuration, ALTER ROLE … SET or a failover may have changed it since, and a driver reads dates as the last
 * DateStyle it heard of. Called when a client gets a server, before anything else that server says.
 */

import { parameterStatus } from '../protocol/build.ts'
import type { ServerConnection } from '../server/connection.ts'
import { reportedKey } from '../session/reported-names.ts'
import type { ClientSession } from './session.ts'

/** Of the server and its user: a session is not told of them again. */
const FACTS = new Set([
  'server_version',
  'server_encoding',
  'integer_datetimes',
  'is_superuser',
  'session_authorization',
])

/** Bring what `session` was told up to what holds on `server`. */
export function tellDefaults(session: ClientSession, { defaults }: ServerConnection): void {
  const { told, parameters } = session
  session.told = defaults
  if (told === undefined) return
  for (const [name, value] of defaults) {
    const key = reportedKey(name)
    // What the client wants is set, whatever the default is.
    if (told.get(name) === value || parameters.has(key) || FACTS.has(key)) continue
    session.wire.write(parameterStatus(name, value))
  }
}
