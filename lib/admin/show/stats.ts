/** SHOW STATS, STATS_TOTALS, STATS_AVERAGES and TOTALS: what was counted, by database. Times are microseconds. */

import type { Cell } from '../../client/lifecycle/console-backend.ts'
import { CONSOLE_NAMES } from '../../config/console-names.ts'
import { type Change, countersByDatabase } from '../../observe/averages.ts'
import { addCounters, type Counters, createCounters } from '../../pool/counters.ts'
import { columns, type Topic, type View } from '../view.ts'

/** What PgBouncer counts, in its order. */
const MEASURES = [
  'server_assignment_count',
  'xact_count',
  'query_count',
  'received',
  'sent',
  'xact_time',
  'query_time',
  'wait_time',
  'client_parse_count',
  'server_parse_count',
  'bind_count',
] as const

function micros(ms: number): number {
  return Math.round(ms * 1000)
}

/** The totals in the order of MEASURES. */
function totalsOf(sum: Counters): number[] {
  return [
    sum.leases,
    sum.transactions,
    sum.queries,
    sum.received,
    sum.sent,
    micros(sum.transactionTime),
    micros(sum.queryTime),
    micros(sum.waitTime),
    sum.clientParses,
    sum.serverParses,
    sum.binds,
  ]
}

/** By second; times by what they are of: a transaction, a query, and the clients that waited within a second. */
function averagesOf({ counters, ms }: Change): number[] {
  const perSecond = (count: number): number => (ms === 0 ? 0 : Math.round((count * 1000) / ms))
  const each = (time: number, count: number): number => (count === 0 ? 0 : Math.round(micros(time) / count))
  return [
    perSecond(counters.leases),
    perSecond(counters.transactions),
    perSecond(counters.queries),
    perSecond(counters.received),
    perSecond(counters.sent),
    each(counters.transactionTime, counters.transactions),
    each(counters.queryTime, counters.queries),
    perSecond(micros(counters.waitTime)),
    perSecond(counters.clientParses),
    perSecond(counters.serverParses),
    perSecond(counters.binds),
  ]
}

/** The databases that have counted something, by name, the console among them. */
function* byDatabase(view: View): Generator<{ database: string; sum: Counters; change: Change }> {
  const { snapshot, averages, console } = view
  const sums = countersByDatabase(snapshot)
  for (const [database, { logins, opened }] of sums) if (logins === 0 && opened === 0) sums.delete(database)
  const own = createCounters()
  own.queries = console.queries
  own.transactions = console.queries
  own.logins = console.logins
  sums.set(CONSOLE_NAMES[0], own)
  for (const database of [...sums.keys()].sort()) {
    const sum = sums.get(database)!
    yield { database, sum, change: averages.of(database, sum, snapshot.uptime) }
  }
}

const TOTAL_NAMES = MEASURES.map((name) => `total_${name}:N`).join(' ')
const AVERAGE_NAMES = MEASURES.map((name) => `avg_${name === 'received' ? 'recv' : name}:N`).join(' ')
const STATS_COLUMNS = columns(`database:s ${TOTAL_NAMES} ${AVERAGE_NAMES} total_login_count:N total_opened_count:N`)

export const STATS: Topic = {
  name: 'stats',
  help: 'totals since the start and averages of the last stats_period, by database',
  columns: STATS_COLUMNS,
  plain: STATS_COLUMNS.length - 2,
  rows: (view) =>
    Array.from(byDatabase(view), ({ database, sum, change }): Cell[] => [
      database,
      ...totalsOf(sum),
      ...averagesOf(change),
      sum.logins,
      sum.opened,
    ]),
}

/** STATS_TOTALS and STATS_AVERAGES have names of their own; the averages mix the two. */
const PLAIN_NAMES = MEASURES.map((name) => (name === 'received' || name === 'sent' ? `bytes_${name}` : name))
const TOTALS_COLUMNS = columns(`database:s ${PLAIN_NAMES.map((name) => `${name}:N`).join(' ')}`)
const AVERAGES_COLUMNS = columns(
  `database:s ${PLAIN_NAMES.map((name, i) => `${i < 8 ? name : `avg_${name}`}:N`).join(' ')}`,
)

export const STATS_TOTALS: Topic = {
  name: 'stats_totals',
  help: 'totals since the start, by database',
  columns: TOTALS_COLUMNS,
  plain: TOTALS_COLUMNS.length,
  rows: (view) => Array.from(byDatabase(view), ({ database, sum }): Cell[] => [database, ...totalsOf(sum)]),
}

export const STATS_AVERAGES: Topic = {
  name: 'stats_averages',
  help: 'averages of the last stats_period, by database',
  columns: AVERAGES_COLUMNS,
  plain: AVERAGES_COLUMNS.length,
  rows: (view) => Array.from(byDatabase(view), ({ database, change }): Cell[] => [database, ...averagesOf(change)]),
}

const SUM_NAMES = MEASURES.map((name) => {
  if (name === 'received') return 'client_bytes'
  if (name === 'sent') return 'server_bytes'
  return /parse|bind/.test(name) ? `ps_${name}` : name
})

export const TOTALS: Topic = {
  name: 'totals',
  help: 'totals and averages of all databases',
  columns: columns('name:s value:N'),
  plain: 2,
  rows: (view) => {
    const sum = createCounters()
    const change = { counters: createCounters(), ms: 0 }
    for (const database of byDatabase(view)) {
      addCounters(sum, database.sum)
      addCounters(change.counters, database.change.counters)
      change.ms = Math.max(change.ms, database.change.ms)
    }
    const totals = totalsOf(sum)
    const averages = averagesOf(change)
    return [
      ...SUM_NAMES.map((name, i): Cell[] => [`total_${name}`, totals[i]!]),
      ...SUM_NAMES.map((name, i): Cell[] => [`avg_${name}`, averages[i]!]),
    ]
  },
}
