/** What the texts of one transaction say about parameters, together. Pure. */

import { SqlFacts } from './facts.ts'
import { noteKept, noteResets, type SettingNames } from './setting-names.ts'

/** What a text says, or what several said one after the other. */
export type Said = SqlFacts | SettingNames

/** Of more suspicious texts than this in one transaction, it is kept what they say. */
const TEXT_LIMIT = 16
/** More names than these are not remembered. */
const NAME_LIMIT = 1000
/** Nor are longer ones, in UTF-16 units of all together: reading a long text takes its time, in which nobody is served. */
const LENGTH_LIMIT = 1 << 18
/** It may set a parameter of an application's, which PostgreSQL does not list. */
const SETS = /\bset(?:_config)?\b/i

/** Of no text. */
export const NO_NAMES: SettingNames = { names: [], complete: true, unreadable: false, resets: 'none', resetNames: [] }

/** What was read: the answer to each of a transaction's statements asks again. */
const known = new WeakMap<readonly Said[], SettingNames>()

/** `texts`, and the text of `facts` behind them. */
export function alsoSaid(texts: readonly Said[], facts: SqlFacts): readonly Said[] {
  return texts.length < TEXT_LIMIT ? [...texts, facts] : [readNames(texts), facts]
}

/** True where one of `texts` may set a limit of time that is short. */
export function maySetShortLimit(texts: readonly Said[]): boolean {
  return texts.some((text) => text instanceof SqlFacts && text.setsShortLimit)
}

/** True where one of `texts` may take something back to its default. */
export function mayReset(texts: readonly Said[]): boolean {
  return texts.some((text) => (text instanceof SqlFacts ? text.mayReset : text.resets !== 'none'))
}

/** What several texts say about parameters, one after the other. The list is never changed. */
export function readNames(texts: readonly Said[]): SettingNames {
  let found = known.get(texts)
  if (found === undefined) known.set(texts, (found = read(texts)))
  return found
}

function read(texts: readonly Said[]): SettingNames {
  const length = texts.reduce((sum, text) => sum + (text instanceof SqlFacts ? text.text.length : 0), 0)
  if (length > LENGTH_LIMIT) {
    const unreadable = texts.some((text) => {
      if (text instanceof SqlFacts) return SETS.test(text.text) && text.text.includes('.')
      return text.unreadable || text.names.length > 0
    })
    return { ...NO_NAMES, complete: false, unreadable, resets: 'all' }
  }
  if (texts.length === 1) return saidBy(texts[0]!)
  const names = new Set<string>()
  const resetNames = new Set<string>()
  let complete = true
  let unreadable = false
  let resets: SettingNames['resets'] = 'none'
  let kept = new Set<string>()
  for (const text of texts) {
    const found = saidBy(text)
    for (const name of found.names) if (names.size < NAME_LIMIT) names.add(name)
    if (names.size === NAME_LIMIT) unreadable = true
    complete &&= found.complete
    unreadable ||= found.unreadable
    noteResets(resetNames, found)
    if (found.resets === 'all') kept = new Set(found.keeps)
    else noteKept(kept, found)
    if (found.resets !== 'none' && resets !== 'all') resets = found.resets
  }
  return { names: [...names], complete, unreadable, resets, resetNames: [...resetNames], keeps: [...kept] }
}

function saidBy(text: Said): SettingNames {
  return text instanceof SqlFacts ? text.settings : text
}

/** True where the texts that say `names` take `name` back to its default. */
export function resets(names: SettingNames, name: string): boolean {
  if (names.resets === 'all') return !names.keeps?.includes(name)
  return names.resets === 'names' && names.resetNames.includes(name)
}
