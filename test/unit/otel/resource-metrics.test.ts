import type { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import t from 'tap'
import type { MetricFamily } from '../../../lib/observe/metric.ts'
import { hrTime } from '../../../lib/otel/exporter-data.ts'
import { metricParts, PART_SIZE } from '../../../lib/otel/resource-metrics.ts'
import { BOUNDS_MS, emptyCounts, Histogram } from '../../../lib/util/histogram.ts'

const frame = {
  resource: { attributes: { 'service.name': 'pgbun' } },
  scope: { name: 'pgbun', version: '1' },
  startTime: hrTime(1_500),
  endTime: hrTime(2_000.25),
}

const metricsOf = (families: MetricFamily[]) =>
  [...metricParts(families, frame)].flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))

t.test('a family becomes a metric of its kind, name and unit', async (t) => {
  const samples = [{ labels: { database: 'a' }, value: 3 }]
  const histogram = new Histogram()
  for (const ms of [0.1, 3, 70_000]) histogram.record(ms)
  const [counter, time, size, distribution] = metricsOf([
    { name: 'a_total', help: 'A', type: 'counter', samples },
    { name: 'b_seconds_total', help: 'B', type: 'counter', samples },
    { name: 'c_bytes', help: 'C', type: 'gauge', samples },
    { name: 'd_seconds', help: 'D', type: 'histogram', distributions: [{ labels: {}, counts: histogram.counts() }] },
  ])
  t.match(counter, {
    descriptor: { name: 'a', description: 'A', unit: '', valueType: 1 },
    ...{ aggregationTemporality: 1, dataPointType: 3, isMonotonic: true },
    dataPoints: [{ startTime: [1, 500_000_000], endTime: [2, 250_000], attributes: { database: 'a' }, value: 3 }],
  })
  t.match(time?.descriptor, { name: 'b_seconds', unit: 's' })
  t.match(size, { descriptor: { name: 'c_bytes', unit: 'By' }, dataPointType: 2 })
  t.match(distribution, {
    dataPointType: 0,
    dataPoints: [{ value: { count: 3, sum: 70.0031, buckets: { boundaries: BOUNDS_MS.map((ms) => ms / 1000) } } }],
  })
  const { counts } = (distribution as { dataPoints: { value: { buckets: { counts: number[] } } }[] }).dataPoints[0]!
    .value.buckets
  t.equal(counts.length, BOUNDS_MS.length + 1)
  t.strictSame([counts[0], counts.at(-1)], [1, 1])
})

t.test('many series come in parts of bounded size, and none is lost', async (t) => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => ({ labels: { i: String(i) }, value: i }))
  const families: MetricFamily[] = [
    { name: 'a', help: '', type: 'gauge', samples: many(2500) },
    { name: 'none', help: '', type: 'gauge', samples: [] },
    {
      ...{ name: 'h', help: '', type: 'histogram' },
      distributions: many(700).map(({ labels }) => ({ labels, counts: emptyCounts() })),
    },
    { name: 'b', help: '', type: 'gauge', samples: many(1) },
  ] as MetricFamily[]
  const parts = [...metricParts(families, frame)]
  const sizes = parts.map(({ scopeMetrics: [scope] }) =>
    scope!.metrics.reduce(
      (sum, { dataPoints, dataPointType }) => sum + dataPoints.length * (dataPointType === 0 ? 5 : 1),
      0,
    ),
  )
  t.ok(
    sizes.every((size) => size <= PART_SIZE && size > 0),
    String(sizes),
  )
  for (const [name, count] of [
    ['a', 2500],
    ['h', 700],
    ['b', 1],
  ] as const) {
    const points = metricsOf(families).flatMap((metric) =>
      metric.descriptor.name === name ? metric.dataPoints.map(({ attributes }) => attributes) : [],
    )
    t.equal(new Set(points.map(({ i }) => i)).size, count)
    t.equal(points.length, count)
  }
  t.strictSame([...metricParts([], frame)], [])
})

t.test('it is what the exporter takes', async (t) => {
  // Compared by the compiler.
  const [part] = metricParts([{ name: 'a', help: '', type: 'gauge', samples: [{ labels: {}, value: 1 }] }], frame)
  const taken: Pick<Parameters<OTLPMetricExporter['export']>[0], 'scopeMetrics'> = part!
  t.equal(taken.scopeMetrics.length, 1)
})
