/**
 * What one text says, read once: its effects at once, all else when somebody asks. Carried by whatever stands for the
 * text: a shared statement, the unnamed statement, a Query on its way. Texts without effects, which are nearly all, have
 * one object together, `NO_FACTS`: what can be asked of a text, it says only by words that are effects. Pure.
 */

import { BoundedMap } from '../util/bounded-map.ts'
import { type LastingState, lastingState, mayReseed } from './lasting-state.ts'
import { type LocalSteps, localSteps } from './local-steps.ts'
import { RESETTING, type SettingNames, settingNames } from './setting-names.ts'
import { setsShortLimit } from './short-limits.ts'
import { ANY, effectsOf, MEANING } from './state-effects.ts'
import { type StatementNames, statementNames } from './statement-names.ts'

/** One text, as bytes (latin1), and what it says. */
export class SqlFacts {
  /** '' of texts without effects, and of those that are not known. */
  readonly text: string
  /** What running it may leave behind in a session (state-effects). */
  readonly effects: number
  #settings: SettingNames | undefined
  #steps: LocalSteps | null | undefined
  #lasting: LastingState | null | undefined
  #statements: StatementNames | undefined
  #mayReset: boolean | undefined
  #mayReseed: boolean | undefined
  #setsShortLimit: boolean | undefined

  constructor(text: string, effects: number) {
    this.text = text
    this.effects = effects
  }

  /** It runs code whose effects it does not show: DO, CALL. */
  get runsCode(): boolean {
    return (this.effects & ANY) === ANY
  }

  /** Parameters it sets or resets. */
  get settings(): SettingNames {
    this.#settings ??= settingNames(this.text)
    return this.#settings
  }

  /** It may take parameters back to their defaults. */
  get mayReset(): boolean {
    this.#mayReset ??= RESETTING.test(this.text)
    return this.#mayReset
  }

  /** It may set `seed`. */
  get mayReseed(): boolean {
    this.#mayReseed ??= mayReseed(this.text, this.runsCode)
    return this.#mayReseed
  }

  /** It may set a limit of time to less than a second. */
  get setsShortLimit(): boolean {
    this.#setsShortLimit ??= setsShortLimit(this.text)
    return this.#setsShortLimit
  }

  /** What it sets for its transaction; undefined where it may do anything else. */
  get localSteps(): LocalSteps | undefined {
    if (this.#steps === undefined) this.#steps = localSteps(this.text) ?? null
    return this.#steps ?? undefined
  }

  /** What it leaves in the session for certain that cannot follow its client. */
  get lasting(): LastingState | undefined {
    if (this.#lasting === undefined) this.#lasting = lastingState(this.text) ?? null
    return this.#lasting ?? undefined
  }

  /** What it says of prepared statements by name. */
  get statements(): StatementNames {
    this.#statements ??= statementNames(this.text)
    return this.#statements
  }
}

/** Of all texts without effects. */
export const NO_FACTS = new SqlFacts('', 0)

/** Of code that is not known. */
export const UNKNOWN_CODE = new SqlFacts('', ANY)

/** By text: a program sets the same in each of its transactions, and a look costs a fraction of reading. */
const remembered = new BoundedMap<SqlFacts>(1000)
/** UTF-16 units of a text that is. */
const MEMORABLE = 400
/** The last text with effects that is not in that map, if it is short: several look at the same message in a row. */
let last = NO_FACTS

/** The last text without effects, if it is short: who decides how a Query is sent reads it, and who sends it. */
let harmless = ''

/** What `text` (latin1) says. */
export function factsOf(text: string): SqlFacts {
  if (text === harmless) return NO_FACTS
  const effects = effectsOf(text)
  if (effects === 0) {
    if (text.length <= MEMORABLE) harmless = text
    return NO_FACTS
  }
  if (text.length > MEMORABLE) return new SqlFacts(text, effects)
  if ((effects & MEANING) === 0) {
    if (last.text !== text) last = new SqlFacts(text, effects)
    return last
  }
  let facts = remembered.get(text)
  if (facts === undefined) remembered.set(text, (facts = new SqlFacts(text, effects)))
  return facts
}
