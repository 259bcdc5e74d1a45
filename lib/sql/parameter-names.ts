/**
 * Names of parameters: how they are compared, and which of them PostgreSQL takes for others. Pure.
 */

/** Old names, and those PostgreSQL lists them under (map_old_guc_names in its utils/misc/guc.c). */
const OLD: Readonly<Record<string, string>> = { sort_mem: 'work_mem', vacuum_mem: 'maintenance_work_mem' }

/** The name today of the parameter `key` (in lower case). */
export function nameToday(key: string): string {
  return Object.hasOwn(OLD, key) ? OLD[key]! : key
}

// ---- names that a server reports: the same dozen on every server, compared whenever a server changes hands ----

/** More names than all servers of this world report: from then on, they are not remembered. */
const LIMIT = 1000
const known = new Map<string, string>()

/** `name` in lower case. */
export function reportedKey(name: string): string {
  let key = known.get(name)
  if (key === undefined) {
    key = name.toLowerCase()
    if (known.size < LIMIT) known.set(name, key)
  }
  return key
}

/** How a server spells the parameter `key` (in lower case) among those it reports; undefined where it does not. */
export function spellingOf(reported: ReadonlyMap<string, string>, key: string): string | undefined {
  for (const name of reported.keys()) if (reportedKey(name) === key) return name
  return undefined
}
