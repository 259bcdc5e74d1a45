/**
 * What the statements of one client may have done to the session of its server since that was looked at last, mostly in one
 * transaction: noted as they are sent and answered, and looked at when the transaction is over (link/release.ts), which makes
 * the client's settings (settings/client-settings.ts) and its remembered state (remembered-state.ts) of it. None of it means
 * anything behind that.
 *
 * Comes in: statements sent (note-effects.ts), errors, ends of requests and reported parameters (link/server-link.ts). Goes
 * out: what PostgreSQL is to be asked (state-question.ts), under which settings statements are parsed meanwhile. One object
 * for all transactions of a client: most leave nothing here.
 */

import { TX_BLOCK, TX_IDLE } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ClientSettings, Setting } from '../../settings/client-settings.ts'
import { type ParseSettings, UNKNOWN_SETTINGS } from '../../settings/setting-values.ts'
import type { SqlFacts } from '../../sql/facts.ts'
import { reportedKey } from '../../sql/parameter-names.ts'
import { alsoSaid, mayReset, readNames, resets, type Said } from '../../sql/setting-texts.ts'
import { TEMPORARY } from '../../sql/state-effects.ts'
import { type LocalSettings, localSettings, mayUndo } from './local-settings.ts'

// Of the many transactions that leave nothing behind: one list for all of them.
const NOTHING: readonly never[] = []

/** Effects of one client's statements that are still to be looked at. */
export class TransactionEffects {
  readonly #parameters: ClientSettings
  /** What is to be looked for (sql/state-effects). */
  #effects = 0
  /** The texts, or what they said. */
  #texts: readonly Said[] = NOTHING
  /** A transaction block or an error came between: what a text sets cannot be told from the text alone. */
  #conditional = false
  /** Reported parameters, in the server's spelling, that changed although no text of the client's names them. */
  #unexplained: readonly string[] = NOTHING
  /** Parameters that the client was told to be as in its startup packet although the server has its own default. */
  #toldStartup: Set<string> | undefined
  /** What runs may have changed settings, or what names stand for. */
  #unsettled = false
  /** What was set for the transaction, where that is known for sure and nothing else has happened. */
  #local: LocalSettings | undefined
  /** The client keeps its server at the end of so many transactions less one, without needing to. */
  #holds = 0

  /** @param parameters what the client wants set */
  constructor(parameters: ClientSettings) {
    this.#parameters = parameters
  }

  // ---- what is to be looked for ----

  /** Something is to be looked at when the transaction is over. */
  get suspected(): boolean {
    return this.#effects !== 0 || this.#unexplained.length > 0
  }

  /** What is to be looked for (sql/state-effects). */
  get effects(): number {
    return this.#effects
  }

  /** The texts that gave reason to. */
  get texts(): readonly Said[] {
    return this.#texts
  }

  /** What a text sets cannot be told from the text alone: it may have been rolled back. */
  get conditional(): boolean {
    return this.#conditional
  }

  /** Reported parameters, in the server's spelling, that changed although no text names them. */
  get unexplained(): readonly string[] {
    return this.#unexplained
  }

  /** A statement was sent of which these effects are to be looked for. */
  note(effects: number, facts: SqlFacts): void {
    this.#effects |= effects
    this.#texts = alsoSaid(this.#texts, facts)
  }

  /** Tables created without a word about it may be temporary: ask after this transaction, whatever its statements. */
  suspectTemporary(): void {
    this.#effects |= TEMPORARY
  }

  /** A statement failed. */
  failed(): void {
    this.#conditional = true
  }

  /** A transaction is over that nothing is suspected of: whether it failed is of no account for the next. */
  passed(): void {
    this.#conditional = false
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

  /** All of it is being looked at. */
  looked(): void {
    this.#effects = 0
    this.#texts = NOTHING
    this.#unexplained = NOTHING
    this.#conditional = false
  }

  // ---- under which settings statements are parsed meanwhile ----

  /** What was set for the transaction is known, as far as something was. */
  get knowsLocal(): boolean {
    return this.#local !== undefined
  }

  /** A text may change settings, or what names stand for: `bound` to a portal, or sent as a Query. */
  noteMeaning(server: ServerConnection, facts: SqlFacts, bound: boolean): void {
    if (!this.#unsettled) {
      this.#unsettled = true
      if (isClean(server)) this.#local = localSettings(server, this.#parameters.wanted)
    }
    if (this.#local?.note(facts, bound) === false) this.#local = undefined
  }

  /** `text` is sent, whatever it is. */
  noteControl(text: string): void {
    if (this.#local !== undefined && mayUndo(text)) this.#local = undefined
  }

  /** Settings may have changed, and nobody knows how. */
  lostTrack(): void {
    this.#unsettled = true
    this.#local = undefined
  }

  /** A request has ended in a transaction block: what is set in it may be rolled back. */
  inBlock(server: ServerConnection, status: number): void {
    this.#conditional = true
    const local = this.#local
    if (local === undefined) return
    const known = status === TX_BLOCK && server.plan.settled
    if (!known || !local.confirm(server, this.#parameters.changes(server.settings))) this.#local = undefined
  }

  /** The transaction is over, and with it what was set for it alone. */
  ended(): void {
    this.#local = undefined
  }

  /** The transaction is over, and what it changed is known. */
  settled(): void {
    this.#unsettled = false
    this.#local = undefined
  }

  /** What is set on `server` now, as far as that decides what a statement means. */
  parseSettings(server: ServerConnection): ParseSettings {
    if (this.#unsettled) return this.#local?.settings(server) ?? UNKNOWN_SETTINGS
    return isClean(server) ? this.#parameters.wanted : UNKNOWN_SETTINGS
  }

  // ---- what goes back to the startup packet ----

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
    if (startup.size === 0 || !mayReset(this.#texts)) return NOTHING
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

  /**
   * Of a client that keeps its server until it leaves nothing else is looked at, because nothing need follow it: what a
   * RESET took back to the server's default although the startup packet asked for something else.
   */
  takeResets(server: ServerConnection): Setting[] {
    const names = readNames(this.#texts)
    const conditional = this.#conditional
    this.looked()
    const settings: Setting[] = []
    for (const [name, value] of this.#parameters.startup) {
      // RESET ALL leaves the role alone.
      if (!resets(names, name) || (name === 'role' && names.resets === 'all')) continue
      if (server.settings.reports(name) ? server.settings.isDefaultOf(name) : !conditional)
        settings.push({ name, value })
    }
    return settings
  }

  // ---- whether the next transaction may need the same server ----

  /** The client keeps its server without needing to. */
  get holding(): boolean {
    return this.#holds > 0
  }

  /** Keep the server for the next transaction. */
  holdForNext(): void {
    this.#holds = 2
  }

  /** A transaction is over: true where the server is kept for the next one. */
  holdsOn(): boolean {
    return this.#holds > 0 && --this.#holds > 0
  }

  /** No longer. */
  stopHolding(): void {
    this.#holds = 0
  }
}

/** Nothing on `server` has changed of which the client's settings do not know. */
function isClean({ effects, statements }: ServerConnection): boolean {
  return !effects.touched && !effects.parametersChanged && !statements.altering
}
