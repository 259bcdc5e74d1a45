/** What a reload changes: the difference of two configurations, split by what the running program can apply. Pure. */
import { isDeepStrictEqual } from 'node:util'
import {
  type Config,
  OPTION_NAMES,
  type OptionName,
  type OptionValues,
  optionRow,
  SCOPED_GROUPS,
  type ScopedGroup,
} from './options.ts'
import { camelCase } from './types.ts'

export interface ConfigDiff {
  /** Options that differ and take effect at once, in the order of the table. */
  changed: (OptionName | ScopedGroup)[]
  /** Options that differ and keep their old value until pgbun is started again. */
  needsRestart: OptionName[]
}

/** Compare the configuration in force with the next one. */
export function diffConfig(old: Config, next: Config): ConfigDiff {
  const diff: ConfigDiff = { changed: [], needsRestart: [] }
  for (const name of OPTION_NAMES) {
    const key = camelCase(name) as keyof OptionValues
    // Lists are the only values that are no primitives; a comma cannot be inside a part of one.
    if (String(old[key]) === String(next[key])) continue
    if (optionRow(name).reload) diff.changed.push(name)
    else diff.needsRestart.push(name)
  }
  for (const group of SCOPED_GROUPS) {
    if (!isDeepStrictEqual(old[group], next[group])) diff.changed.push(group)
  }
  return diff
}

/** `next`, with the values that need a restart kept from `old`: what is in force after the reload. */
export function applyReload(old: Config, next: Config): Config {
  const kept = diffConfig(old, next).needsRestart.map((name) => camelCase(name) as keyof Config)
  return Object.freeze({ ...next, ...Object.fromEntries(kept.map((key) => [key, old[key]])) })
}
