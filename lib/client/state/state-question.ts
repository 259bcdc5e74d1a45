/**
 * What a client's statements have left in the session of its server is found out by asking PostgreSQL, on a server that is idle,
 * and only after statements whose text gives reason to.
 *
 * Comes in: what is still to be looked at (transaction-effects.ts), which is over with that. Goes out: the question, and what
 * follows from its answer (take-state.ts). Called by link/release.ts. Holds: where nothing was suspected nothing is asked; where
 * the answer is not known, the client stays where it is.
 */

import type { ServerConnection } from '../../server/connection.ts'
import { InternalQuery, type InternalQueryResult, type TimeLimits } from '../../server/internal-query.ts'
import { isMemorable, type Setting } from '../../settings/client-settings.ts'
import { isUnlisted, readState, type SessionState, stateQuery } from '../../settings/state-query.ts'
import { SqlFacts } from '../../sql/facts.ts'
import { reportedKey } from '../../sql/parameter-names.ts'
import type { SettingNames } from '../../sql/setting-names.ts'
import { maySetShortLimit, NO_NAMES, readNames } from '../../sql/setting-texts.ts'
import { ANY, ANY_FOUND, SETTINGS, TEMPORARY } from '../../sql/state-effects.ts'
import { BoundedMap } from '../../util/bounded-map.ts'
import {
  heldSettings,
  restoreStartup,
  type Sought,
  type StateOwner,
  takeReported,
  takeSetting,
  takeState,
} from './take-state.ts'
import type { TransactionEffects } from './transaction-effects.ts'

/** The client whose transaction is over. */
export interface QuestionedClient extends StateOwner {
  readonly transaction: TransactionEffects
}

const NOTHING: readonly string[] = []

/** What to ask `server`; undefined where nothing need be asked. Whatever was noted until now is dealt with. */
export function questionOf(client: QuestionedClient, server: ServerConnection): StateQuestion | undefined {
  const { transaction, remembered } = client
  const { texts, unexplained } = transaction
  const noted = effectsOf(client, server)
  const effects = unexplained.length === 0 ? noted : noted | SETTINGS
  // Its tag came: what was bound may never have been executed.
  const ran =
    server.effects.touched &&
    texts.length === 1 &&
    effects === SETTINGS &&
    !transaction.conditional &&
    unexplained.length === 0
  const [only] = texts
  const text = ran && only instanceof SqlFacts && isBrief(only.text) ? only.text : undefined
  transaction.looked()
  server.effects.askedForState()
  const known = text === undefined ? undefined : KNOWN.get(text)
  if (known !== undefined) {
    for (const [name, value] of known) takeSetting(client, server, name, value)
    return undefined
  }
  const names = (noted & SETTINGS) === 0 ? NO_NAMES : readNames(texts)
  if (server.content.loaded) remembered.foundForGood('load')
  if (names.unreadable) cannotRead(client, server)
  const held = names.complete ? NOTHING : heldSettings(client, server)
  const asked = askedBy(client, server, names, held, effects)
  // Who changes its search_path may have made temporary tables in the same breath.
  const looked = !names.complete || asked.includes('search_path') ? effects | TEMPORARY : effects
  const unreported = ran && names.complete ? NOTHING : defaultsAmong(server, names)
  const sought: Sought = { effects: looked, names, asked, held, unexplained, unreported }
  const question = write(sought)
  if (question === '') {
    if (ran && names.complete && names.resets === 'none') takeReported(client, server, names.names)
    restoreStartup(client, server, names)
    return undefined
  }
  const limits = maySetShortLimit(texts) ? 'lifted' : 'lifted where short'
  return new StateQuestion(client, server, sought, question, limits, text)
}

/** What is to be looked for. */
function effectsOf({ transaction, remembered }: QuestionedClient, server: ServerConnection): number {
  const { effects } = transaction
  // A tag told what no text did: anything may have happened. So it may where functions and triggers of the session's own
  // are dropped: nobody looked into them.
  const unseen =
    effects === 0 ? server.effects.touched : (effects & TEMPORARY) !== 0 && remembered.kinds.has('temporary')
  return unseen || (effects & ANY) === ANY ? effects | ANY_FOUND : effects
}

