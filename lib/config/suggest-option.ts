/** The remedy in "unknown option" messages, alike for files, environment, command line and library. */
import { nearestNames } from './nearest-name.ts'
import { OPTION_NAMES, optionRow } from './options.ts'

/**
 * What was probably meant by an unknown snake_case name, as a sentence; `otherwise` where nothing is near. `spell` gives
 * names the form of the place.
 */
export function suggestOption(
  key: string,
  spell: (name: string) => string = (name) => name,
  otherwise = '"pgbun config" lists all options',
): string {
  const ours = OPTION_NAMES.find((name) => optionRow(name).pgbouncer === key)
  if (ours) return `PgBouncer's ${key} is ${spell(ours)} here`
  const near = nearestNames(key, OPTION_NAMES)
  return near.length > 0 ? `Did you mean ${near.map(spell).join(' or ')}?` : otherwise
}
