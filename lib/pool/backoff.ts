/** How long to leave a failing server alone: doubling with jitter, so that many poolers do not return in step. */

const FIRST_MS = 100

/** Delay after consecutive failures. */
export class Backoff {
  #failures = 0
  #until = 0

  /** True while no attempt shall be made. */
  active(at: number): boolean {
    return at < this.#until
  }

  /** Milliseconds until the next attempt. */
  left(at: number): number {
    return Math.max(0, this.#until - at)
  }

  /** An attempt failed. `limitMs` is the longest pause. */
  failed(at: number, limitMs: number): void {
    const pause = Math.min(limitMs, FIRST_MS * 2 ** this.#failures)
    if (this.#failures < 30) this.#failures++
    this.#until = at + pause * (0.5 + Math.random() / 2)
  }

  /** An attempt succeeded. */
  succeeded(): void {
    this.#failures = 0
    this.#until = 0
  }
}
