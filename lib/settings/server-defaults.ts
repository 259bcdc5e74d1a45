/**
 * What a new session has of the parameters a server reports, as a value: the servers of a pool mostly have the same, and
 * then it is the same object. Pure.
 */

import { BoundedMap } from '../util/bounded-map.ts'

/** Values by name as the server spells it. Nobody changes one. */
export type Defaults = ReadonlyMap<string, string>

const known = new BoundedMap<Defaults>(256)
/** Characters of those that are remembered; PostgreSQL's are some hundred. A server that lies may report megabytes. */
const MEMORABLE = 16_384

/** The defaults that `parameters` are now. */
export function defaultsOf(parameters: ReadonlyMap<string, string>): Defaults {
  let length = 0
  for (const [name, value] of parameters) length += name.length + value.length
  if (length > MEMORABLE) return new Map(parameters)
  const key = JSON.stringify([...parameters])
  let defaults = known.get(key)
  if (defaults === undefined) known.set(key, (defaults = new Map(parameters)))
  return defaults
}
