/**
 * Sends metrics and spans to a collector, by exporters of OpenTelemetry: metrics at an interval, spans in batches, and what
 * is left at the end.
 *
 * What must hold: clients have their turn between two parts of what is sent. A collector that is slow or not there costs
 * bounded memory and a line in the log now and then, and keeps nobody from ending.
 */

import type { SpanSink, TracedStatement } from '../client/lifecycle/span-sink.ts'
import type { MetricFamily } from '../observe/metric.ts'
import { after, afterTurn, every, nextTurn, now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { RandomPool } from '../util/random-pool.ts'
import { CollectorLog } from './collector-log.ts'
import { type Exporter, type ExportResult, hrTime, type Resource, type Scope } from './exporter-data.ts'
import type { Exporters } from './packages.ts'
import { metricParts } from './resource-metrics.ts'
import { BATCH_SIZE, SpanQueue } from './span-queue.ts'
import { type SpanFrame, spansOf } from './spans.ts'

/** What it is given. */
export interface TelemetryParts {
  readonly exporters: Exporters
  readonly metricIntervalMs: number
  /** Spans are sent at least this often. */
  readonly spanDelayMs: number
  readonly resource: Resource
  readonly scope: Scope
  /** When the process was started, in milliseconds since 1970: metrics are counted from then on. */
  readonly startedAt: number
  /** All metrics of one moment, made one after the other. */
  families(): Iterable<MetricFamily>
  readonly log: Logger
}

/** What one process sends. */
export class Telemetry {
  /** Takes the statements that become spans; undefined where none are sent. */
  readonly spans: SpanSink | undefined
  readonly #parts: TelemetryParts
  readonly #queue = new SpanQueue<TracedStatement>()
  readonly #frame: SpanFrame
  readonly #metricLog: CollectorLog
  readonly #spanLog: CollectorLog
  readonly #stops: (() => void)[] = []
  #sendingMetrics: Promise<void> | undefined
  #sendingSpans: Promise<void> | undefined
  #flushSoon = false
  #closed = false

  constructor(parts: TelemetryParts) {
    this.#parts = parts
    const { exporters, metricIntervalMs, spanDelayMs, resource, scope, log } = parts
    this.#frame = { resource, scope, newSpanId }
    this.#metricLog = new CollectorLog('metrics', log, now)
    this.#spanLog = new CollectorLog('spans', log, now)
    if (exporters.metrics) this.#stops.push(every(metricIntervalMs, () => void this.#sendMetrics()))
    if (exporters.traces === undefined) return
    this.spans = { add: (statement) => this.#add(statement) }
    this.#stops.push(every(spanDelayMs, () => void this.#sendSpans()))
  }

  /** Send what there is and stop, within `timeoutMs`. Never rejects. */
  async close(timeoutMs: number): Promise<void> {
    if (this.#closed) return
    for (const stop of this.#stops) stop()
    const { metrics, traces } = this.#parts.exporters
    const last = async (): Promise<void> => {
      await Promise.all([this.#sendSpans(), this.#sendLastMetrics()])
      await Promise.all([metrics?.shutdown(), traces?.shutdown()])
    }
    await new Promise<void>((resolve) => {
      const stopWaiting = after(timeoutMs, resolve)
      const over = (): void => {
        stopWaiting()
        resolve()
      }
      last().then(over, over)
    })
    this.#closed = true
    const left = this.#queue.size + this.#queue.takeDropped()
    if (left > 0) this.#parts.log.warn('OpenTelemetry: spans were not sent before the end', { dropped: left })
  }

  #add(statement: TracedStatement): void {
    if (this.#closed) return
    this.#queue.push(statement)
    // Those under way go on until none is left.
    if (this.#queue.size < BATCH_SIZE || this.#flushSoon || this.#sendingSpans) return
    this.#flushSoon = true
    afterTurn(() => {
      this.#flushSoon = false
      void this.#sendSpans()
    })
  }

  /** Those of this moment, behind those that are being sent. */
  async #sendLastMetrics(): Promise<void> {
    if (this.#parts.exporters.metrics === undefined) return
    const families = this.#parts.families()
    await this.#sendingMetrics
    await this.#sendMetrics(families)
  }

  /** Send the metrics, unless the last ones are still being sent. */
  #sendMetrics(families?: Iterable<MetricFamily>): Promise<void> {
    this.#sendingMetrics ??= this.#exportMetrics(families).finally(() => {
      this.#sendingMetrics = undefined
    })
    return this.#sendingMetrics
  }

  async #exportMetrics(families: Iterable<MetricFamily> | undefined): Promise<void> {
    const { exporters, resource, scope, startedAt } = this.#parts
    if (exporters.metrics === undefined || this.#closed) return
    const frame = { resource, scope, startTime: hrTime(startedAt), endTime: hrTime(Date.now()) }
    for (const part of metricParts(families ?? this.#parts.families(), frame)) {
      const failure = await exported(exporters.metrics, part)
      if (failure !== undefined) {
        this.#metricLog.failed(failure, () => 0)
        return
      }
      await nextTurn()
    }
    this.#metricLog.succeeded(() => 0)
  }

  /** Send all spans that wait. */
  #sendSpans(): Promise<void> {
    this.#sendingSpans ??= this.#exportSpans().finally(() => {
      this.#sendingSpans = undefined
    })
    return this.#sendingSpans
  }

  async #exportSpans(): Promise<void> {
    const exporter = this.#parts.exporters.traces
    const dropped = (): number => this.#queue.takeDropped()
    while (exporter !== undefined && this.#queue.size > 0) {
      const statements = this.#queue.take()
      const epoch = Date.now() - now()
      const spans = statements.flatMap((statement) => spansOf(statement, epoch, this.#frame))
      const failure = await exported(exporter, spans)
      if (failure !== undefined) {
        this.#queue.lost(statements.length)
        this.#spanLog.failed(failure, dropped)
        return
      }
      this.#spanLog.succeeded(dropped)
      await nextTurn()
    }
  }
}

/** Why `data` was not taken; undefined where it was. */
function exported<Data>(exporter: Exporter<Data>, data: Data): Promise<string | undefined> {
  return new Promise((resolve) => {
    try {
      exporter.export(data, ({ code, error }: ExportResult) => {
        resolve(code === 0 ? undefined : (error?.message ?? 'no reason is given'))
      })
    } catch (error) {
      resolve((error as Error).message)
    }
  })
}

const ids = new RandomPool()

function newSpanId(): string {
  for (;;) {
    const id = ids.take(8).toString('hex')
    if (id !== '0000000000000000') return id
  }
}
