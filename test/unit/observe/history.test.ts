/** What a pooler did lately: rates and percentiles between two looks, and rings that forget the oldest. */

import t from 'tap'
import { HISTORY_BYTES, History, shownSample } from '../../../lib/observe/history.ts'
import { type Pulse, quantile, sampleBetween } from '../../../lib/observe/pulse.ts'
import { emptyCounts, Histogram } from '../../../lib/util/histogram.ts'

function pulse(at: number, values: { queries?: number; waiting?: number; query?: Pulse['query'] } = {}): Pulse {
  const { queries = 0, waiting = 0, query = emptyCounts() } = values
  return {
    at,
    counters: { transactions: queries / 2, queries, received: 0, sent: 0 },
    errors: 0,
    query,
    clients: 7,
    waiting,
    maxWait: waiting * 10,
    servers: 3,
    active: 2,
  }
}

t.test('rates are per second, and nothing goes below zero', async (t) => {
  const sample = sampleBetween(pulse(1000, { queries: 10 }), pulse(3000, { queries: 50 }))
  t.match(sample, { at: 3000, queries: 20, transactions: 10, clients: 7, servers: 3, active: 2 })
  t.ok(Number.isNaN(sample.p50), 'nothing was measured')
  t.equal(shownSample(sample).p50, null, 'JSON has no NaN')
  const query = emptyCounts()
  query.buckets[3] = 5
  t.equal(sampleBetween(pulse(0, { queries: 9, query }), pulse(1000)).queries, 0, 'a pool was forgotten')
  t.ok(Number.isNaN(sampleBetween(pulse(0, { query }), pulse(1000)).p99))
})

t.test('percentiles lie within the bucket of the duration', async (t) => {
  const histogram = new Histogram()
  for (let i = 0; i < 98; i++) histogram.record(3)
  histogram.record(700)
  histogram.record(700)
  const { buckets } = histogram.counts()
  const p50 = quantile(buckets, 0.5)
  t.ok(p50 > 2.5 && p50 <= 5, String(p50))
  const p99 = quantile(buckets, 0.99)
  t.ok(p99 > 500 && p99 <= 1000, String(p99))
  histogram.record(1e9)
  t.equal(quantile(histogram.counts().buckets, 1), 60_000, 'the last bucket has no end')
  const sum = emptyCounts()
  histogram.addTo(sum)
  histogram.addTo(sum)
  t.equal(
    sum.buckets.reduce((all, count) => all + count, 0),
    202,
  )
})

t.test('seconds of ten minutes and minutes of a day are kept, the oldest first', async (t) => {
  const history = new History()
  const start = 1_800_000_000_000
  t.equal(history.add(pulse(start)), undefined, 'one look is no sample')
  const days = 2
  const seconds = days * 24 * 3600
  for (let second = 1; second <= seconds; second++) {
    const at = start + second * 1000
    // In each minute somebody has waited, and does not at its end.
    history.add(pulse(at, { queries: second * 5, waiting: second % 60 === 30 ? 4 : 0 }))
  }
  const { seconds: last, minutes } = history.columns()
  t.equal(last.at.length, 600)
  t.equal(last.at[0], start + (seconds - 599) * 1000)
  t.equal(last.at.at(-1), start + seconds * 1000)
  t.equal(minutes.at.length, 1440)
  t.same([...new Set(minutes.queries)], [5])
  t.same([...new Set(minutes.waiting)], [4])
  t.same([...new Set(minutes.maxWait)], [40])
  t.ok(minutes.at[0]! < minutes.at[1]!)
  t.ok(HISTORY_BYTES < 250_000)
})
