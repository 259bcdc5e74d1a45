/** The remedy in "unknown option" messages, alike for files, environment, command line and library. */
import { nearestName } from './nearest-name.ts'
import { OPTION_NAMES, optionRow } from './options.ts'

/** What was probably meant by an unknown snake_case name, as a sentence. `spell` gives names the form of the place. */
export function suggestOption(key: string, spell: (name: string) => string = (name) => name): string {
  const ours = OPTION_NAMES.find((name) => optionRow(name).pgbouncer === key)
  if (ours) return `PgBouncer's ${key} is ${spell(ours)} here`
  const near = nearestName(key, OPTION_NAMES)
  return near ? `Did you mean ${spell(near)}?` : '"pgbun config" lists all options'
}
