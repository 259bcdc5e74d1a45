/**
 * Environment variables PGBUN_<NAME> -> the values in them.
 *
 * An unknown PGBUN_* variable is a warning, not an error: Kubernetes makes PGBUN_SERVICE_HOST and PGBUN_PORT_6432_TCP
 * by itself for a service called pgbun. An empty variable counts as unset unless the option is a text, because compose
 * files pass on variables that nobody has set.
 */
import { findOption, type OptionName, optionRow } from './options.ts'
import type { RawValues } from './raw-value.ts'
import { suggestOption } from './suggest-option.ts'

/** Made by orchestrators for services named pgbun or pgbun-…, read by pgbun's own tests, or the name of the file. */
const NOT_OPTIONS = /^PGBUN_(TEST_|CONFIG$|PORT$|([A-Z0-9_]+_)?(SERVICE_(HOST|PORT)|PORT_\d+_(TCP|UDP))(_|$))/

/** pool_mode -> PGBUN_POOL_MODE */
export function environmentName(name: string): string {
  return `PGBUN_${name.toUpperCase()}`
}

/** The options found in `env`. Never throws. */
export function readEnvironment(env: Readonly<Record<string, string | undefined>>): RawValues {
  const found: RawValues = { values: [], problems: [], warnings: [] }
  const seen = new Map<OptionName, string>()
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith('PGBUN_') || value === undefined) continue
    const key = variable.slice('PGBUN_'.length).toLowerCase()
    const name = variable === variable.toUpperCase() ? findOption(key) : undefined
    if (name === undefined) {
      if (NOT_OPTIONS.test(variable)) continue
      found.warnings.push({
        where: variable,
        message: `Unknown variable, ignored. ${suggestOption(key, environmentName)}`,
      })
      continue
    }
    const { kind } = optionRow(name)
    if (value === '' && kind !== 'string' && kind !== 'file' && kind !== 'list') continue
    const other = seen.get(name)
    if (other !== undefined) {
      found.problems.push({ where: variable, message: `${other} is the same option. Keep one of them` })
      continue
    }
    seen.set(name, variable)
    found.values.push({ name, value, source: { kind: 'environment', where: variable } })
  }
  return found
}
