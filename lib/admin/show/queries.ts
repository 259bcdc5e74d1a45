/** SHOW QUERIES: statistics of statements. Times are microseconds. */

import type { QuerySnapshot } from '../../pool/query-record.ts'
import { columns, type Topic, timeText } from '../view.ts'

const COLUMNS =
  'query:s database:s user:s calls:q errors:q rows:q bytes:q total_us:q mean_us:q p50_us:q p95_us:q p99_us:q max_us:q ' +
  'wait_us:q max_wait_us:q first_seen:s last_seen:s id:s shared:q'

function micros(ms: number): number {
  return Math.round(ms * 1000)
}

/** Those first that took most time. */
function inOrder(queries: readonly QuerySnapshot[]): QuerySnapshot[] {
  return queries.toSorted((a, b) => b.total - a.total)
}

export const QUERIES: Topic = {
  name: 'queries',
  help: 'statements by their texts without literals: how often, how long, how many rows',
  columns: columns(COLUMNS),
  plain: 19,
  rows: (view) =>
    inOrder(view.queries()).map((row) => [
      // Without literals, a text still names tables and columns.
      view.showsQueries ? row.text : null,
      row.database,
      row.user,
      row.calls,
      row.errors,
      row.rows,
      row.bytes,
      micros(row.total),
      micros(row.mean),
      micros(row.p50),
      micros(row.p95),
      micros(row.p99),
      micros(row.max),
      micros(row.wait),
      micros(row.maxWait),
      timeText(row.firstSeen),
      timeText(row.lastSeen),
      row.id,
      row.shared,
    ]),
}
