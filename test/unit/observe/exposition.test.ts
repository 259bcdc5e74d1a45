/** Metrics as text: both formats, escaping, histograms, and names of strangers that would be written alike. */
import t from 'tap'
import { expose, OPENMETRICS, PROMETHEUS } from '../../../lib/observe/exposition.ts'
import { type MetricFamily, mergeSamples } from '../../../lib/observe/metric.ts'
import { BOUNDS_MS, Histogram } from '../../../lib/util/histogram.ts'

async function text(families: MetricFamily[], format = PROMETHEUS as typeof PROMETHEUS | typeof OPENMETRICS) {
  const pieces: string[] = []
  for await (const piece of expose(families, format)) pieces.push(piece)
  return pieces.join('')
}

const histogram = new Histogram()
for (const ms of [0.125, 0.25, 3, 70_000]) histogram.record(ms)

const families: MetricFamily[] = [
  {
    ...{ name: 'a_bytes_total', help: 'Bytes', type: 'counter' },
    samples: [{ labels: { name: 'x"\\\n' }, value: 1.5 }],
  },
  { name: 'b', help: 'A gauge', type: 'gauge', samples: [{ labels: {}, value: 0 }] },
  {
    ...{ name: 'c_seconds', help: 'Times', type: 'histogram' },
    distributions: [{ labels: { user: 'u' }, counts: histogram.counts() }],
  },
]

t.test('the format of Prometheus', async (t) => {
  const lines = (await text(families)).split('\n')
  t.same(lines.slice(0, 7), [
    '# HELP a_bytes_total Bytes',
    '# TYPE a_bytes_total counter',
    'a_bytes_total{name="x\\"\\\\\\n"} 1.5',
    '# HELP b A gauge',
    '# TYPE b gauge',
    'b 0',
    '# HELP c_seconds Times',
  ])
  t.same(
    lines.filter((line) => /^c_seconds_bucket/.test(line)).map((line) => line.replace('c_seconds_bucket', '')),
    [...BOUNDS_MS.map((ms) => `{le="${ms / 1000}",user="u"} ${ms < 5 ? 2 : 3}`), '{le="+Inf",user="u"} 4'],
  )
  t.ok(lines.includes('c_seconds_sum{user="u"} 70.003375'))
  t.ok(lines.includes('c_seconds_count{user="u"} 4'))
})

t.test('the format of OpenMetrics', async (t) => {
  const lines = (await text(families, OPENMETRICS)).split('\n')
  t.same(lines.slice(0, 3), ['# HELP a_bytes Bytes', '# TYPE a_bytes counter', 'a_bytes_total{name="x\\"\\\\\\n"} 1.5'])
  t.same(lines.slice(-2), ['# EOF', ''])
})

t.test('names that are written alike are one series', async (t) => {
  const samples = [
    { labels: { user: 'a\ud800' }, value: 1 },
    { labels: { user: 'a\udfff' }, value: 2 },
    { labels: { user: 'b' }, value: 4 },
  ]
  const merged = mergeSamples(samples, (a, b) => a + b)
  t.same(
    merged.map(({ value }) => value),
    [3, 4],
  )
  const bytes = Buffer.from(await text([{ name: 'x', help: 'X', type: 'gauge', samples: merged }]))
  t.equal(bytes.toString('utf8').includes('user="a\ufffd"'), true)
})

t.test('many series come in pieces, and make one family', async (t) => {
  const samples = Array.from({ length: 2500 }, (_, i) => ({ labels: { n: String(i) }, value: i }))
  const pieces: string[] = []
  for await (const piece of expose([{ name: 'x', help: 'X', type: 'gauge', samples }], PROMETHEUS)) pieces.push(piece)
  t.equal(pieces.length, 3)
  const lines = pieces.join('').trimEnd().split('\n')
  t.same(lines, ['# HELP x X', '# TYPE x gauge', ...samples.map(({ value }) => `x{n="${value}"} ${value}`)])
  t.equal(await text([{ name: 'x', help: 'X', type: 'gauge', samples: [] }]), '# HELP x X\n# TYPE x gauge\n')
})
