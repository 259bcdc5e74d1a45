/**
 * What a new session has of the parameters a server reports, as a value: the servers of a pool mostly have the same, and
 * then it is the same object. Pure.
 */

import { BoundedMap } from '../util/bounded-map.ts'

/** Values by name as the server spells it. Nobody changes one. */
export type Defaults = ReadonlyMap<string, string>

const known = new BoundedMap<Defaults>(256)

/** The defaults that `parameters` are now. */
export function defaultsOf(parameters: ReadonlyMap<string, string>): Defaults {
  const key = JSON.stringify([...parameters])
  let defaults = known.get(key)
  if (defaults === undefined) known.set(key, (defaults = new Map(parameters)))
  return defaults
}
