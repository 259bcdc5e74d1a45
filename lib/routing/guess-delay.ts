/**
 * Holds back whoever guesses passwords: after a few wrong ones for a user from one place, the next is looked at after a
 * pause that doubles up to `login_failure_delay`, and only one at the end of each pause, however many come at once: also
 * before the first of them was found wrong, no more are looked at than may be wrong for nothing.
 *
 * Nobody is locked out: what is counted is the pair of place and user, so that a guesser somewhere else means nothing to
 * the user, and a place from which the user has logged in before is not held back beforehand. There only the answer to a
 * wrong password waits. Who leaves takes its turn along. Bounded in memory.
 */

import { BoundedMap } from '../util/bounded-map.ts'
import { delay, now } from '../util/clock.ts'

/** Wrong passwords that cost nothing: people mistype. */
const FREE = 3
/** The first pause. */
const FIRST_MS = 250
/** After so long without a failure all is forgotten. */
const MEMORY_MS = 60_000
/** How long a login speaks for the place it came from. */
const TRUST_MS = 24 * 3_600_000
/** Pairs remembered, of either kind. */
const PAIRS = 10_000

/** The failures of one user from one place. */
interface Failures {
  count: number
  lastAt: number
  /** When the next is looked at. */
  nextAt: number
  /** How many are looked at: each may be one more failure. */
  underWay: number
  waiting: Set<() => void>
  timing: boolean
}

/** To be called when a password has been judged, or never will be. */
export type TurnOver = () => void

const NOTHING_TO_END: TurnOver = () => {}

export class GuessDelay {
  readonly #longestMs: () => number
  readonly #failures = new BoundedMap<Failures>(PAIRS)
  /** When a pair last logged in. */
  readonly #welcome = new BoundedMap<number>(PAIRS)

  /** @param longestMs `login_failure_delay` */
  constructor(longestMs: () => number) {
    this.#longestMs = longestMs
  }

  /** The user has logged in from there a while ago. */
  isWelcome(pair: string): boolean {
    const at = this.#welcome.get(pair)
    return at !== undefined && now() - at < TRUST_MS
  }

  /** When the next password of `pair` may be looked at: now, or when this resolves. Rejects with `signal`'s reason. */
  turn(pair: string, signal: () => AbortSignal): TurnOver | Promise<TurnOver> {
    if (this.#longestMs() === 0) return NOTHING_TO_END
    const failures = this.#of(pair)
    const over = this.#ending(pair, failures)
    if (failures.waiting.size > 0 || !this.#mayGo(failures)) return this.#wait(failures, signal(), over)
    this.#go(failures)
    return over
  }

  /** A password was wrong. */
  failed(pair: string): void {
    const failures = this.#of(pair)
    failures.count++
    failures.lastAt = now()
    failures.nextAt = Math.max(failures.nextAt, now() + this.#pause(failures))
  }

  /** The user has logged in. */
  succeeded(pair: string): void {
    this.#welcome.set(pair, now())
  }

  #of(pair: string): Failures {
    let failures = this.#failures.get(pair)
    if (failures === undefined) {
      failures = { count: 0, lastAt: 0, nextAt: 0, underWay: 0, waiting: new Set(), timing: false }
      this.#failures.set(pair, failures)
    } else if (now() - failures.lastAt > MEMORY_MS && failures.waiting.size === 0) failures.count = failures.nextAt = 0
    return failures
  }

  #pause({ count }: Failures): number {
    return count < FREE ? 0 : Math.min(this.#longestMs(), FIRST_MS * 2 ** Math.min(count - FREE, 20))
  }

  /** As long as they cost nothing, no more are looked at than may be wrong; then one in each pause. */
  #mayGo(failures: Failures): boolean {
    const { count, underWay, nextAt } = failures
    return this.#pause(failures) === 0 ? count >= FREE || count + underWay < FREE : now() >= nextAt
  }

  #go(failures: Failures): void {
    failures.underWay++
    failures.nextAt = now() + this.#pause(failures)
  }

  #ending(pair: string, failures: Failures): TurnOver {
    return () => {
      failures.underWay--
      this.#next(failures)
      const { count, underWay, waiting } = failures
      if (count > 0 || underWay > 0 || waiting.size > 0) return
      if (this.#failures.get(pair) === failures) this.#failures.delete(pair)
    }
  }

  #wait(failures: Failures, signal: AbortSignal, over: TurnOver): Promise<TurnOver> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave)
        resolve(over)
      }
      const leave = (): void => {
        failures.waiting.delete(go)
        reject(signal.reason)
      }
      if (signal.aborted) {
        reject(signal.reason)
        return
      }
      signal.addEventListener('abort', leave)
      failures.waiting.add(go)
      this.#next(failures)
    })
  }

  /** Let those go whose turn it is; one timer for all others. */
  #next(failures: Failures): void {
    for (const go of failures.waiting) {
      if (!this.#mayGo(failures)) break
      failures.waiting.delete(go)
      this.#go(failures)
      go()
    }
    // Without a pause it is the end of those under way that lets others go.
    if (failures.timing || failures.waiting.size === 0 || this.#pause(failures) === 0) return
    failures.timing = true
    void delay(Math.max(1, failures.nextAt - now())).then(() => {
      failures.timing = false
      this.#next(failures)
    })
  }
}

/** What is counted together. */
export function guessPair(neighbourhood: string, user: string): string {
  return `${neighbourhood}\0${user}`
}
