/**
 * What a client's transaction has set for itself, as far as that is known for sure: texts that set constants and do nothing
 * else, sent in a transaction block and answered without an error. Then its statements are shared with those who have
 * set the same. Whatever else may have happened, nothing is known until the transaction is over.
 *
 * Owned by transaction-effects.ts, which drops it where something else may have happened.
 */

import type { ServerConnection } from '../../server/connection.ts'
import { digestOf, isHarmless, type ParseSettings, type SettingValues } from '../../settings/setting-values.ts'
import type { SqlFacts } from '../../sql/facts.ts'
import type { LocalStep } from '../../sql/local-steps.ts'
import { reportedKey } from '../../sql/parameter-names.ts'

/** Texts that may end a transaction, or take back what was set since a savepoint, and leave a block open behind them. */
const CONTROLS = /\b(?:commit|rollback|abort)\b|(?:^|[;/\n\r])[ \t]*end\b/i
/** Of a search_path: functions that are not PostgreSQL's own may come first. */
const CATALOG = /pg_catalog/i

/** The settings of one transaction. */
export class LocalSettings {
  readonly #wanted: SettingValues
  /** Set and confirmed. */
  #steps: readonly LocalStep[] = []
  /** Sent and not answered. */
  #pending: readonly LocalStep[] = []
  /** How many tags SET are to come for these. */
  #tags = 0
  /** One of them is executed when its portal is, if it is. */
  #bound = false
  #texts = 0
  /** Tags that say that the session was changed, and reported parameters, as of the last confirmation. */
  #touches: number
  #reports: number
  #settings: ParseSettings

  constructor(server: ServerConnection, wanted: SettingValues) {
    this.#wanted = wanted
    this.#settings = wanted
    this.#touches = server.effects.touches
    this.#reports = server.settings.reportCount
  }

  /** A text that may set something is sent, or `bound` to a portal. Returns false where it may do anything else. */
  note({ text, localSteps: found }: SqlFacts, bound: boolean): boolean {
    if (found === undefined || (bound && found.tags !== 1) || CATALOG.test(text)) return false
    this.#pending = [...this.#pending, ...found.steps]
    this.#tags += found.tags
    this.#texts++
    this.#bound ||= bound
    return true
  }

  /** All that was sent is answered, and the block is open. Returns false where something else happened. */
  confirm(server: ServerConnection, changes: readonly string[]): boolean {
    if (server.effects.touches !== this.#touches + this.#tags) return false
    // Of several portals it is not known in which order they were executed.
    if (this.#bound && this.#texts !== 1) return false
    const steps = this.#pending.length === 0 ? this.#steps : [...this.#steps, ...this.#pending]
    if (!changes.every((name) => steps.some((step) => step.name === reportedKey(name)))) return false
    if (this.#pending.length > 0) this.#settings = withSteps(this.#wanted, steps)
    this.#steps = steps
    this.#pending = []
    this.#tags = 0
    this.#texts = 0
    this.#bound = false
    this.#touches = server.effects.touches
    this.#reports = server.settings.reportCount
    return true
  }

  /** What holds; undefined while that is not known. */
  settings({ effects, settings }: ServerConnection): ParseSettings | undefined {
    const known = this.#texts === 0 && effects.touches === this.#touches && settings.reportCount === this.#reports
    return known ? this.#settings : undefined
  }
}

function withSteps(wanted: SettingValues, all: readonly LocalStep[]): ParseSettings {
  const steps = all.filter(({ name }) => !isHarmless(name))
  if (steps.length === 0) return wanted
  // No name begins with a blank.
  const text = [wanted.fingerprint, ...steps.map(({ sql }) => ` ${sql}`)].join('\0')
  return { fingerprint: digestOf(text), values: wanted.values, steps }
}

/** What a transaction sets that begins to set something on `server`; undefined where that cannot be known. */
export function localSettings(server: ServerConnection, wanted: SettingValues): LocalSettings | undefined {
  return CATALOG.test(wanted.values.get('search_path') ?? '') ? undefined : new LocalSettings(server, wanted)
}

/** `text` may end a transaction, or take back what was set in it, and leave a block open behind it. */
export function mayUndo(text: string): boolean {
  return CONTROLS.test(text)
}
