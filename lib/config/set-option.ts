/** One option changed while pgbun runs (SET at the console). Pure. */

import { convertValue } from './convert.ts'
import { findOption, OPTION_NAMES, optionRow } from './options.ts'
import type { PoolerOptions } from './pooler-options.ts'
import { ConfigError } from './raw-value.ts'
import { suggestOption } from './suggest-option.ts'
import { camelCase } from './types.ts'

/**
 * The option `name`, by pgbun's or PgBouncer's name, with `value` as it would be written in a file.
 * @throws ConfigError where there is no such option, where it cannot be changed, or where it cannot have that value
 */
export function settingOf(name: string, value: string): PoolerOptions {
  const option = findOption(name) ?? OPTION_NAMES.find((other) => optionRow(other).pgbouncer === name)
  if (option === undefined) throw fault(name, `Unknown option. ${suggestOption(name)}`)
  if (!optionRow(option).reload)
    throw fault(name, 'Cannot change while pgbun runs: change its file, and start it again')
  const converted = convertValue(option, value, 'file')
  if ('message' in converted) throw fault(name, converted.message)
  return { [camelCase(option)]: converted.value }
}

function fault(where: string, message: string): ConfigError {
  return new ConfigError([{ where, message }])
}
