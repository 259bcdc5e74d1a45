/**
 * Metrics for a collector: the families of a scrape, in parts of bounded size, because an exporter writes what it is given in
 * one go. Pure.
 *
 * Names are those of a scrape, except that a counter has no `_total`: Prometheus adds it to what it is sent by OTLP.
 */

import type { Distribution, MetricFamily, Sample } from '../observe/metric.ts'
import { BOUNDS_MS } from '../util/histogram.ts'
import {
  CUMULATIVE,
  type DataPoint,
  DOUBLE,
  GAUGE,
  HISTOGRAM,
  type HistogramValue,
  type HrTime,
  type MetricData,
  type Resource,
  type ResourceMetrics,
  type Scope,
  SUM,
} from './exporter-data.ts'

/** Whose metrics they are, and from when to when they were counted. */
export interface MetricFrame {
  readonly resource: Resource
  readonly scope: Scope
  readonly startTime: HrTime
  readonly endTime: HrTime
}

/** So many series are in a part, which takes some milliseconds to write; one of a histogram counts as many. */
export const PART_SIZE = 1000
const HISTOGRAM_SIZE = 5

const BOUNDARIES = BOUNDS_MS.map((ms) => ms / 1000)

/** Units by the end of a name. */
const UNITS: readonly (readonly [end: string, unit: string])[] = [
  ['_seconds', 's'],
  ['_bytes', 'By'],
]

/** `families` in parts, each made when it is its turn. A family may be in several of them. */
export function* metricParts(families: Iterable<MetricFamily>, frame: MetricFrame): Generator<ResourceMetrics> {
  let metrics: MetricData[] = []
  let room = PART_SIZE
  for (const family of families) {
    const size = family.type === 'histogram' ? HISTOGRAM_SIZE : 1
    const series = family.type === 'histogram' ? family.distributions : family.samples
    for (let from = 0; from < series.length; ) {
      const to = from + Math.max(1, Math.floor(room / size))
      metrics.push(dataOf(family, from, to, frame))
      room -= (Math.min(to, series.length) - from) * size
      from = to
      if (room >= HISTOGRAM_SIZE) continue
      yield partOf(metrics, frame)
      metrics = []
      room = PART_SIZE
    }
  }
  if (metrics.length > 0) yield partOf(metrics, frame)
}

function partOf(metrics: MetricData[], { resource, scope }: MetricFrame): ResourceMetrics {
  return { resource, scopeMetrics: [{ scope, metrics }] }
}

/** The series of `family` from `from` to `to`. */
function dataOf(family: MetricFamily, from: number, to: number, frame: MetricFrame): MetricData {
  const name = family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name
  const unit = UNITS.find(([end]) => name.endsWith(end))?.[1] ?? ''
  const head = {
    descriptor: { name, description: family.help, unit, valueType: DOUBLE },
    aggregationTemporality: CUMULATIVE,
  } as const
  if (family.type === 'histogram') {
    const dataPoints = family.distributions.slice(from, to).map((one) => pointOf(one, distributionOf(one), frame))
    return { ...head, dataPointType: HISTOGRAM, dataPoints }
  }
  const dataPoints = family.samples.slice(from, to).map((sample) => pointOf(sample, sample.value, frame))
  if (family.type === 'gauge') return { ...head, dataPointType: GAUGE, dataPoints }
  return { ...head, dataPointType: SUM, isMonotonic: true, dataPoints }
}

function pointOf<Value>(
  { labels }: Pick<Sample, 'labels'>,
  value: Value,
  { startTime, endTime }: MetricFrame,
): DataPoint<Value> {
  return { startTime, endTime, attributes: labels, value }
}

function distributionOf({ counts: { buckets, sum } }: Distribution): HistogramValue {
  const count = buckets.reduce((sum, bucket) => sum + bucket, 0)
  return { count, sum: sum / 1000, buckets: { boundaries: BOUNDARIES, counts: buckets } }
}
