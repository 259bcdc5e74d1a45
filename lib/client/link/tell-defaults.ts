/**
 * Tells a client what a server has otherwise than the client was told, in its greeting or with another server: a reload of
 * PostgreSQL's configuration, ALTER ROLE … SET, a failover or an upgrade may have changed it since, and a driver reads dates as
 * the last DateStyle it heard of. Called when a client gets a server, before anything else that server says.
 */

import type { Wire } from '../../net/wire.ts'
import { parameterStatus } from '../../protocol/build.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import type { Defaults } from '../../settings/server-defaults.ts'
import { reportedKey } from '../../sql/parameter-names.ts'

/** Who the session is decides it, where the client has asked to be somebody else. */
const SUPERUSER = 'is_superuser'

/**
 * Bring the client from what it was `told` up to the `defaults` of its server.
 * @param told undefined for a client that has not been greeted
 */
export function tellDefaults(
  wire: Wire,
  settings: ClientSettings,
  told: Defaults | undefined,
  defaults: Defaults,
): void {
  if (told === undefined) return
  for (const [name, value] of defaults) {
    const key = reportedKey(name)
    // What the client wants is set, whatever the default is.
    if (told.get(name) === value || settings.has(key) || (key === SUPERUSER && isOther(settings))) continue
    wire.write(parameterStatus(name, value))
  }
}

function isOther(parameters: ClientSettings): boolean {
  return parameters.has('role') || parameters.has('session_authorization')
}
