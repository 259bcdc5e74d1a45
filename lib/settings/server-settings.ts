/**
 * What one server connection has set: the parameters it reports, what a new session has of these, and what pgbun set
 * there that does not show. Clients compare with it what they want (client-settings.ts). Pure.
 *
 * Holds: nobody else changes any of the three, so that a comparison that found nothing to change holds until a verb of
 * this class is called.
 */

import { reportedKey, spellingOf } from '../sql/parameter-names.ts'
import { type Defaults, defaultsOf } from './server-defaults.ts'

/** A parameter pgbun set whose value is no longer known: it is set or reset before the next use. */
export const UNKNOWN = '\0'

/** The settings of one server connection. */
export class ServerSettings {
  /** Reported parameters as they stand, by the server's spelling. */
  readonly #reported: Map<string, string>
  /** Their names in lower case. */
  readonly #reportedKeys = new Set<string>()
  /** Reported parameters as a new session has them: what RESET goes back to. */
  readonly #baseline: Map<string, string>
  /** By lower-case name, what was set on a client's behalf and does not show: not reported, or as by default. */
  readonly #applied = new Map<string, string>()
  #defaults: Defaults | undefined
  /** Which wishes were compared last and found to be met; undefined from the next change on. */
  #matched: string | undefined
  #reports = 0
  #setsPlainly = false

  /** @param reported what the server reported before its first ReadyForQuery, by name as spelled by the server */
  constructor(reported: ReadonlyMap<string, string>) {
    this.#reported = new Map(reported)
    this.#baseline = new Map(reported)
    for (const name of reported.keys()) this.#reportedKeys.add(reportedKey(name))
  }

  // ---- what is reported ----

  /** The value reported of `name`, in the server's spelling. */
  get(name: string): string | undefined {
    return this.#reported.get(name)
  }

  /** All that is reported, by the server's spelling. */
  get reported(): ReadonlyMap<string, string> {
    return this.#reported
  }

  /** True where the server reports each change of the parameter `key` (in lower case) by itself. */
  reports(key: string): boolean {
    return this.#reportedKeys.has(key)
  }

  /** How the server spells the parameter `key` (in lower case) among those it reports. */
  spelling(key: string): string | undefined {
    return this.#reportedKeys.has(key) ? spellingOf(this.#reported, key) : undefined
  }

  /** How often the server reported anything: the settings that show are the same as long as this is. */
  get reportCount(): number {
    return this.#reports
  }

  /** The server reports that `name` is `value`. A module that was loaded may define parameters of its own. */
  report(name: string, value: string): void {
    if (!this.#reported.has(name)) this.#reportedKeys.add(reportedKey(name))
    this.#reported.set(name, value)
    this.#reports++
    this.#matched = undefined
  }

  // ---- what a new session has ----

  /** Reported parameters as a new session has them. */
  get baseline(): ReadonlyMap<string, string> {
    return this.#baseline
  }

  /** The same as a value that servers share. */
  get defaults(): Defaults {
    this.#defaults ??= defaultsOf(this.#baseline)
    return this.#defaults
  }

  /** True where `name`, in the server's spelling, is reported with the value a new session has. */
  isDefault(name: string): boolean {
    return this.#baseline.get(name) === this.#reported.get(name)
  }

  /** The same for `key`, in lower case; false where it is not reported. */
  isDefaultOf(key: string): boolean {
    const name = this.spelling(key)
    return name !== undefined && this.isDefault(name)
  }

  /** A new session has `value` of the parameter `name` from now on. */
  defaultBecame(name: string, value: string): void {
    this.#baseline.set(name, value)
    this.#defaults = undefined
    this.#matched = undefined
  }

  // ---- what was set and does not show ----

  /** What `key` (in lower case) was set to, where that does not show. */
  applied(key: string): string | undefined {
    return this.#applied.get(key)
  }

  /** Names, in lower case, of what is set and does not show. */
  appliedNames(): Iterable<string> {
    return this.#applied.keys()
  }

  /** `key` is about to be set or reset: until the answer is here, nobody knows what it is. */
  doubt(key: string): void {
    this.#applied.set(key, UNKNOWN)
    this.#matched = undefined
  }

  /** `key` was set to `value`, or reset where there is none. */
  wasSet(key: string, value: string | undefined): void {
    const name = value === undefined ? undefined : this.spelling(key)
    if (name !== undefined) {
      this.wasSetInSight(key, name)
      return
    }
    if (value === undefined) this.#applied.delete(key)
    else this.#applied.set(key, value)
    this.#matched = undefined
  }

  /**
   * The parameter `key`, which the server reports as `name`, was set. What was set to its default looks as if it were not,
   * and would stay when there is another default.
   */
  wasSetInSight(key: string, name: string): void {
    const hidden = this.isDefault(name) && key !== 'session_authorization'
    if (hidden) this.#applied.set(key, this.#reported.get(name)!)
    else this.#applied.delete(key)
    this.#matched = undefined
  }

  /** The session was reset: nothing is set any more that does not show. */
  wereReset(): void {
    this.#applied.clear()
    this.#matched = undefined
  }

  /** Something was run that may have reset parameters: which, nobody knows. */
  doubtAll(): void {
    for (const key of this.#applied.keys()) this.#applied.set(key, UNKNOWN)
    this.#matched = undefined
  }

  // ---- comparisons, and how a parameter is set ----

  /** True where nothing has changed since the wishes called `signature` were found to be met. */
  matches(signature: string): boolean {
    return this.#matched === signature
  }

  /** The wishes called `signature` are met. */
  noteMatch(signature: string): void {
    this.#matched = signature
  }

  /** The server does not let its users call set_config(). */
  get setsPlainly(): boolean {
    return this.#setsPlainly
  }

  /** A call of set_config() was refused. */
  setConfigRefused(): void {
    this.#setsPlainly = true
  }
}
