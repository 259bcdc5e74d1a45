/**
 * What a client's statements may have left in the session of the server it holds, and what follows from it when the
 * transaction is over: parameters become the client's own and follow it; what cannot be moved is remembered by kind.
 * The server is asked, and only after statements whose text gives reason to.
 *
 * Comes in: effects of the statements sent, from upstream.ts. Goes out: the client's parameters, and the state that
 * cannot follow it, of which release.ts makes what `session_state` says. Holds: where nothing was suspected nothing is
 * asked; where the answer is not known, the client stays where it is.
 */

import type { StatePolicy } from '../../pool/settings.ts'
import { TX_IDLE } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../../server/internal-query.ts'
import { type ClientSettings, isMemorable, isReadable, type Setting } from '../../settings/client-settings.ts'
import { isUnlisted, kindsOf, readState, type SessionState, stateQuery } from '../../settings/state-query.ts'
import { SqlFacts } from '../../sql/facts.ts'
import { reportedKey } from '../../sql/parameter-names.ts'
import type { SettingNames } from '../../sql/setting-names.ts'
import {
  alsoSaid,
  mayReset,
  maySetShortLimit,
  NO_NAMES,
  readNames,
  resets,
  type Said,
} from '../../sql/setting-texts.ts'
import { ANY, DISCARD, PREPARED, SETTINGS, TEMPORARY } from '../../sql/state-effects.ts'
import { type PinKind, STATE_KINDS } from '../../sql/state-kinds.ts'
import { BoundedMap } from '../../util/bounded-map.ts'

/** Why a client keeps its server: what a value is, depends on the encoding of the client, or is known to nobody. */
export const ENCODED_VALUE = 'a setting in another encoding than UTF8'

// Of the many clients that leave nothing behind: one map and one list for all of them.
const NOTHING: ReadonlyMap<PinKind, string> = new Map()
const NO_TEXTS: readonly never[] = []
/** So many of the parameters that were looked for after code are looked for after other code. */
const HIDDEN_LIMIT = 50

/** Suspicions of one lease, and the state of one client that followed from them. */
export class RememberedState {
  /** What becomes of state that cannot follow the client. */
  policy: StatePolicy = 'pin'
  /** Parameters of applications to ask for after code whose effects its text does not show. */
  hiddenSettings: readonly string[] = []
  readonly #parameters: ClientSettings
  /** The state that cannot follow it, in words. */
  #found: ReadonlyMap<PinKind, string> = NOTHING
  #forGood = false
  #effects = 0
  #texts: readonly Said[] = NO_TEXTS
  /** A transaction block or an error came between: what a text sets cannot be told from the text alone. */
  #conditional = false
  /** Reported parameters, in the server's spelling, that changed although no text of the client's names them. */
  #unexplained: readonly string[] = NO_TEXTS
  /** Parameters that the client was told of under a new default, although it wants a value of its own. */
  #mistold: readonly string[] = NO_TEXTS
  /** Parameters that the client was told to be as in its startup packet although the server has its own default. */
  #toldStartup: Set<string> | undefined

  constructor(parameters: ClientSettings) {
    this.#parameters = parameters
  }

  /** What of its server's session cannot follow it, in words; '' for nothing. */
  get found(): string {
    return this.#found.size === 0 ? '' : [...this.#found.values()].join(', ')
  }

  /** The same by kind. */
  get kinds(): ReadonlyMap<PinKind, string> {
    return this.#found
  }

  /** Why the client keeps its server; '' where it does not. */
  get pinned(): string {
    return this.policy === 'pin' ? this.found : ''
  }

  /** It keeps its server until it leaves: nothing need be asked any more. */
  get pinnedForGood(): boolean {
    return this.#forGood && this.policy === 'pin'
  }

  /** Something is to be looked at when the transaction is over. */
  get suspected(): boolean {
    return this.#effects !== 0 || this.#unexplained.length > 0 || (this.policy !== 'pin' && this.#found.size > 0)
  }

  /** A statement was sent of which these effects are to be looked for. */
  note(effects: number, facts: SqlFacts): void {
    this.#effects |= effects
    this.#texts = alsoSaid(this.#texts, facts)
  }

