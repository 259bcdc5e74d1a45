/**
 * Metrics as text, in the formats of Prometheus and of OpenMetrics. prom-client writes them: escaping, order and the
 * differences of the two formats are its business. Its own gauges and counters are not used, because they hold state, and
 * all state is in the snapshot: each scrape has a registry of its own, which is given plain data.
 *
 * Comes in: families. Goes out: pieces of text of bounded size, so that the caller can let others have their turn in between.
 */

import { type Metric, Registry } from 'prom-client'
import { BOUNDS_MS } from '../util/histogram.ts'
import { cumulated, type Distribution, type MetricFamily } from './metric.ts'

/** The formats by their content types. */
export const PROMETHEUS = Registry.PROMETHEUS_CONTENT_TYPE
export const OPENMETRICS = Registry.OPENMETRICS_CONTENT_TYPE

export type ExpositionFormat = typeof PROMETHEUS | typeof OPENMETRICS

/** As prom-client has samples. */
interface Value {
  metricName?: string
  labels: Readonly<Record<string, string>>
  sharedLabels?: Readonly<Record<string, string>>
  value: number
}

/** The text of `families`, piece by piece. */
export async function* expose(families: Iterable<MetricFamily>, format: ExpositionFormat): AsyncGenerator<string> {
  const registry = new Registry<ExpositionFormat>()
  registry.setContentType(format)
  for (const family of families) {
    // OpenMetrics has the suffix at the samples alone.
    const name = format === OPENMETRICS && family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name
    const { help, type } = family
    let values: Value[] = []
    registry.registerMetric({ name, get: async () => ({ name, help, type, values }) } as unknown as Metric)
    let begun = false
    for (values of chunksOf(family)) {
      const text = await registry.getSingleMetricAsString(name)
      yield `${begun ? behindHead(text) : text}\n`
      begun = true
    }
  }
  if (format === OPENMETRICS) yield '# EOF\n'
}

/** So many values are written at once, which takes a millisecond or two. */
const CHUNK = 1000

/** The values of `family` in parts; one that is empty where there are none, for the sake of its head. */
function* chunksOf(family: MetricFamily): Generator<Value[]> {
  const values = family.type === 'histogram' ? distributionsOf(family.name, family.distributions) : family.samples
  let chunk: Value[] = []
  let begun = false
  for (const value of values) {
    chunk.push(value)
    if (chunk.length < CHUNK) continue
    yield chunk
    begun = true
    chunk = []
  }
  if (chunk.length > 0 || !begun) yield chunk
}

/** What follows the lines of HELP and TYPE. */
function behindHead(text: string): string {
  return text.slice(text.indexOf('\n', text.indexOf('\n') + 1) + 1)
}

function* distributionsOf(name: string, distributions: readonly Distribution[]): Generator<Value> {
  for (const one of distributions) yield* distributionValues(name, one)
}

const BOUNDS = [...BOUNDS_MS.map((ms) => String(ms / 1000)), '+Inf']

function distributionValues(name: string, { labels: sharedLabels, counts }: Distribution): Value[] {
  const { upTo, count } = cumulated(counts)
  return [
    ...upTo.map((value, i) => ({ metricName: `${name}_bucket`, labels: { le: BOUNDS[i]! }, sharedLabels, value })),
    { metricName: `${name}_sum`, labels: {}, sharedLabels, value: counts.sum / 1000 },
    { metricName: `${name}_count`, labels: {}, sharedLabels, value: count },
  ]
}
