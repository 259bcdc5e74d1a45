/**
 * Session settings as data (R15): what a client wants set, and what differs from what a server has (server-settings.ts);
 * the statements that turn one into the other are settings-sql.ts. Pure.
 *
 * A client's wanted come from its startup packet and from the ParameterStatus messages it was shown. Names are compared without case, as PostgreSQL
 * does; a client that has no wish for a parameter wants the server's own default.
 */

import { ProtocolError } from '../protocol/reader.ts'
import { nameToday, reportedKey } from '../sql/parameter-names.ts'
import type { ServerSettings } from './server-settings.ts'
import { NO_SETTING_VALUES, SettingValues } from './setting-values.ts'

/** Reported, but not settable: facts about the server, never copied from one to another. */
const READ_ONLY = new Set(['server_version', 'server_encoding', 'is_superuser', 'integer_datetimes', 'in_hot_standby'])

/** Parameters whose values are judged or spelled by what else is set, who is connected, or what exists. */
const BY_CONTEXT = new Set([
  'default_table_access_method',
  'default_tablespace',
  'default_text_search_config',
  'role',
  'session_authorization',
  'temp_tablespaces',
])
/** Of longer values nothing is remembered. */
const MEMORABLE = 200

/** True where it may be remembered, for all clients, what PostgreSQL made of `value` for the parameter `name`. */
export function isMemorable(name: string, value: string): boolean {
  return value.length <= MEMORABLE && !BY_CONTEXT.has(name)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const ASCII = /^[\x00-\x7f]*$/

/** True where `value` came from `server` in an encoding that is known: only then another server can be given it. */
export function isReadable(server: ServerSettings, value: string): boolean {
  if (ASCII.test(value)) return true
  return server.get('client_encoding') === 'UTF8' && server.get('server_encoding') !== 'SQL_ASCII'
}

/** A name that is safe to use as an identifier in RESET, and that PostgreSQL would take as a parameter. */
const NAME = /^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/

/** One parameter to set, or, without a value, to reset. */
export interface Setting {
  name: string
  value: string | undefined
}

/** What one client wants set, by lower-case name. */
export class ClientSettings {
  /** What the startup packet asked for: what RESET goes back to. */
  #startup = NO_SETTING_VALUES
  /** What it wants now; undefined for as long as it asked for nothing else than at startup. */
  #own: Map<string, string> | undefined
  /** Of its own, made when they are asked for. */
  #ownValues: SettingValues | undefined
  /** The map is in a `SettingValues` that somebody may keep. */
  #lent = false
  #unreadable: Set<string> | undefined

  get #wanted(): ReadonlyMap<string, string> {
    return this.#own ?? this.#startup.values
  }

  /** What it wants now. */
  get wanted(): SettingValues {
    if (this.#own === undefined) return this.#startup
    this.#lent = true
    this.#ownValues ??= new SettingValues(this.#own)
    return this.#ownValues
  }

  /** The value wanted, or undefined for the server's default. */
  get(name: string): string | undefined {
    return this.#wanted.get(name.toLowerCase())
  }

  /** True where `search_path` names the temporary schema: a table created without a word about it may be temporary. */
  get usesTemporarySchema(): boolean {
    return this.#wanted.get('search_path')?.includes('pg_temp') ?? false
  }

  /** Want `value`. @throws ProtocolError where `name` cannot be the name of a parameter */
  set(name: string, value: string): void {
    this.#want(keyOf(name), value)
    this.#changed()
  }

  /** The startup packet asked for this; or, of the same parameters, it is what the server made of it. */
  setStartup(wanted: SettingValues): void {
    this.#startup = wanted
    // What was told of these parameters meanwhile is what they are now.
    if (this.#own?.size === wanted.values.size) this.#own = undefined
    this.#changed()
  }

  #want(key: string, value: string): void {
    if (this.#wanted.get(key) !== value) this.#part().set(key, value)
  }

  #unwant(key: string): void {
    if (this.#wanted.has(key)) this.#part().delete(key)
  }

  /** What is wanted is about to differ from what the startup packet asked for, and from what was wanted before. */
  #part(): Map<string, string> {
    if (this.#own === undefined || this.#lent) this.#own = new Map(this.#wanted)
    this.#lent = false
    return this.#own
  }

  /** What the startup packet asked for, by lower-case name. */
  get startup(): ReadonlyMap<string, string> {
    return this.#startup.values
  }

  /** Want what the startup packet asked for, or the server's default. */
  unset(name: string): void {
    const value = this.#startup.values.get(name)
    if (value === undefined) this.#unwant(name)
    else this.#want(name, value)
    this.#changed()
  }

  /** True where the client wants a value of `name` (in lower case). */
  has(name: string): boolean {
    return this.#wanted.has(name)
  }

  /** All that is wanted. */
  all(): Setting[] {
    return Array.from(this.#wanted, ([name, value]) => ({ name, value }))
  }

  /** Names of all parameters wanted. */
  names(): Iterable<string> {
    return this.#wanted.keys()
  }

  /**
   * After a reset of what `isReset` says: what the server took back to its own default is, for this client, what it asked
   * for at startup.
   */
  restoreStartup(server: ServerSettings, isReset: (name: string) => boolean): void {
    for (const name of server.reported.keys()) {
      const key = reportedKey(name)
      if (!server.isDefault(name) || !isReset(key)) continue
      const startup = this.#startup.values.get(key)
      if (startup === undefined) this.#unwant(key)
      else this.#want(key, startup)
    }
    this.#changed()
  }

  /** Reported parameters, in the server's spelling, that are not as this client wants them: by its wish, or as in a new session. */
  changes(server: ServerSettings): readonly string[] {
    let names: string[] | undefined
    const { baseline } = server
    for (const [name, value] of server.reported) {
      const key = reportedKey(name)
      if (READ_ONLY.has(key)) continue
      const wanted = this.#wanted.get(key)
      if (wanted === undefined ? baseline.get(name) === value : wanted === value) continue
      names ??= []
      names.push(name)
    }
    return names ?? NO_NAMES
  }

  /**
   * Take over what a server reports.
   * @param own the client's own statements changed it
   * @param names of which parameters, of those that `changes` tells
   * @returns false where one of these values cannot be read, so that it is good for this server alone
   */
  absorb(server: ServerSettings, own = false, names = this.changes(server)): boolean {
    this.#changed()
    let readable = true
    for (const name of names) {
      const key = reportedKey(name)
      const value = server.get(name)!
      if (isReadable(server, value)) this.#want(key, value)
      else if (own) {
        this.setUnreadable(key, value)
        readable = false
      }
    }
    return readable
  }

  /** Nothing differs on `server`: what did was applied, and its spelling taken over. */
  noteMatch(server: ServerSettings): void {
    server.noteMatch(this.wanted.signature)
  }

  /** Want `value`, which is good for one server alone. */
  setUnreadable(name: string, value: string): void {
    this.#unreadable ??= new Set()
    this.#unreadable.add(name)
    this.set(name, value)
  }

  /** The server is lost for which alone some values are good. */
  forgetUnreadable(): void {
    for (const name of this.#unreadable ?? []) this.unset(name)
    this.#unreadable = undefined
  }

  #changed(): void {
    this.#ownValues = undefined
  }

  /** True where nothing is known to differ; a server it was never compared with may do as well. */
  matches(server: ServerSettings): boolean {
    return server.matches(this.wanted.signature)
  }

  /** What must be changed on `server` for this client; empty in the common case. */
  difference(server: ServerSettings): readonly Setting[] {
    // Asked at every lease: most servers were last used with the same wanted.
    if (this.matches(server)) return NONE
    const settings = this.#compare(server)
    if (settings.length === 0) this.noteMatch(server)
    return settings
  }

  #compare(server: ServerSettings): readonly Setting[] {
    let settings: Setting[] | undefined
    for (const name of this.changes(server)) {
      const key = reportedKey(name)
      settings ??= []
      settings.push({ name: key, value: this.#wanted.get(key) })
    }
    for (const [key, wanted] of this.#wanted) {
      if (server.applied(key) === wanted || (server.reports(key) && !READ_ONLY.has(key))) continue
      settings ??= []
      settings.push({ name: key, value: wanted })
    }
    for (const key of server.appliedNames()) {
      if (this.#wanted.has(key)) continue
      settings ??= []
      settings.push({ name: key, value: undefined })
    }
    return settings ?? NONE
  }
}

const NONE: readonly Setting[] = []
const NO_NAMES: readonly string[] = []

/** How `name` is compared. @throws ProtocolError where it cannot be the name of a parameter */
export function keyOf(name: string): string {
  const key = name.toLowerCase()
  if (!NAME.test(key)) throw new ProtocolError(`invalid parameter name in startup packet`)
  return nameToday(key)
}

/**
 * The settings in an `options` startup parameter: `-c name=value`, `-cname=value`, `--name=value`, with a backslash
 * before a space or backslash that belongs to the value. Dashes in names stand for underscores.
 * @throws ProtocolError for anything else, naming it
 */
export function parseOptions(text: string): Setting[] {
  const words = splitWords(text)
  const settings: Setting[] = []
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!
    let pair: string
    if (word === '-c') pair = words[++i] ?? ''
    else if (word.startsWith('-c')) pair = word.slice(2)
    else if (word.startsWith('--')) pair = word.slice(2)
    else throw new ProtocolError(`unsupported option in startup packet: ${word.slice(0, 40)}`)
    const at = pair.indexOf('=')
    if (at <= 0) throw new ProtocolError(`option without a value in startup packet: ${pair.slice(0, 40)}`)
    settings.push({ name: pair.slice(0, at).replaceAll('-', '_'), value: pair.slice(at + 1) })
  }
  return settings
}

/** As PostgreSQL has it: other kinds of space, as of Unicode, belong to a value, which may be made of anything. */
const SPACE = /[ \t\n\v\f\r]/

function splitWords(text: string): string[] {
  const words: string[] = []
  let word: string | undefined
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (SPACE.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else if (char === '\\') word = (word ?? '') + (text[++i] ?? '')
    else word = (word ?? '') + char
  }
  if (word !== undefined) words.push(word)
  return words
}
