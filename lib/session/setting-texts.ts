/** What the texts of one transaction say about parameters, together. Pure. */

import { noteKept, noteResets, type SettingNames, settingNames } from './setting-names.ts'

/** More suspicious texts than this in one transaction are not read: everything is asked. */
export const TEXT_LIMIT = 16

/** Of no text. */
export const NO_NAMES: SettingNames = { names: [], complete: true, unreadable: false, resets: 'none', resetNames: [] }

/** What several texts say about parameters, one after the other. */
export function readNames(texts: readonly string[]): SettingNames {
  if (texts.length > TEXT_LIMIT) return { ...NO_NAMES, complete: false, resets: 'all' }
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
