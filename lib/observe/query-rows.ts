/** What is shown of the statistics of statements: means, percentiles, sums of several processes. Pure. */

import { type QuerySnapshot, stepMiddle } from '../pool/query-record.ts'

/** One statement as it is shown. Times are milliseconds. */
export interface QueryRow extends Omit<QuerySnapshot, 'durations'> {
  mean: number
  p50: number
  p95: number
  p99: number
}

/** `queries` with what follows from their histograms, those that took most time first. */
export function queryRows(queries: readonly QuerySnapshot[]): QueryRow[] {
  return queries.map(rowOf).sort((a, b) => b.total - a.total)
}

function rowOf(query: QuerySnapshot): QueryRow {
  const { durations, ...row } = query
  const { calls, total, max } = row
  return {
    ...row,
    mean: calls === 0 ? 0 : total / calls,
    p50: percentile(durations, calls, 0.5, max),
    p95: percentile(durations, calls, 0.95, max),
    p99: percentile(durations, calls, 0.99, max),
  }
}

/** How long `share` of the calls took at most. */
function percentile(durations: readonly number[], calls: number, share: number, max: number): number {
  let behind = Math.ceil(calls * share)
  for (let i = 0; i < durations.length; i += 2) {
    behind -= durations[i + 1]!
    if (behind <= 0) return Math.min(stepMiddle(durations[i]!), max)
  }
  return max
}

/** The statistics of several processes as if it were one. */
export function mergeQueries(processes: readonly (readonly QuerySnapshot[])[]): QuerySnapshot[] {
  const merged = new Map<string, QuerySnapshot>()
  for (const query of processes.flat()) {
    const key = `${query.id}\0${query.database}\0${query.user}`
    const before = merged.get(key)
    merged.set(key, before === undefined ? query : sum(before, query))
  }
  return [...merged.values()]
}

function sum(a: QuerySnapshot, b: QuerySnapshot): QuerySnapshot {
  const steps = new Map<number, number>()
  for (const { durations } of [a, b]) {
    for (let i = 0; i < durations.length; i += 2) {
      steps.set(durations[i]!, (steps.get(durations[i]!) ?? 0) + durations[i + 1]!)
    }
  }
  return {
    ...a,
    calls: a.calls + b.calls,
    errors: a.errors + b.errors,
    rows: a.rows + b.rows,
    bytes: a.bytes + b.bytes,
    total: a.total + b.total,
    max: Math.max(a.max, b.max),
    wait: a.wait + b.wait,
    maxWait: Math.max(a.maxWait, b.maxWait),
    shared: a.shared + b.shared,
    firstSeen: Math.min(a.firstSeen, b.firstSeen),
    lastSeen: Math.max(a.lastSeen, b.lastSeen),
    durations: [...steps].sort(([one], [other]) => one - other).flat(),
  }
}
