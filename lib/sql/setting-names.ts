/**
 * Which parameters a statement sets or resets, read from its text. Only the names: what they are set to, PostgreSQL is
 * asked. A text that does not say is answered by asking for all that is set (which leaves out parameters of extensions
 * and applications, `app.tenant`, that PostgreSQL does not list: those are looked for in any text).
 */

import { settingsOfFunctions } from './known-functions.ts'
import { setConfigCalls } from './lasting-state.ts'
import { nameToday } from './parameter-names.ts'
import { IDENTIFIER_BYTES, isWord, splitStatements, type Token } from './tokens.ts'

/** What a text says about parameters. */
export interface SettingNames {
  /** Names found, in lower case. */
  readonly names: readonly string[]
  /** These are all there can be. Otherwise PostgreSQL must be asked for everything set. */
  readonly complete: boolean
  /** It sets a parameter whose name cannot be read: set_config() with a computed name, letters outside of ASCII. */
  readonly unreadable: boolean
  /** It takes parameters back to what they were at login: those of `resetNames`, or all of them. */
  readonly resets: 'none' | 'names' | 'all'
  readonly resetNames: readonly string[]
  /** Those it sets behind a reset of all. */
  readonly keeps?: readonly string[]
}

/** Of what resets nothing, or everything. */
const NONE: readonly string[] = []
const ALL: Pick<SettingNames, 'resets' | 'resetNames'> = { resets: 'all', resetNames: NONE }

const NOTHING: SettingNames = { names: [], complete: true, unreadable: false, resets: 'none', resetNames: NONE }
const EVERYTHING: SettingNames = { names: [], complete: false, unreadable: false, resets: 'none', resetNames: NONE }

/** Words without which a text takes nothing back to its default; among them SET NAMES without one. */
export const RESETTING = /\b(?:(?:reset|discard|default|zone\s+local)\b|names\s*(?:[;\0]|$))/i

/** Statements in which DEFAULT is that of a column. */
const WRITING = new Set(['alter', 'copy', 'create', 'delete', 'insert', 'merge', 'update'])
/** What a special form of SET ends with where it resets. */
const DEFAULTS = new Set(['default', 'local'])
/** Words of a name written with escapes, which may be any other name. */
const ESCAPED_NAME = /u&"/i

// Each of these patterns takes a time that grows with the length of the text, and no faster: texts are long.
/** One part of a name, quoted or not; PostgreSQL takes letters outside of ASCII, and white space around the dot. */
const PART = '(?:"[^"]+"|[a-z_\\x80-\\uffff][\\w$\\x80-\\uffff]*)'
const CUSTOM_SET = new RegExp(
  `\\b(?:set|reset)\\s+(?:session\\s+)?(${PART}(?:\\s*\\.\\s*${PART})+|"[^".]+\\.[^"]+")`,
  'gi',
)
const SET_CONFIG = /\bset_config\s*\(\s*(?:'([^']+)'\s*(?:::\s*text\s*)?,|)/gi
/** Each of these is a call, as far as is known: also in quotes, and with a comment behind it. */
const SET_CONFIG_WORD = /\bset_config\b/gi
const COMMENT_MARK = /--|\/\*|\*\//g
const LINE_END = /[\n\r]|$/g

/** What PostgreSQL takes in no name. */
const NO_NAME = /[^\w$\x80-\uffff]/

/** What `text` says; nobody may change it. */
export function settingNames(text: string): SettingNames {
  const statements = splitStatements(text)
  const escaped = ESCAPED_NAME.test(text)
  if (statements?.length === 1 && !escaped) {
    const found = ofStatement(statements[0]!)
    if (found !== undefined) return found
  }
  const found = search(text, statements)
  return escaped ? { ...found, complete: false, unreadable: true } : found
}

/** What a statement of SET, RESET or DISCARD says; undefined for any other. */
function ofStatement(tokens: readonly Token[]): SettingNames | undefined {
  const [first] = tokens
  if (isWord(first, 'set')) {
    const at = isWord(tokens[1], 'session') && !isDot(tokens[2]) ? 2 : 1
    return setOf(tokens, at)
  }
  if (isWord(first, 'reset')) return resetOf(tokens)
  if (isWord(first, 'discard')) return isWord(tokens[1], 'all') ? { ...EVERYTHING, resets: 'all' } : NOTHING
  return undefined
}

