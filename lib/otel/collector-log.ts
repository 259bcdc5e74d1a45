/** Says in the log that a collector does not take what it is sent, now and then, and that it does again. */

import type { Logger } from '../util/logger.ts'

/** Failures are said once in so many ms. */
const SILENCE_MS = 60_000
const REMEDY =
  'check that the collector runs, and takes OTLP at OTEL_EXPORTER_OTLP_ENDPOINT in the way that OTEL_EXPORTER_OTLP_PROTOCOL ' +
  'says (most have grpc at port 4317, the others at 4318)'

/** What is said of one kind of data. */
export class CollectorLog {
  readonly #what: string
  readonly #log: Logger
  readonly #now: () => number
  /** The last word was that it fails. */
  #failing = false
  #failedAt = Number.NEGATIVE_INFINITY
  #overloadedAt = Number.NEGATIVE_INFINITY

  /** @param what is sent: `metrics` or `spans` */
  constructor(what: string, log: Logger, now: () => number) {
    this.#what = what
    this.#log = log
    this.#now = now
  }

  /** @param dropped how many were lost since its last call, of which the log is told */
  failed(reason: string, dropped: () => number): void {
    const at = this.#now()
    if (at - this.#failedAt < SILENCE_MS) return
    this.#failedAt = at
    this.#failing = true
    const fields = { reason, dropped: dropped() || undefined, remedy: REMEDY }
    this.#log.warn(`OpenTelemetry: the collector does not take ${this.#what}`, fields)
  }

  /** Something was sent. */
  succeeded(dropped: () => number): void {
    if (this.#failing) {
      this.#failing = false
      this.#log.info(`OpenTelemetry: the collector takes ${this.#what} again`, { dropped: dropped() || undefined })
      return
    }
    const at = this.#now()
    if (at - this.#overloadedAt < SILENCE_MS) return
    const count = dropped()
    if (count === 0) return
    this.#overloadedAt = at
    const remedy = 'have applications sample fewer traces'
    this.#log.warn(`OpenTelemetry: ${this.#what} were lost`, { dropped: count, remedy })
  }
}
