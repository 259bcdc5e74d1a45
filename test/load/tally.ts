/** What a run of the load scripts has counted. Of latencies a histogram is kept: a day takes no more memory than a second. */
import { createHistogram } from 'node:perf_hooks'
import { MixUp } from './scenario.ts'

/** Different messages that are kept; the errors beyond are counted. */
const MESSAGES = 10
/** The longest latency that can be told from longer ones, in microseconds. */
const HIGHEST = 600_000_000

export class Tally {
  queries = 0
  /** As pgbun counts them: transaction blocks that ended, and statements outside of one. */
  transactions = 0
  /** Sessions that got an answer to a query. */
  sessions = 0
  /** Entries that were committed. */
  entries = 0
  errors = 0
  mixUps = 0
  readonly #messages = new Map<string, number>()
  readonly #latencies = createHistogram({ lowest: 1, highest: HIGHEST, figures: 3 })

  answered(ms: number): void {
    this.queries++
    this.#latencies.record(Math.min(HIGHEST, Math.max(1, Math.round(ms * 1000))))
  }

  failed(error: unknown, where = ''): void {
    if (error instanceof MixUp) this.mixUps++
    else this.errors++
    const message = (where && `${where}: `) + messageOf(error)
    const count = this.#messages.get(message)
    if (count !== undefined || this.#messages.size < MESSAGES) this.#messages.set(message, (count ?? 0) + 1)
  }

  get messages(): { message: string; count: number }[] {
    return [...this.#messages].map(([message, count]) => ({ message, count }))
  }

  /** Milliseconds; null where there was no answer. */
  get latencies(): { avg: number | null; percentile(share: number): number | null } {
    const ms = (microseconds: number): number | null => (this.queries === 0 ? null : round(microseconds / 1000))
    return {
      avg: ms(this.#latencies.mean),
      percentile: (share) => ms(this.#latencies.percentile(share)),
    }
  }
}

/** Three digits behind the point. */
export function round(value: number): number {
  return Math.round(value * 1000) / 1000
}

/** What an error says, with its SQLSTATE; of several addresses that were tried, what each of them said. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { code?: unknown }
  const shown = typeof code === 'string' && !error.message.includes(code) ? ` (${code})` : ''
  return `${error.message || error.name}${shown}`
}
