/**
 * Which parameters a statement sets or resets, read from its text. Only the names: what they are set to, PostgreSQL is
 * asked. A text that does not say is answered by asking for all that is set (which leaves out parameters of extensions
 * and applications, `app.tenant`, that PostgreSQL does not list: those are looked for in any text).
 */

import { setConfigCalls } from './leaving-state.ts'

/** What a text says about parameters. */
export interface SettingNames {
  /** Names found, in lower case. */
  names: string[]
  /** These are all there can be. Otherwise PostgreSQL must be asked for everything set. */
  complete: boolean
  /** It sets a parameter whose name cannot be read: set_config() with a computed name, letters outside of ASCII. */
  unreadable: boolean
  /** It takes parameters back to what they were at login: those of `names`, or all of them. */
  resets: 'none' | 'names' | 'all'
}

const NOTHING: SettingNames = { names: [], complete: true, unreadable: false, resets: 'none' }
const EVERYTHING: SettingNames = { names: [], complete: false, unreadable: false, resets: 'none' }

const COMMENTS = /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)+/
/** One part of a name, quoted or not; PostgreSQL takes letters outside of ASCII, and white space around the dot. */
const PART = '(?:"[^"]+"|[a-z_\\x80-\\uffff][\\w$\\x80-\\uffff]*)'
const DOT = '\\s*\\.\\s*'
const PLAIN_SET = new RegExp(
  `^(?:set\\s+(?:session\\s+)?|reset\\s+)(${PART}(?:${DOT}${PART})*)(?:\\s*(?:=|\\bto\\b)|\\s*;?\\s*$)`,
  'i',
)
/** Forms of SET that name their parameter otherwise, and what that is. */
const SPECIAL: readonly (readonly [RegExp, SettingNames])[] = [
  [/^(?:set|reset)\s+local\b|^set\s+(?:transaction|constraints)\b/i, NOTHING],
  // Reported by PostgreSQL itself when they change.
  [/^reset\s+time\s+zone\b|^set\s+(?:session\s+)?time\s+zone\s+(?:default|local)\b/i, reset('timezone')],
  [/^set\s+(?:session\s+)?(?:time\s+zone|names)\b/i, NOTHING],
  [/^reset\s+role\b/i, reset('role')],
  [/^reset\s+session\s+authorization\b/i, reset('session_authorization', 'role')],
  [/^set\s+(?:session\s+)?role\b/i, only('role')],
  [/^(?:set|reset)\s+(?:session\s+)?session\s+authorization\b/i, only('session_authorization', 'role')],
  [/^set\s+(?:session\s+)?schema\b/i, only('search_path')],
  [/^set\s+(?:session\s+)?xml\s+option\b/i, only('xmloption')],
  [/^reset\s+all\s*;?\s*$|^discard\s+all\s*;?\s*$/i, { ...EVERYTHING, resets: 'all' }],
]
const CUSTOM_SET = new RegExp(`\\b(?:set|reset)\\s+(?:session\\s+)?(${PART}(?:${DOT}${PART})+)`, 'gi')
const INNER_COMMENTS = /--[^\n]*|\/\*[\s\S]*?\*\//g
const SET_CONFIG = /\bset_config\s*\(\s*(?:'([^']+)'\s*(?:::\s*text\s*)?,|)/gi

/** Words without which a text takes nothing back to its default. */
export const RESETTING = /\b(?:reset|discard|default)\b/i

/** What `text` says. */
export function settingNames(text: string): SettingNames {
  const sql = text.replace(COMMENTS, '')
  if (!/;\s*\S/.test(sql)) {
    for (const [pattern, answer] of SPECIAL) if (pattern.test(sql)) return answer
    const name = PLAIN_SET.exec(sql)?.[1]
    if (name !== undefined && !/^(?:session|all)$/i.test(name)) {
      const key = plain(name)
      if (key === undefined) return { ...EVERYTHING, unreadable: true }
      return /^reset\b/i.test(sql) || /\bdefault\s*;?\s*$/i.test(sql) ? reset(key) : only(key)
    }
  }
  return search(sql)
}

/** Names anywhere in a text of any form. */
function search(sql: string): SettingNames {
  const calls = setConfigCalls(sql)
  if (calls !== undefined) {
    const lasting = calls.filter(({ local }) => !local)
    const named = lasting.flatMap(({ name }) => (name === undefined ? [] : (plain(name) ?? [])))
    const unreadable = named.length < lasting.length
    return { names: [...new Set(named)], complete: !unreadable, unreadable, resets: 'none' }
  }
  const names: string[] = []
  let unreadable = false
  const add = (name: string): void => {
    const key = plain(name)
    if (key === undefined) unreadable = true
    else names.push(key)
  }
  // With and without what looks like a comment: it may be one, or stand in a string.
  const uncommented = sql.replace(INNER_COMMENTS, ' ')
  for (const text of uncommented === sql ? [sql] : [sql, uncommented]) {
    for (const match of text.matchAll(CUSTOM_SET)) add(match[1]!)
  }
  for (const match of sql.matchAll(SET_CONFIG)) {
    if (match[1] === undefined) unreadable = true
    else add(match[1])
  }
  if (/\brole\b/i.test(sql)) names.push('role')
  return {
    names: [...new Set(names)],
    complete: false,
    unreadable,
    resets: RESETTING.test(sql) ? 'all' : 'none',
  }
}

/**
 * A name as written, without quotes and white space, in lower case; undefined where it has other letters than ASCII's:
 * what they are depends on the client's encoding.
 */
function plain(name: string): string | undefined {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
  return /[^\x00-\x7f]/.test(name) ? undefined : name.replace(/["\s]/g, '').toLowerCase()
}

function only(...names: string[]): SettingNames {
  return { names, complete: true, unreadable: false, resets: 'none' }
}

function reset(...names: string[]): SettingNames {
  return { names, complete: true, unreadable: false, resets: 'names' }
}