  /**
   * Of reported parameters that have changed, those that texts of the client's account for. Of the others PostgreSQL is asked
   * whose doing that was: code may have set them, or its configuration was reloaded.
   */
  attribute(server: ServerConnection, changes: readonly string[]): readonly string[] {
    if (changes.length === 0) return changes
    const said = readNames(this.#texts)
    const accounted = (name: string): boolean => {
      const key = reportedKey(name)
      // No configuration sets it, and pg_settings does not list it.
      if (key === 'session_authorization') return true
      if (!said.names.includes(key)) return false
      // A RESET leads to the default, and to no other value.
      return !resets(said, key) || server.settings.isDefault(name)
    }
    this.#unexplained = changes.filter((name) => !accounted(name))
    return changes.filter(accounted)
  }

  /** A transaction block is open: what is set in it may be rolled back. */
  inBlock(): void {
    this.#conditional = true
  }

  /** A statement failed. */
  failed(): void {
    this.#conditional = true
  }

  /** A transaction is over that nothing is suspected of: whether it failed is of no account for the next. */
  passed(): void {
    this.#conditional = false
  }

  /** Tables created without a word about it may be temporary: ask after this transaction, whatever its statements. */
  suspectTemporary(): void {
    this.#effects |= TEMPORARY
  }

  /** There is state of which nobody can ask when it is gone. */
  foundForGood(kind: PinKind, reason: string = STATE_KINDS[kind].label): void {
    this.#find(kind, reason)
    this.#forGood = true
  }

  /** The state that could not follow the client has been taken from it. */
  forget(): void {
    this.#found = NOTHING
    this.#forGood = false
  }

  #find(kind: PinKind, reason: string): void {
    this.#found = new Map(this.#found).set(kind, reason)
  }

