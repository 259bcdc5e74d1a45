/** One thing a micro-benchmark repeats. */
export interface MicroCase {
  /** What is measured, and the message it is measured with. */
  name: string
  /** Messages in one call of `run`: figures are per message. */
  messages: number
  /** Does the same each time it is called, and leaves everything as it was. */
  run(): void
  /** After so many calls what they left to microtasks is done, within the time that is measured; by default, never. */
  pauseAfter?: number
}

/** Cases of one part of pgbun. */
export interface MicroGroup {
  title: string
  cases: readonly MicroCase[]
}
