/** A pooler in a few numbers, and what happened between two looks at them. Pure. */

import type { Counters } from '../pool/counters.ts'
import { BOUNDS_MS, type HistogramCounts } from '../util/histogram.ts'

/** What is read once a second: sums over all pools. */
export interface Pulse {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Since the start. Sums of histograms go down when a pool is forgotten. */
  readonly counters: Pick<Counters, 'transactions' | 'queries' | 'received' | 'sent'>
  readonly errors: number
  readonly query: HistogramCounts
  readonly clients: number
  /** Clients that wait for a server, and for how long the first of them has (ms). */
  readonly waiting: number
  readonly maxWait: number
  /** Server connections, and those of them that are lent out. */
  readonly servers: number
  readonly active: number
}

/** What a sample has, in this order. Counts are per second, times are milliseconds; NaN where nothing was measured. */
export const SAMPLE_FIELDS = [
  'at',
  'transactions',
  'queries',
  'errors',
  'received',
  'sent',
  'p50',
  'p99',
  'clients',
  'waiting',
  'maxWait',
  'servers',
  'active',
] as const

export type SampleField = (typeof SAMPLE_FIELDS)[number]
export type Sample = Record<SampleField, number>

/** What happened from `before` to `after`. */
export function sampleBetween(before: Pulse, after: Pulse): Sample {
  const seconds = Math.max(1, after.at - before.at) / 1000
  const rate = (later: number, earlier: number): number => Math.max(0, later - earlier) / seconds
  const { clients, waiting, maxWait, servers, active, counters } = after
  const counts = after.query.buckets.map((count, bucket) => Math.max(0, count - before.query.buckets[bucket]!))
  return {
    at: after.at,
    transactions: rate(counters.transactions, before.counters.transactions),
    queries: rate(counters.queries, before.counters.queries),
    errors: rate(after.errors, before.errors),
    received: rate(counters.received, before.counters.received),
    sent: rate(counters.sent, before.counters.sent),
    p50: quantile(counts, 0.5),
    p99: quantile(counts, 0.99),
    ...{ clients, waiting, maxWait, servers, active },
  }
}

/**
 * How long `share` of what is in the buckets of a histogram took at most; NaN where there is nothing. Within a bucket the
 * durations are taken as evenly spread; of the last one, which has no end, its beginning is told.
 */
export function quantile(buckets: readonly number[], share: number): number {
  const total = buckets.reduce((sum, count) => sum + count, 0)
  if (total === 0) return Number.NaN
  let behind = total * share
  for (const [bucket, count] of buckets.entries()) {
    if (count > 0 && behind <= count) {
      const from = BOUNDS_MS[bucket - 1] ?? 0
      const to = BOUNDS_MS[bucket] ?? from
      return from + (to - from) * (behind / count)
    }
    behind -= count
  }
  return BOUNDS_MS.at(-1)!
}