/** SET or SET SESSION, of which the words from `at` on say what. */
function setOf(tokens: readonly Token[], at: number): SettingNames | undefined {
  const { name, end } = readName(tokens, at)
  const is = (...words: string[]): boolean => words.every((word, i) => isWord(tokens[at + i], word))
  const assigns = tokens[end]?.text === '=' || isWord(tokens[end], 'to')
  if (name !== undefined && assigns) {
    const key = plain(name)
    if (key === undefined) return { ...EVERYTHING, unreadable: true }
    const names = key === 'session_authorization' ? [key, 'role'] : [key]
    return isWord(tokens[end + 1], 'default') ? reset(...names) : only(...names)
  }
  // A dot makes a name of any of the words below.
  if (end > at + 1) return undefined
  if (at === 1 && (is('local') || is('transaction') || is('constraints'))) return NOTHING
  const last = tokens.at(-1)!
  const byDefault = last.kind === 'word' && DEFAULTS.has(last.text)
  if (is('time', 'zone')) return byDefault ? reset('timezone') : only('timezone')
  if (is('names')) return byDefault || tokens.length === at + 1 ? reset('client_encoding') : only('client_encoding')
  if (is('role')) return only('role')
  if (is('session', 'authorization') || (at > 1 && is('authorization'))) return only('session_authorization', 'role')
  if (is('schema')) return only('search_path')
  if (is('xml', 'option')) return only('xmloption')
  return undefined
}

function resetOf(tokens: readonly Token[]): SettingNames | undefined {
  const is = (...words: string[]): boolean => {
    return tokens.length === words.length + 1 && words.every((word, i) => isWord(tokens[i + 1], word))
  }
  if (is('all')) return { ...EVERYTHING, resets: 'all' }
  if (is('time', 'zone')) return reset('timezone')
  if (is('session', 'authorization')) return reset('session_authorization', 'role')
  const { name, end } = readName(tokens, 1)
  if (name === undefined || end < tokens.length) return undefined
  const key = plain(name)
  if (key === undefined) return { ...EVERYTHING, unreadable: true }
  return key === 'session_authorization' ? reset(key, 'role') : reset(key)
}

/** The name at `at`, its parts as they are written but for quotes, and where it ends. */
function readName(tokens: readonly Token[], at: number): { name: string | undefined; end: number } {
  let end = at
  const parts: string[] = []
  for (; isName(tokens[end]); end += 2) {
    parts.push(tokens[end]!.text)
    if (!isDot(tokens[end + 1])) return { name: parts.join('.'), end: end + 1 }
  }
  return { name: undefined, end }
}

function isName(token: Token | undefined): boolean {
  return token?.kind === 'word' || token?.kind === 'name'
}

function isDot(token: Token | undefined): boolean {
  return token?.kind === 'other' && token.text === '.'
}

/** Names anywhere in a text of any form. */
function search(sql: string, statements: readonly Token[][] | undefined): SettingNames {
  const calls = setConfigCalls(sql)
  const ofFunctions = settingsOfFunctions(sql)
  if (calls !== undefined) {
    const lasting = calls.filter(({ local }) => !local)
    const named = lasting.flatMap(({ name }) => (name === undefined ? [] : (plain(name) ?? [])))
    const unreadable = named.length < lasting.length
    const names = [...new Set([...named, ...ofFunctions])]
    return { names, complete: !unreadable, unreadable, resets: 'none', resetNames: NONE }
  }
  const names: string[] = ofFunctions
  let unreadable = false
  const add = (name: string): void => {
    const key = plain(name)
    if (key === undefined) unreadable = true
    else names.push(key)
  }
  // With and without what looks like a comment: it may be one, or stand in a string.
  const texts = new Set([sql, withoutComments(sql)])
  for (const tokens of statements ?? []) {
    texts.add(tokens.map(written).join(' '))
    const found = ofStatement(tokens)
    if (found === undefined) continue
    names.push(...found.names)
    unreadable ||= found.unreadable
  }
  for (const text of texts) {
    for (const match of text.matchAll(CUSTOM_SET)) {
      const parts = match[1]!.split('.').map((part) => part.trim().replaceAll('"', ''))
      if (!parts.some((part) => NO_NAME.test(part))) add(parts.join('.'))
    }
  }
  let readable = 0
  for (const match of sql.matchAll(SET_CONFIG)) {
    readable++
    if (match[1] === undefined) unreadable = true
    else add(match[1])
  }
  if ((sql.match(SET_CONFIG_WORD)?.length ?? 0) > readable) unreadable = true
  if (/\brole\b/i.test(sql)) names.push('role')
  return {
    names: [...new Set(names)],
    complete: false,
    unreadable,
    ...resetsOf(sql, statements),
  }
}

