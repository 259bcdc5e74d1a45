/**
 * What a client has in the session of its server that cannot be given to another one, by kind: found there when it was
 * looked at (state-question.ts), or noted where nobody could ask for it afterwards. release.ts makes of it what `session_state`
 * says: the client keeps its server, its session ends, or the state does.
 *
 * Holds: where it is not known what is there, something is.
 */

import type { StatePolicy } from '../../pool/settings.ts'
import { type PinKind, STATE_KINDS } from '../../sql/state-kinds.ts'

/** Why a client keeps its server: what a value is, depends on the encoding of the client, or is known to nobody. */
export const ENCODED_VALUE = 'a setting in another encoding than UTF8'

// Of the many clients that leave nothing behind: one map and one list for all of them.
const NOTHING: ReadonlyMap<PinKind, string> = new Map()
const NO_NAMES: readonly string[] = []
/** So many parameters can be asked for after code has run. */
const ASKED_LIMIT = 1000
/** So many of the parameters that were looked for after code are looked for after other code. */
const HIDDEN_LIMIT = 50

/** The state of one client that no other server has. */
export class RememberedState {
  /** What becomes of it. */
  readonly policy: StatePolicy
  /** What there is, in words. */
  #found: ReadonlyMap<PinKind, string> = NOTHING
  #forGood = false
  #hiddenSettings: readonly string[] = NO_NAMES

  constructor(policy: StatePolicy) {
    this.policy = policy
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

  /** There is something, and the client may not keep it. */
  get mustGo(): boolean {
    return this.policy !== 'pin' && this.#found.size > 0
  }

  /** State of a kind is there. */
  find(kind: PinKind, reason: string = STATE_KINDS[kind].label): void {
    this.#found = new Map(this.#found).set(kind, reason)
  }

  /** There is state of which nobody can ask when it is gone. */
  foundForGood(kind: PinKind, reason?: string): void {
    this.find(kind, reason)
    this.#forGood = true
  }

  /** State of a kind is not there any more. */
  lose(kind: PinKind): void {
    if (!this.#found.has(kind)) return
    const found = new Map(this.#found)
    found.delete(kind)
    this.#found = found
  }

  /** All of it has been taken from the client. */
  forget(): void {
    this.#found = NOTHING
    this.#forGood = false
  }

  // ---- what PostgreSQL does not list ----

  /** Parameters of applications to ask for after code whose effects its text does not show. */
  get hiddenSettings(): readonly string[] {
    return this.#hiddenSettings
  }

  /** Ask for the parameters `names` as well; false where these are more than can be asked for. */
  lookFor(names: readonly string[]): boolean {
    const before = this.#hiddenSettings
    if (names.every((name) => before.includes(name))) return true
    const all = [...new Set([...names, ...before])]
    this.#hiddenSettings = all.slice(0, ASKED_LIMIT)
    return all.length <= ASKED_LIMIT
  }

  /** PostgreSQL is asked: the last of them are asked for again. */
  askedForHidden(): void {
    if (this.#hiddenSettings.length > HIDDEN_LIMIT) this.#hiddenSettings = this.#hiddenSettings.slice(0, HIDDEN_LIMIT)
  }
}
