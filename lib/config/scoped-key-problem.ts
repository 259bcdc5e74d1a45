/** What is wrong with a key that cannot be set for one database or user, alike for files and the library. */

import { nearestNames } from './nearest-name.ts'
import { findOption, SCOPED_GROUPS, type ScopedGroup, scopedNames } from './options.ts'
import { suggestOption } from './suggest-option.ts'

/** Names that are written in another way for one database. */
const IN_DATABASES: Readonly<Record<string, string>> = { server_host: 'host', server_port: 'port' }

/**
 * The problem of `key`, in snake_case, in `section` of `group`, with its remedy.
 * @param spell gives names the form of the place
 */
export function scopedKeyProblem(
  group: ScopedGroup,
  key: string,
  section: string,
  spell: (name: string) => string,
): string {
  const shown = `'${spell(key)
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 80)}'`
  const other = SCOPED_GROUPS.find((any) => any !== group)!
  const name = findOption(key)
  if (group === 'databases' && Object.hasOwn(IN_DATABASES, key)) {
    return `${shown} is called ${spell(IN_DATABASES[key]!)} in ${section}`
  }
  if (name !== undefined || (scopedNames(other) as string[]).includes(key)) {
    const there = (scopedNames(other) as string[]).includes(name ?? key) ? `. It can be set in [${other}.NAME]` : ''
    return `${shown} cannot be set in ${section}${there || ': it counts for all of pgbun'}`
  }
  const near = nearestNames(key, scopedNames(group))
  const known = scopedNames(group).map(spell).join(', ')
  const remedy =
    near.length > 0
      ? `Did you mean ${near.map(spell).join(' or ')}?`
      : suggestOption(key, spell, `What can be set there: ${known}`)
  return `Unknown key ${shown} in ${section}. ${remedy}`
}
