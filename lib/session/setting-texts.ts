/** What the texts of one transaction say about parameters, together. Pure. */

import { noteKept, noteResets, type SettingNames, settingNames } from './setting-names.ts'

/** More suspicious texts than this in one transaction are not read: everything is asked. */
export const TEXT_LIMIT = 16
/** Nor are longer ones, in UTF-16 units of all together: reading a long text takes its time, in which nobody is served. */
const LENGTH_LIMIT = 1 << 18
/** It may set a parameter of an application's, which PostgreSQL does not list. */
const SETS = /\bset(?:_config)?\b/i

/** Of no text. */
export const NO_NAMES: SettingNames = { names: [], complete: true, unreadable: false, resets: 'none', resetNames: [] }

/** What was read: the answer to each of a transaction's statements asks again. */
const known = new WeakMap<readonly string[], SettingNames>()

/** What several texts say about parameters, one after the other. The list is never changed. */
export function readNames(texts: readonly string[]): SettingNames {
  let found = known.get(texts)
  if (found === undefined) known.set(texts, (found = read(texts)))
  return found
}

function read(texts: readonly string[]): SettingNames {
  const length = texts.reduce((sum, text) => sum + text.length, 0)
  if (texts.length > TEXT_LIMIT || length > LENGTH_LIMIT) {
    const unreadable = length > LENGTH_LIMIT && texts.some((text) => SETS.test(text) && text.includes('.'))
    return { ...NO_NAMES, complete: false, unreadable, resets: 'all' }
  }
  if (texts.length === 1) return settingNames(texts[0]!)
  const names = new Set<string>()
  const resetNames = new Set<string>()
  let complete = true
  let unreadable = false
  let resets: SettingNames['resets'] = 'none'
  let kept = new Set<string>()
  for (const text of texts) {
    const found = settingNames(text)
    for (const name of found.names) names.add(name)
    complete &&= found.complete
    unreadable ||= found.unreadable
    noteResets(resetNames, found)
    if (found.resets === 'all') kept = new Set(found.keeps)
    else noteKept(kept, found)
    if (found.resets !== 'none' && resets !== 'all') resets = found.resets
  }
  return { names: [...names], complete, unreadable, resets, resetNames: [...resetNames], keeps: [...kept] }
}

/** True where the texts that say `names` take `name` back to its default. */
export function resets(names: SettingNames, name: string): boolean {
  if (names.resets === 'all') return !names.keeps?.includes(name)
  return names.resets === 'names' && names.resetNames.includes(name)
}
