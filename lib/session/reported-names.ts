/**
 * The names of the parameters a server reports, in lower case, which is how PostgreSQL compares them. They are the same
 * dozen on every server, and compared whenever one changes hands.
 */

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
