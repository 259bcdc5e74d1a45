/** How fast the totals of SHOW STATS grow between two samples, by database. Pure. */
import { numberAt, type Sample, tableIn, textAt } from './sample.ts'

/** Of one database, or of all. */
export interface Rates {
  /** Per second. */
  queries: number
  transactions: number
  /** Mean milliseconds of a query; undefined where none has ended. */
  queryMs: number | undefined
}

const NAMES = ['total_query_count', 'total_xact_count', 'total_query_time'] as const

/** Rates by database; empty before there are two samples. The console's own queries are none of them. */
export function ratesOf(before: Sample | undefined, now: Sample | undefined): Map<string, Rates> {
  const rates = new Map<string, Rates>()
  const old = tableIn(before, 'STATS')
  const table = tableIn(now, 'STATS')
  if (!old || !table || !before || !now || now.at <= before.at) return rates
  const seconds = (now.at - before.at) / 1000
  const earlier = new Map(old.rows.map((row) => [textAt(old, row, 'database'), row]))
  for (const row of table.rows) {
    const database = textAt(table, row, 'database')
    const first = earlier.get(database)
    if (first === undefined || database === 'pgbouncer') continue
    const [queries = 0, transactions = 0, micros = 0] = NAMES.map(
      (name) => numberAt(table, row, name) - numberAt(old, first, name),
    )
    // A pooler that was started again counts anew.
    if (queries < 0 || transactions < 0 || micros < 0) continue
    const queryMs = queries > 0 ? micros / queries / 1000 : undefined
    rates.set(database, { queries: queries / seconds, transactions: transactions / seconds, queryMs })
  }
  return rates
}

/** Of all databases together. */
export function sumRates(rates: ReadonlyMap<string, Rates>): Rates {
  const sum = { queries: 0, transactions: 0 }
  let ms = 0
  for (const { queries, transactions, queryMs = 0 } of rates.values()) {
    sum.queries += queries
    sum.transactions += transactions
    ms += queries * queryMs
  }
  return { ...sum, queryMs: sum.queries > 0 ? ms / sum.queries : undefined }
}
