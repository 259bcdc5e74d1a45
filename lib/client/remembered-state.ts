/**
 * What a client's statements may have left in the session of the server it holds, and what follows from it when the
 * transaction is over: parameters become the client's own and follow it; state that cannot be moved pins it to the
 * server for as long as the state exists. The server is asked, and only after statements whose text gives reason to.
 *
 * Comes in: effects of the statements sent, from upstream.ts. Goes out: the client's parameters and pins. Holds: where
 * nothing was suspected nothing is asked; where the answer is not known, the client stays where it is.
 */

import type { ServerConnection } from '../server/connection.ts'
import { Task, type TaskResult } from '../server/task.ts'
import type { ClientParameters, Setting } from '../session/parameters.ts'
import { type SettingNames, settingNames } from '../session/setting-names.ts'
import { ANY, DISCARD, LOAD, PREPARED, SETTINGS } from '../session/state-effects.ts'
import { pinsOf, readState, type SessionState, stateQuery } from '../session/state-query.ts'
import { BoundedMap } from '../util/bounded-map.ts'

/** More suspicious texts than this in one transaction are not read: everything is asked. */
const TEXT_LIMIT = 16

/** Keys of pins that come from no effect that can be asked about. */
const FOR_GOOD = 0
const SEARCH_PATH = -1

/** Suspicions of one lease, and the state of one client that followed from them. */
export class RememberedState {
  readonly #parameters: ClientParameters
  /** Names of the pins, by the effect they come from. */
  readonly #pins = new Map<number, string>()
  #effects = 0
  #texts: string[] = []
  /** A transaction block or an error came between: what a text sets cannot be told from the text alone. */
  #conditional = false

  constructor(parameters: ClientParameters) {
    this.#parameters = parameters
  }

  /** Why the client keeps its server; '' where it does not. */
  get pinned(): string {
    return this.#pins.size === 0 ? '' : [...this.#pins.values()].join(', ')
  }

  /** It keeps its server until it leaves: nothing need be asked any more. */
  get pinnedForGood(): boolean {
    return this.#pins.has(FOR_GOOD)
  }

  /** Something was suspected since the last answer. */
  get suspected(): boolean {
    return this.#effects !== 0
  }

