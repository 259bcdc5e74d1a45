/**
 * Metrics and spans in the form that OpenTelemetry's exporters take, as plain data: no meter and no tracer is needed to make
 * it. Names and numbers are those of the packages `@opentelemetry/sdk-metrics` and `@opentelemetry/sdk-trace` 2.
 */

/** Seconds and nanoseconds since 1970. */
export type HrTime = [number, number]

export type Attributes = Record<string, string | number>

export interface Resource {
  readonly attributes: Attributes
}

export interface Scope {
  readonly name: string
  readonly version: string
}

/** AggregationTemporality.CUMULATIVE */
export const CUMULATIVE = 1
/** ValueType.DOUBLE */
export const DOUBLE = 1
// DataPointType
export const HISTOGRAM = 0
export const GAUGE = 2
export const SUM = 3

/** One series. */
export interface DataPoint<Value> {
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly attributes: Attributes
  readonly value: Value
}

export interface HistogramValue {
  readonly count: number
  readonly sum: number
  readonly buckets: { readonly boundaries: number[]; readonly counts: number[] }
}

interface MetricHead {
  readonly descriptor: {
    readonly name: string
    readonly description: string
    readonly unit: string
    readonly valueType: typeof DOUBLE
  }
  readonly aggregationTemporality: typeof CUMULATIVE
}

export type MetricData = MetricHead &
  (
    | { readonly dataPointType: typeof SUM; readonly isMonotonic: boolean; readonly dataPoints: DataPoint<number>[] }
    | { readonly dataPointType: typeof GAUGE; readonly dataPoints: DataPoint<number>[] }
    | { readonly dataPointType: typeof HISTOGRAM; readonly dataPoints: DataPoint<HistogramValue>[] }
  )

export interface ResourceMetrics {
  readonly resource: Resource
  readonly scopeMetrics: { readonly scope: Scope; readonly metrics: MetricData[] }[]
}

// SpanKind
export const INTERNAL = 0
export const CLIENT = 2
// SpanStatusCode
export const UNSET = 0
export const ERROR = 2
/** TraceFlags.SAMPLED */
export const SAMPLED = 1

export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
  readonly traceFlags: typeof SAMPLED
  readonly traceState?: { serialize(): string }
  readonly isRemote?: boolean
}

export interface ReadableSpan {
  readonly name: string
  readonly kind: typeof INTERNAL | typeof CLIENT
  spanContext(): SpanContext
  readonly parentSpanContext: SpanContext
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly duration: HrTime
  readonly ended: true
  readonly status: { readonly code: typeof UNSET | typeof ERROR; readonly message?: string }
  readonly attributes: Attributes
  readonly droppedAttributesCount: number
  readonly links: never[]
  readonly droppedLinksCount: number
  readonly events: never[]
  readonly droppedEventsCount: number
  readonly resource: Resource
  readonly instrumentationScope: Scope
}

/** What an export came to; 0 is success. */
export interface ExportResult {
  readonly code: number
  readonly error?: Error
}

/** Sends what it is given, and tries again for a while where the collector is not there. */
export interface Exporter<Data> {
  export(data: Data, done: (result: ExportResult) => void): void
  shutdown(): Promise<void>
}

/** Of milliseconds since 1970. */
export function hrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.round((ms - seconds * 1000) * 1e6)]
}
