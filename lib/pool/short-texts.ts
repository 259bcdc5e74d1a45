/**
 * Which statements have shown to be short, so that others may be sent behind them on the same server (pipeline.ts): of each
 * one of a pool, by its fingerprint, how long it has kept a server and how large its answers are. A statement is alone until
 * it has been short several times; one that was slow is alone again, each time for longer. Pure but for the clock's values
 * that it is given.
 */

import type { Fingerprint } from '../sql/fingerprint.ts'
import type { Counters } from './counters.ts'

/** A statement that has a larger answer is not short (bytes). */
const SHORT_BYTES = 16_384
/** So often it has to be short until others may be sent behind it. */
const TRIALS = 8
/** The same for one that has been slow since; doubled each time, as far as the last. */
const AGAIN = 1000
const AGAIN_LIMIT = 1_000_000
/** So often it has to be short, shared, until one slow run is forgotten. */
const FORGIVEN = 20_000
/** After so many runs alone, what a run behind others takes is found out again. */
const STALE = 1000
/** What the last run counts for the average. */
const WEIGHT = 1 / 16
/** So many statements of each of two generations are known. */
const GENERATION = 2000

/** One statement of one pool. */
export class ShortText {
  /** It may be run again (sql/plain-read.ts); undefined until somebody has looked. */
  isRead: boolean | undefined
  /** Others may be sent behind it. */
  admitted = false
  /** Expected time on the server (ms); with the way there and back, as long as it was never behind others. */
  cost = 0
  readonly fingerprint: Fingerprint
  readonly #texts: ShortTexts
  /** How often it must be short still. */
  #trials = TRIALS
  /** What that is after the next slow run. */
  #again = AGAIN
  #shared = 0
  /** Runs behind others since that was found out again, and runs alone since. */
  #behind = 0
  #alone = 0
  #runs = 0
  #never = false

  constructor(fingerprint: Fingerprint, texts: ShortTexts) {
    this.fingerprint = fingerprint
    this.#texts = texts
  }

  /** What it takes behind others is not known well: one may be sent behind another, however long they are expected to take. */
  get isNew(): boolean {
    return this.#behind < TRIALS
  }

  /**
   * It has run for `ms`, or a part of that, and its answer has `bytes`.
   * @param behind others ran ahead of it on the same server until then
   */
  ran(ms: number, bytes: number, behind: boolean): void {
    if (ms > this.#texts.limitMs() || bytes > SHORT_BYTES) {
      this.wasSlow()
      return
    }
    this.#average(ms, behind)
    if (!this.admitted) this.#tried()
    else if (++this.#shared >= FORGIVEN) {
      this.#shared = 0
      this.#again = Math.max(AGAIN, this.#again / 2)
    }
  }

  #average(ms: number, behind: boolean): void {
    if (behind) this.#behind++
    else if (this.#behind > 0) {
      if (++this.#alone < STALE) return
      this.#alone = 0
      this.#behind = 0
      return
    }
    if (this.#runs++ === 0 || (behind && this.#behind === 1)) this.cost = ms
    else this.cost += (ms - this.cost) * WEIGHT
  }

  /** It has kept a server for too long, or its answer was too large. */
  wasSlow(): void {
    if (this.admitted) {
      this.#texts.counters.expelledTexts++
      this.#texts.admitted--
      this.admitted = false
      this.#trials = this.#again
      this.#again = Math.min(AGAIN_LIMIT, this.#again * 2)
    } else this.#trials = Math.max(this.#trials, TRIALS)
    this.#shared = 0
  }

  /** It has done what it cannot do by what is known of it: it is always alone from now on. */
  isWrong(): void {
    this.wasSlow()
    this.#never = true
    this.#texts.counters.wrongGuesses++
  }

  /** It is not known any more. */
  forgotten(): void {
    if (this.admitted) this.#texts.admitted--
    this.admitted = false
    this.#never = true
  }

  #tried(): void {
    if (this.#never || --this.#trials > 0) return
    this.admitted = true
    this.#texts.admitted++
  }
}

/** The statements of one pool, of which those used last are known. */
export class ShortTexts {
  /** How many others may be sent behind. */
  admitted = 0
  readonly counters: Pick<Counters, 'expelledTexts' | 'wrongGuesses'>
  #young = new Map<Fingerprint, ShortText>()
  #old = new Map<Fingerprint, ShortText>()

  /**
   * A statement that takes longer (ms) is not short: the most that others may have to wait for one. How many may be sent
   * together is decided by what they take on the average, which is far less (pipelines.ts).
   */
  readonly limitMs: () => number

  /** @param counters where slow and wrong ones are counted */
  constructor(counters: Pick<Counters, 'expelledTexts' | 'wrongGuesses'>, limitMs: () => number) {
    this.counters = counters
    this.limitMs = limitMs
  }

  /** What is known of the statement with this fingerprint. */
  of(fingerprint: Fingerprint): ShortText {
    const known = this.#young.get(fingerprint)
    if (known !== undefined) return known
    const text = this.#old.get(fingerprint) ?? new ShortText(fingerprint, this)
    this.#old.delete(fingerprint)
    if (this.#young.size >= GENERATION) {
      for (const forgotten of this.#old.values()) forgotten.forgotten()
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(fingerprint, text)
    return text
  }
}