/** What the statements of a text take back, one after the other: a parameter that is set behind that is not. */
function resetsOf(
  sql: string,
  statements: readonly Token[][] | undefined,
): Pick<SettingNames, 'resets' | 'resetNames' | 'keeps'> {
  if (!RESETTING.test(sql)) return { resets: 'none', resetNames: NONE }
  const names = new Set<string>()
  let kept: Set<string> | undefined
  for (const tokens of statements ?? []) {
    const found = ofStatement(tokens)
    const readable = found !== undefined && !found.unreadable
    if (!readable && WRITING.has(tokens[0]!.text)) continue
    if (readable ? found.resets === 'all' : RESETTING.test(tokens.map(written).join(' '))) kept = new Set()
    else if (readable) {
      noteResets(names, found)
      if (kept !== undefined) noteKept(kept, found)
    }
  }
  // The words are there, in no statement that can be told.
  if (statements === undefined || kept?.size === 0) return ALL
  if (kept !== undefined) return { ...ALL, keeps: [...kept] }
  return { resets: names.size === 0 ? 'none' : 'names', resetNames: [...names] }
}

/** Add to `names` what is reset, and take away what is set for certain. */
export function noteResets(names: Set<string>, { names: named, complete, resetNames }: SettingNames): void {
  if (complete) for (const name of named) names.delete(name)
  for (const name of resetNames) names.add(name)
}

/** Add to `kept` what is set for certain behind a reset of all, and take away what is reset again. */
export function noteKept(kept: Set<string>, { names: named, complete, resetNames }: SettingNames): void {
  if (complete) for (const name of named) kept.add(name)
  for (const name of resetNames) kept.delete(name)
}

function written({ kind, text }: Token): string {
  return kind === 'name' ? `"${text}"` : text
}

/** `sql` with a blank for each comment, as far as comments end. */
function withoutComments(sql: string): string {
  let kept = ''
  let from = 0
  let depth = 0
  COMMENT_MARK.lastIndex = 0
  for (let found = COMMENT_MARK.exec(sql); found !== null; found = COMMENT_MARK.exec(sql)) {
    const [mark] = found
    const { index } = found
    if (mark === '*/') {
      if (depth > 0 && --depth === 0) from = index + 2
    } else if (depth === 0) {
      kept += `${sql.slice(from, index)} `
      from = index
      if (mark === '/*') depth = 1
      else {
        LINE_END.lastIndex = index
        from = LINE_END.exec(sql)!.index
        COMMENT_MARK.lastIndex = from
      }
    } else if (mark === '/*') depth++
  }
  return kept + sql.slice(from)
}

/**
 * A name in lower case; undefined where it has letters outside of ASCII, which depend on the client's encoding, or
 * others that are in no name, or is longer than an identifier: of each of its parts PostgreSQL may cut off the rest.
 */
function plain(name: string): string | undefined {
  return name.length <= IDENTIFIER_BYTES && /^[\w$.]+$/.test(name) ? nameToday(name.toLowerCase()) : undefined
}

function only(...names: string[]): SettingNames {
  return { names, complete: true, unreadable: false, resets: 'none', resetNames: NONE }
}

function reset(...names: string[]): SettingNames {
  return { names, complete: true, unreadable: false, resets: 'names', resetNames: names }
}
