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

/** What is so of one host, and no difference to a client that is served by several (read-routing.ts). */
const OF_HOST = 'in_hot_standby'

/** Who the session is decides it, where the client has asked to be somebody else. */
const SUPERUSER = 'is_superuser'

/** What one client was told. */
export class ToldDefaults {
  readonly #wire: Wire
  readonly #settings: ClientSettings
  /** Values of reported parameters, but for those of the client's own; undefined before its greeting. */
  #told: Defaults | undefined

  constructor(wire: Wire, settings: ClientSettings) {
    this.#wire = wire
    this.#settings = settings
  }

  /** The version of its server; undefined before the greeting. */
  get serverVersion(): string | undefined {
    return this.#told?.get('server_version')
  }

  /** The client has been told of these values: in its greeting, or by the server that had them. */
  heard(told: Defaults): void {
    this.#told = told
  }

  /**
   * The client gets a server with these `defaults`: tell it of those that it does not know.
   * @param varies its requests may be served by other hosts
   */
  tell(defaults: Defaults, varies: boolean): void {
    const told = this.#told
    if (told === defaults) return
    this.#told = defaults
    if (told === undefined) return
    const settings = this.#settings
    for (const [name, value] of defaults) {
      if (varies && name === OF_HOST) continue
      const key = reportedKey(name)
      // What the client wants is set, whatever the default is.
      if (told.get(name) === value || settings.has(key) || (key === SUPERUSER && isOther(settings))) continue
      this.#wire.write(parameterStatus(name, value))
    }
  }
}

function isOther(parameters: ClientSettings): boolean {
  return parameters.has('role') || parameters.has('session_authorization')
}
