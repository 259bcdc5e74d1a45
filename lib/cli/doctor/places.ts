/** Where the databases of a configuration lead: one place for each section of databases, or one for all. Pure. */

import { type HostAddress, hostPort } from '../../config/hosts.ts'
import { ANY_DATABASE, type Config } from '../../config/options.ts'
import type { Target } from '../../pool/target.ts'
import { Routes } from '../../routing/routes.ts'
import type { SrvNames } from '../../routing/srv-names.ts'

/** What counts for one section of databases. */
export interface Place {
  /** Name of the section; ANY_DATABASE also where there are no sections. */
  readonly name: string
  /** For people. */
  readonly label: string
  /** Any database of a client may be one of these. */
  readonly any: boolean
  /** Names in PostgreSQL to try a login with, best first. */
  readonly databases: readonly string[]
  readonly target: Target
}

/** One host, and what leads to it. */
export interface HostPlaces {
  readonly host: HostAddress
  readonly places: Place[]
}

/** That every server has, unless somebody has dropped it. */
const USUAL_DATABASE = 'postgres'

/** The places of `config`; `srv` knows what its SRV names stand for. */
export function placesOf(config: Config, srv?: SrvNames): Place[] {
  const routes = new Routes(config, srv)
  const names = config.databases.size === 0 ? [ANY_DATABASE] : [...config.databases.keys()]
  return names.map((name) => {
    const target = routes.target(name)
    const any = name === ANY_DATABASE
    const guessed = any && target.database === ANY_DATABASE
    return {
      name,
      label: any ? (config.databases.size > 1 ? 'all other databases' : 'all databases') : `database "${name}"`,
      any,
      databases: guessed ? [USUAL_DATABASE, 'template1'] : [target.database],
      target,
    }
  })
}

/** The hosts of `places`, each once. */
export function hostsOf(places: readonly Place[]): HostPlaces[] {
  const hosts = new Map<string, HostPlaces>()
  for (const place of places) {
    for (const host of place.target.hosts) {
      const known = hosts.get(hostPort(host))
      if (known) known.places.push(place)
      else hosts.set(hostPort(host), { host, places: [place] })
    }
  }
  return [...hosts.values()]
}
