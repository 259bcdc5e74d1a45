/**
 * Holds back whoever guesses passwords: after a few wrong ones for a user from one place, the next is looked at after a
 * pause that doubles up to `login_failure_delay`, and only one at the end of each pause, however many come at once.
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
  waiting: Set<() => void>
  timing: boolean
}

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

  /** Resolves when the next password of `pair` may be looked at; undefined where that is now. Rejects with `signal`'s reason. */
  turn(pair: string, signal: () => AbortSignal): Promise<void> | undefined {
    const failures = this.#failures.get(pair)
    if (failures === undefined || this.#pause(failures) === 0) return undefined
    if (now() >= failures.nextAt && failures.waiting.size === 0) {
      failures.nextAt = now() + this.#pause(failures)
      return undefined
    }
    return this.#wait(failures, signal())
  }

  /** A password was wrong. */
  failed(pair: string): void {
    const at = now()
    let failures = this.#failures.get(pair)
    if (failures === undefined || (at - failures.lastAt > MEMORY_MS && failures.waiting.size === 0)) {
      failures = { count: 0, lastAt: at, nextAt: 0, waiting: new Set(), timing: false }
      this.#failures.set(pair, failures)
    }
    failures.count++
    failures.lastAt = at
    failures.nextAt = Math.max(failures.nextAt, at + this.#pause(failures))
  }

  /** The user has logged in. */
  succeeded(pair: string): void {
    this.#welcome.set(pair, now())
  }

  #pause({ count, lastAt, waiting }: Failures): number {
    if (count < FREE || (now() - lastAt > MEMORY_MS && waiting.size === 0)) return 0
    return Math.min(this.#longestMs(), FIRST_MS * 2 ** Math.min(count - FREE, 20))
  }

  #wait(failures: Failures, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
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
      this.#time(failures)
    })
  }

  /** One timer for all that wait: it lets one of them go. */
  #time(failures: Failures): void {
    if (failures.timing || failures.waiting.size === 0) return
    failures.timing = true
    void delay(Math.max(1, failures.nextAt - now())).then(() => {
      failures.timing = false
      for (const go of failures.waiting) {
        failures.waiting.delete(go)
        failures.nextAt = now() + this.#pause(failures)
        go()
        break
      }
      this.#time(failures)
    })
  }
}

/** What is counted together. */
export function guessPair(neighbourhood: string, user: string): string {
  return `${neighbourhood}\0${user}`
}