/** A parameter was set of which only the server knows the name. */
function cannotRead({ remembered }: QuestionedClient, server: ServerConnection): void {
  // Refused where its text says so plainly (sql/lasting-state); elsewhere it may well have been for a transaction.
  if (remembered.policy === 'error') server.content.leftState()
  else remembered.foundForGood('other', 'set_config() with a computed name')
}

/** The parameters to ask for by name. */
function askedBy(
  client: QuestionedClient,
  server: ServerConnection,
  names: SettingNames,
  held: readonly string[],
  effects: number,
): readonly string[] {
  // What PostgreSQL reports by itself need not be asked for.
  const named = names.names.filter((name) => !server.settings.reports(name))
  const hidden = (effects & ANY) === ANY ? client.remembered.hiddenSettings : NOTHING
  client.remembered.askedForHidden()
  return names.complete ? named : [...new Set([...named, ...hidden, ...held.filter(isUnlisted)])]
}

/** Reported parameters that are set to what they are by default, which nothing reports, or not set at all. */
function defaultsAmong({ settings }: ServerConnection, names: SettingNames): readonly string[] {
  const candidates = names.complete ? names.names : Array.from(settings.reported, ([name]) => reportedKey(name))
  return candidates.filter((name) => settings.isDefaultOf(name))
}

/** @param lifted limits of time of the session that are lifted for the question */
function write({ effects, names, asked, held, unexplained, unreported }: Sought, lifted?: readonly string[]): string {
  const all = [...new Set([...asked, ...held, ...unexplained.map(reportedKey), ...unreported])]
  return stateQuery(effects, all, !names.complete, lifted)
}

/** One question of what there is. */
export class StateQuestion {
  readonly #client: QuestionedClient
  readonly #server: ServerConnection
  readonly #sought: Sought
  readonly #sql: string
  readonly #limits: TimeLimits
  /** The one text that was run, where that always sets the same. */
  readonly #text: string | undefined
  /** Parameters that the client was told of under a new default, although it wants a value of its own. */
  #mistold = NOTHING

  constructor(
    client: QuestionedClient,
    server: ServerConnection,
    sought: Sought,
    sql: string,
    limits: TimeLimits,
    text: string | undefined,
  ) {
    this.#client = client
    this.#server = server
    this.#sought = sought
    this.#sql = sql
    this.#limits = limits
    this.#text = text
  }

  /** Ask the server, which is busy until `done` is called with the answer's end. False: there is something to ask. */
  ask(done: (result: InternalQueryResult) => void): boolean {
    const text = (lifted: readonly string[]): string => (lifted.length === 0 ? this.#sql : write(this.#sought, lifted))
    InternalQuery.run(this.#server, text, this.#limits, (result) => {
      if (result.kind === 'done' && !result.answer.tooLong) {
        this.#take(readState(result.answer.rows(), (limit) => this.#wants(limit)))
      } else if (result.kind !== 'closed') {
        this.#client.remembered.foundForGood('other', 'state that could not be read')
      }
      done(result)
    })
    return false
  }

  /** What the client must be told now that PostgreSQL was asked: what it wants, and will have with its next transaction. */
  corrections(): readonly Setting[] {
    return this.#mistold.map((name) => ({ name, value: this.#client.parameters.get(name) }))
  }

  /** A limit of time is the client's wish even where it is as by default. */
  #wants(limit: string): boolean {
    const { names, asked } = this.#sought
    return names.resets === 'none' && (asked.includes(limit) || this.#client.parameters.has(limit))
  }

  #take(state: SessionState): void {
    const { names, asked } = this.#sought
    const text = this.#text
    this.#mistold = takeState(this.#client, this.#server, this.#sought, state)
    if (text === undefined || !names.complete || names.resets !== 'none' || state.settings.size !== asked.length) return
    const settings = [...state.settings]
    if (settings.every(([name, value]) => isMemorable(name, value))) KNOWN.set(text, settings)
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