  #lose(kind: PinKind): void {
    if (!this.#found.has(kind)) return
    const found = new Map(this.#found)
    found.delete(kind)
    this.#found = found
  }

  /**
   * Find out what is there, on a settled server that is idle. Returns true where nothing need be asked; otherwise
   * `done` is called with the answer's end, and the server is busy until then.
   */
  resolve(server: ServerConnection, done: (result: InternalQueryResult) => void): boolean {
    // A tag told what no text did: anything may have happened. So it may where functions and triggers of the session's own
    // are dropped: nobody looked into them.
    const unseen =
      this.#effects === 0 ? server.effects.touched : (this.#effects & TEMPORARY) !== 0 && this.#found.has('temporary')
    const noted = unseen ? this.#effects | ANY : this.#effects
    const unexplained = this.#unexplained
    const effects = unexplained.length === 0 ? noted : noted | SETTINGS
    const texts = this.#texts
    // Its tag came: what was bound may never have been executed.
    const ran =
      server.effects.touched &&
      texts.length === 1 &&
      effects === SETTINGS &&
      !this.#conditional &&
      unexplained.length === 0
    const [only] = texts
    const text = ran && only instanceof SqlFacts && isBrief(only.text) ? only.text : undefined
    this.#effects = 0
    this.#texts = NO_TEXTS
    this.#unexplained = NO_TEXTS
    this.#conditional = false
    server.effects.askedForState()
    const known = text === undefined ? undefined : KNOWN.get(text)
    if (known !== undefined) {
      for (const [name, value] of known) this.#set(server, name, value)
      return true
    }
    const names = (noted & SETTINGS) === 0 ? NO_NAMES : readNames(texts)
    if (server.content.loaded) this.foundForGood('load')
    if (names.unreadable) this.#cannotRead(server)
    const all = !names.complete
    // What PostgreSQL reports by itself need not be asked for.
    const named = names.names.filter((name) => !server.settings.reports(name))
    const hidden = (effects & ANY) === ANY ? this.hiddenSettings : []
    this.hiddenSettings = this.hiddenSettings.slice(0, HIDDEN_LIMIT)
    const asked = all ? [...new Set([...named, ...hidden, ...this.#unlisted(server)])] : named
    // Who changes its search_path may have made temporary tables in the same breath.
    const looked = all || asked.includes('search_path') ? effects | TEMPORARY : effects
    // Set to what it is by default, which nothing reports, or not set at all.
    const candidates = all ? Array.from(server.settings.reported, ([name]) => reportedKey(name)) : names.names
    const unreported = ran && !all ? [] : candidates.filter((name) => server.settings.isDefaultOf(name))
    const listed = [...asked, ...unexplained.map(reportedKey), ...unreported]
    const question = stateQuery(looked, listed, all)
    if (question === '') {
      if (ran && names.complete && names.resets === 'none') this.#takeReported(server, names.names)
      if (names.resets !== 'none') this.#parameters.restoreStartup(server.settings, (name) => resets(names, name))
      return true
    }
    const write = (lifted: readonly string[]): string => {
      return lifted.length === 0 ? question : stateQuery(looked, listed, all, lifted)
    }
    const wanted = (limit: string): boolean => {
      return names.resets === 'none' && (asked.includes(limit) || this.#parameters.has(limit))
    }
    InternalQuery.run(server, write, maySetShortLimit(texts) ? 'lifted' : 'lifted where short', (result) => {
      if (result.kind === 'done' && !result.answer.tooLong) {
        const state = readState(result.answer.rows(), wanted)
        this.#take(server, looked, asked, all, names, state)
        this.#takeUnexplained(server, unexplained, names, state)
        this.#takeReported(
          server,
          unreported.filter((name) => state.settings.has(name)),
        )
        if (text !== undefined && !all && names.resets === 'none' && state.settings.size === asked.length) {
          const settings = [...state.settings]
          if (settings.every(([name, value]) => isMemorable(name, value))) KNOWN.set(text, settings)
        }
      } else if (result.kind !== 'closed') this.foundForGood('other', 'state that could not be read')
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
    this.#texts = NO_TEXTS
    this.#conditional = false
    const settings: Setting[] = []
    for (const [name, value] of this.#parameters.startup) {
      // RESET ALL leaves the role alone.
      if (!resets(names, name) || (name === 'role' && names.resets === 'all')) continue
      if (server.settings.reports(name) ? server.settings.isDefaultOf(name) : !conditional)
        settings.push({ name, value })
    }
    return settings
  }

  /**
   * A parameter is reported as `value`. Where a RESET took it to the server's default, and the startup packet asked for
   * something else, that is what holds for the client after this statement: returns it.
   */
  startupInstead(server: ServerConnection, name: string, value: string): string | undefined {
    const key = reportedKey(name)
    const startup = this.#parameters.startup.get(key)
    if (startup === undefined) return undefined
    this.#toldStartup?.delete(key)
    if (startup === value || server.settings.baseline.get(name) !== value) return undefined
    // Until a transaction is over the server's default does hold.
    if (server.txStatus !== TX_IDLE || !resets(readNames(this.#texts), key)) return undefined
    this.#toldStartup ??= new Set()
    this.#toldStartup.add(key)
    return startup
  }

  /**
   * What the client must be told now that its transaction is over: parameters that go back to its startup packet's
   * values, where the server did not report that they changed, or did in a transaction block.
   */
  untold(server: ServerConnection): readonly Setting[] {
    const { startup } = this.#parameters
    if (startup.size === 0 || !mayReset(this.#texts)) return NONE
    const names = readNames(this.#texts)
    const settings: Setting[] = []
    for (const [name, value] of server.settings.reported) {
      const key = reportedKey(name)
      const wanted = startup.get(key)
      if (wanted === undefined || wanted === value || !server.settings.isDefault(name)) continue
      if (resets(names, key) && !this.#toldStartup?.has(key)) settings.push({ name, value: wanted })
    }
    this.#toldStartup = undefined
    return settings
  }

  /** What the client must be told now that PostgreSQL was asked: what it wants, and will have with its next transaction. */
  corrections(): readonly Setting[] {
    const names = this.#mistold
    this.#mistold = NO_TEXTS
    return names.map((name) => ({ name, value: this.#parameters.get(name) }))
  }

  #set(server: ServerConnection, name: string, value: string): void {
    if (isReadable(server.settings, value)) this.#parameters.set(name, value)
    else {
      this.#parameters.setUnreadable(name, value)
      this.foundForGood('other', ENCODED_VALUE)
    }
    if (!server.settings.reports(name)) server.settings.wasSet(name, value)
  }

  #take(
    server: ServerConnection,
    effects: number,
    asked: readonly string[],
    all: boolean,
    names: SettingNames,
    state: SessionState,
  ): void {
    for (const kind of kindsOf(effects)) {
      if (state.pins.includes(kind)) this.#find(kind, STATE_KINDS[kind].label)
      else this.#lose(kind)
    }
    if ((effects & PREPARED) !== 0) server.content.lookedForPrepared(this.#found.has('prepare'))
    if ((effects & SETTINGS) !== 0) {
      if (names.resets !== 'none') this.#parameters.restoreStartup(server.settings, (name) => resets(names, name))
      this.#takeSettings(server, asked, all, names, state.settings)
    }
    // DO and CALL may set a parameter of an application's that nobody can ask for.
    if ((effects & ANY) === ANY && (effects & DISCARD) === 0) server.content.leftState()
  }

  /** These were set, perhaps to what they were by default: that is the client's wish when there is another default. */
  #takeReported(server: ServerConnection, keys: readonly string[]): void {
    for (const [name, value] of server.settings.reported) {
      const key = reportedKey(name)
      if (!keys.includes(key) || !isReadable(server.settings, value)) continue
      this.#parameters.set(key, value)
      server.settings.wasSetInSight(key, name)
    }
  }

  /**
   * Parameters have changed: those that are set in the session are the client's, others were reset by code, or have
   * another default now, which is for who has no wish.
   */
  #takeUnexplained(
    server: ServerConnection,
    unexplained: readonly string[],
    names: SettingNames,
    { settings }: SessionState,
  ): void {
    const own = unexplained.filter((name) => settings.has(reportedKey(name)))
    if (!this.#parameters.absorb(server.settings, true, own)) this.foundForGood('other', ENCODED_VALUE)
    for (const name of unexplained) {
      if (own.includes(name)) continue
      const key = reportedKey(name)
      // A RESET may lead to a default that this server had not told of, because a wish was in its place.
      if (server.settings.isDefaultOf(key) || resets(names, key)) this.#parameters.unset(key)
      else if (this.#parameters.has(key)) this.#mistold = [...this.#mistold, name]
      server.noteDefault(name)
    }
  }

  /** A parameter was set of which only the server knows the name. */
  #cannotRead(server: ServerConnection): void {
    // Refused where its text says so plainly (sql/lasting-state); elsewhere it may well have been for a transaction.
    if (this.policy === 'error') server.content.leftState()
    else this.foundForGood('other', 'set_config() with a computed name')
  }

  #takeSettings(
    server: ServerConnection,
    asked: readonly string[],
    all: boolean,
    names: SettingNames,
    settings: ReadonlyMap<string, string>,
  ): void {
    const gone = new Set(all ? [...this.#parameters.names(), ...server.settings.appliedNames(), ...asked] : asked)
    for (const [name, value] of settings) {
      // What a RESET leaves: a parameter of an application's is '', there is no way back to not being there at all.
      const none = name === 'role' ? 'none' : ''
      // A reset before has left its name behind.
      if (value === '' && this.hiddenSettings.includes(name) && !this.#parameters.has(name)) continue
      if (server.settings.reports(name) || (value === none && this.#isReset(name, names))) continue
      gone.delete(name)
      this.#set(server, name, value)
    }
    for (const name of gone) {
      if (server.settings.reports(name)) continue
      this.#parameters.unset(name)
      server.settings.wasSet(name, undefined)
    }
  }

  /** A text resets `name`, which PostgreSQL does not list, and it is what that leaves. RESET ALL leaves the role alone. */
  #isReset(name: string, names: SettingNames): boolean {
    if (name === 'role' && names.resets === 'all') return this.#parameters.get(name) !== 'none'
    return isUnlisted(name) && resets(names, name)
  }

  /** What is or was set of what PostgreSQL does not list: parameters of applications, and the role, which may be none. */
  #unlisted(server: ServerConnection): string[] {
    return [...this.#parameters.names(), ...server.settings.appliedNames()].filter(isUnlisted)
  }
}

/**
 * What texts set that always set the same: found out once, then known. Statements of the form SET name = value, run on
 * their own; whether they name a parameter PostgreSQL reports need not be known, because nothing was asked then.
 */
const KNOWN = new BoundedMap<[string, string][]>(1000)
const KNOWN_LENGTH = 200
/** What another client_encoding or standard_conforming_strings would read differently. */
const DEPENDENT = /[^\s -~]|\\/

function isBrief(text: string): boolean {
  return text.length <= KNOWN_LENGTH && !DEPENDENT.test(text)
}

const NONE: readonly Setting[] = []