  /** A statement with these effects was sent. */
  note(effects: number, text: string): void {
    this.#effects |= effects
    if (this.#texts.length <= TEXT_LIMIT) this.#texts.push(text)
  }

  /** A transaction block is open: what is set in it may be rolled back. */
  inBlock(): void {
    this.#conditional = true
  }

  /** A statement failed. */
  failed(): void {
    this.#conditional = true
  }

  /** Keep the server for as long as the client stays. */
  pinForGood(reason: string): void {
    this.#pins.set(FOR_GOOD, reason)
  }

  /**
   * Find out what is there, on a settled server that is idle. Returns true where nothing need be asked; otherwise
   * `done` is called with the answer's end, and the server is busy until then.
   */
  resolve(server: ServerConnection, done: (result: TaskResult) => void): boolean {
    // A tag told what no text did: anything may have happened.
    const effects = this.#effects === 0 && server.touched ? ANY : this.#effects
    const texts = this.#texts
    const text = texts.length === 1 && effects === SETTINGS && !this.#conditional ? texts[0] : undefined
    this.#effects = 0
    this.#texts = []
    this.#conditional = false
    server.touched = false
    const known = text === undefined ? undefined : KNOWN.get(text)
    if (known !== undefined) {
      for (const [name, value] of known) this.#set(server, name, value)
      return true
    }
    const names = (effects & SETTINGS) === 0 ? NO_NAMES : readNames(texts)
    if ((effects & LOAD) !== 0 && texts.some((each) => /^\s*load\b/i.test(each))) this.pinForGood('LOAD')
    if (names.unreadable) this.pinForGood('set_config() with a computed name')
    const all = !names.complete
    // What PostgreSQL reports by itself need not be asked for.
    const named = names.names.filter((name) => !server.reports(name))
    const asked = all ? [...new Set([...named, ...this.#customNames(server)])] : named
    const sql = stateQuery(effects, asked, all)
    if (sql === '') {
      if (names.resets !== 'none') {
        this.#parameters.restoreStartup(server, names.resets === 'all' ? undefined : names.names)
      }
      return true
    }
    Task.run(server, sql, (result) => {
      if (result.kind === 'done') {
        const state = readState(result.answer.rows())
        this.#take(server, effects, asked, all, names, state)
        if (
          text !== undefined &&
          !all &&
          !names.resets &&
          state.settings.size === asked.length &&
          !usesTemporary(state)
        ) {
          KNOWN.set(text, [...state.settings])
        }
      } else if (result.kind === 'error') this.pinForGood('state that could not be read')
      done(result)
    })
    return false
  }

  /**
   * The same for a client that keeps its server until it leaves, so that nothing need follow it: what a RESET took back
   * to the server's default although the startup packet asked for something else.
   */
  resetSettings(server: ServerConnection): Setting[] {
    const names = readNames(this.#texts)
    const conditional = this.#conditional
    this.#effects = 0
    this.#texts = []
    this.#conditional = false
    const settings: Setting[] = []
    for (const [name, value] of this.#parameters.startup) {
      if (names.resets === 'none' || (names.resets === 'names' && !names.names.includes(name))) continue
      if (server.reports(name) ? this.#parameters.isDefault(server, name) : !conditional) settings.push({ name, value })
    }
    return settings
  }

  #set(server: ServerConnection, name: string, value: string): void {
    this.#parameters.set(name, value)
    if (!server.reports(name)) server.applied.set(name, value)
  }

  #take(
    server: ServerConnection,
    effects: number,
    asked: readonly string[],
    all: boolean,
    names: SettingNames,
    state: SessionState,
  ): void {
    for (const [effect, name] of pinsOf(effects)) {
      if (state.pins.includes(name)) this.#pins.set(effect, name)
      else this.#pins.delete(effect)
    }
    if ((effects & PREPARED) !== 0) server.sqlPrepared = this.#pins.has(PREPARED)
    if ((effects & SETTINGS) !== 0) {
      if (names.resets !== 'none') {
        this.#parameters.restoreStartup(server, names.resets === 'all' ? undefined : names.names)
      }
      this.#takeSettings(server, asked, all, names.resets !== 'none', state.settings)
    }
    // DO and CALL may set a parameter of an application's that nobody can ask for.
    if ((effects & ANY) === ANY && (effects & DISCARD) === 0) server.dirty = true
    if (usesTemporary(state)) this.#pins.set(SEARCH_PATH, 'search_path with pg_temp')
    else if (all || asked.includes('search_path')) this.#pins.delete(SEARCH_PATH)
  }

  #takeSettings(
    server: ServerConnection,
    asked: readonly string[],
    all: boolean,
    resets: boolean,
    settings: ReadonlyMap<string, string>,
  ): void {
    const gone = new Set(all ? [...this.#parameters.names(), ...server.applied.keys(), ...asked] : asked)
    for (const [name, value] of settings) {
      // A parameter of an application's is '' after RESET; there is no way back to not being there at all.
      if (server.reports(name) || (resets && value === '' && name.includes('.'))) continue
      gone.delete(name)
      this.#set(server, name, value)
    }
    for (const name of gone) {
      if (server.reports(name)) continue
      this.#parameters.unset(name)
      server.applied.delete(name)
    }
  }

  /** Parameters of applications that are or were set: PostgreSQL does not list them. */
  #customNames(server: ServerConnection): string[] {
    return [...this.#parameters.names(), ...server.applied.keys()].filter((name) => name.includes('.'))
  }
}

/**
 * What texts set that always set the same: found out once, then known. Statements of the form SET name = value, run on
 * their own; whether they name a parameter PostgreSQL reports need not be known, because nothing was asked then.
 */
const KNOWN = new BoundedMap<[string, string][]>(1000)

const NO_NAMES: SettingNames = { names: [], complete: true, unreadable: false, resets: 'none' }

function readNames(texts: readonly string[]): SettingNames {
  if (texts.length > TEXT_LIMIT) return { names: [], complete: false, unreadable: false, resets: 'all' }
  const names = new Set<string>()
  let complete = true
  let unreadable = false
  let resets: SettingNames['resets'] = 'none'
  for (const text of texts) {
    const found = settingNames(text)
    for (const name of found.names) names.add(name)
    complete &&= found.complete
    unreadable ||= found.unreadable
    if (found.resets !== 'none') resets = resets === 'none' && texts.length === 1 ? found.resets : 'all'
  }
  return { names: [...names], complete, unreadable, resets }
}

/** Tables created without a word about it would be temporary. */
function usesTemporary({ settings }: SessionState): boolean {
  return settings.get('search_path')?.includes('pg_temp') ?? false
}
