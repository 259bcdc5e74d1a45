/** Metrics as plain data: families with their samples, in the words of Prometheus. What is made of a snapshot is a pure function. */

import type { HistogramCounts } from '../util/histogram.ts'

/** Names and values of labels. */
export type Labels = Readonly<Record<string, string>>

/** One series and its value now. */
export interface Sample {
  readonly labels: Labels
  readonly value: number
}

/** The distribution of one series. */
export interface Distribution {
  readonly labels: Labels
  readonly counts: HistogramCounts
}

/** All series of one name; a counter's ends in `_total`. Times are in seconds, sizes in bytes. */
export type MetricFamily = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly samples: readonly Sample[] }
  | { readonly type: 'histogram'; readonly distributions: readonly Distribution[] }
)

/** A family of one series. */
export function single(type: 'counter' | 'gauge', name: string, help: string, value: number): MetricFamily {
  return { name, help, type, samples: [{ labels: {}, value }] }
}

/** How samples of the same labels become one: names of strangers may be the same once they are written. */
export function mergeSamples(samples: Iterable<Sample>, merge: (a: number, b: number) => number): Sample[] {
  const byLabels = new Map<string, Sample>()
  for (const sample of samples) {
    const key = seriesKey(sample.labels)
    const known = byLabels.get(key)
    byLabels.set(key, known === undefined ? sample : { ...known, value: merge(known.value, sample.value) })
  }
  return [...byLabels.values()]
}

/** What tells series of one name apart once they are written: half of a pair of surrogates cannot be. */
export function seriesKey(labels: Labels): string {
  return JSON.stringify(Object.values(labels).map((text) => text.replace(/\p{Surrogate}/gu, '\ufffd')))
}

/** What is counted in the buckets and below, bucket by bucket, and the number of all. */
export function cumulated({ buckets }: HistogramCounts): { upTo: number[]; count: number } {
  let count = 0
  const upTo = buckets.map((bucket) => (count += bucket))
  return { upTo, count }
}
