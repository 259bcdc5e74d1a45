/** What a reload changes: the difference of two configurations, split by what the running program can apply. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { Steps } from '../util/steps.ts'
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

/** General options that differ and keep their old value until pgbun is started again, in the order of the table. */
export function keptUntilRestart(old: Config, next: Config): OptionName[] {
  return differing(old, next).filter((name) => !optionRow(name).reload)
}

/** What differs and takes effect at once, in the order of the table. In steps: there may be thousands of sections. */
export function* changesOf(old: Config, next: Config): Steps<(OptionName | ScopedGroup)[]> {
  const changed: (OptionName | ScopedGroup)[] = differing(old, next).filter((name) => optionRow(name).reload)
  for (const group of SCOPED_GROUPS) if (yield* sectionsDiffer(old[group], next[group])) changed.push(group)
  return changed
}

/** `next`, with the values that need a restart kept from `old`: what is in force after the reload. */
export function applyReload(old: Config, next: Config): Config {
  const kept = keptUntilRestart(old, next).map((name) => camelCase(name) as keyof Config)
  return Object.freeze({ ...next, ...Object.fromEntries(kept.map((key) => [key, old[key]])) })
}

function differing(old: Config, next: Config): OptionName[] {
  return OPTION_NAMES.filter((name) => {
    const key = camelCase(name) as keyof OptionValues
    // Lists are the only values that are no primitives; a comma cannot be inside a part of one.
    return String(old[key]) !== String(next[key])
  })
}

function* sectionsDiffer(old: ReadonlyMap<string, object>, next: ReadonlyMap<string, object>): Steps<boolean> {
  if (old.size !== next.size) return true
  for (const [name, values] of next) {
    if (!isDeepStrictEqual(old.get(name), values)) return true
    yield
  }
  return false
}
