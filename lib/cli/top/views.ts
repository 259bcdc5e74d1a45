/**
 * The views of `pgbun top`: what each asks the console for, and the table that it makes of the answers. Of topics whose
 * columns are not known the columns that come are shown. Pure.
 */
import { ratesOf } from './rates.ts'
import { numberAt, type Sample, type Table, tableIn, textAt } from './sample.ts'

/** A value as it is shown, and what it is sorted by. */
export interface ViewCell {
  text: string
  sort: number | string
}

export interface ViewColumn {
  title: string
  align: 'left' | 'right'
}

export interface ViewTable {
  columns: ViewColumn[]
  rows: ViewCell[][]
  /** Instead of rows: why there are none. */
  note?: string
}

export interface View {
  /** Its key. */
  key: string
  title: string
  /** Topics of SHOW, the first that is there counts. */
  topics: readonly string[]
  /** What an empty table means. */
  empty: string
  table(table: Table, topic: string, now: Sample, before: Sample | undefined): ViewTable
}

const POOLS: View = {
  key: '1',
  title: 'pools',
  topics: ['POOLS'],
  empty: 'no pools',
  table(pools, _, now, before) {
    const rates = ratesOf(before, now)
    const count = (name: string) => (row: Row) => plainNumber(numberAt(pools, row, name))
    const rate =
      (of: (found: { queries: number; transactions: number; queryMs: number | undefined }) => number | undefined) =>
      (row: Row): ViewCell => {
        const found = rates.get(textAt(pools, row, 'database'))
        const value = found && of(found)
        return value === undefined ? { text: '', sort: -1 } : { text: rateText(value), sort: value }
      }
    return build(pools, [
      ['database', 'left', (row) => words(textAt(pools, row, 'database'))],
      ['user', 'left', (row) => words(textAt(pools, row, 'user'))],
      ['cl', 'right', count('cl_active')],
      ['wait', 'right', count('cl_waiting')],
      ['sv', 'right', count('sv_active')],
      ['idle', 'right', count('sv_idle')],
      ['new', 'right', count('sv_login')],
      [
        'maxwait',
        'right',
        (row) => duration(numberAt(pools, row, 'maxwait') * 1e6 + numberAt(pools, row, 'maxwait_us')),
      ],
      ['q/s', 'right', rate(({ queries }) => queries)],
      ['tx/s', 'right', rate(({ transactions }) => transactions)],
      ['ms/q', 'right', rate(({ queryMs }) => queryMs)],
      ['mode', 'left', (row) => words(textAt(pools, row, 'pool_mode'))],
    ])
  },
}

const WAITERS: View = {
  key: '2',
  title: 'waiters',
  topics: ['QUEUE', 'CLIENTS'],
  empty: 'nobody waits',
  table(table, topic) {
    if (topic === 'QUEUE') return asItComes(table)
    // PgBouncer has no queue to show: of its clients those that wait.
    const waiting = table.rows.filter((row) => textAt(table, row, 'state') === 'waiting')
    const waited = (row: Row): number => numberAt(table, row, 'wait') * 1e6 + numberAt(table, row, 'wait_us')
    return build({ ...table, rows: waiting.sort((a, b) => waited(b) - waited(a)) }, [
      ['database', 'left', (row) => words(textAt(table, row, 'database'))],
      ['user', 'left', (row) => words(textAt(table, row, 'user'))],
      ['since', 'right', (row) => duration(waited(row))],
      ['addr', 'left', (row) => words(`${textAt(table, row, 'addr')}:${textAt(table, row, 'port')}`)],
      ['application_name', 'left', (row) => words(textAt(table, row, 'application_name'))],
    ])
  },
}

const SERVER_COLUMNS = [
  'database',
  'user',
  'state',
  'addr',
  'port',
  'remote_pid',
  'link',
  'request_time',
  'tls',
  'application_name',
  'connect_time',
]

export const VIEWS: readonly View[] = [
  POOLS,
  WAITERS,
  { key: '3', title: 'queries', topics: ['QUERIES'], empty: 'no queries yet', table: asItComes },
  { key: '4', title: 'pins', topics: ['PINS'], empty: 'no client keeps its server', table: asItComes },
  {
    key: '5',
    title: 'servers',
    topics: ['SERVERS'],
    empty: 'no connections to servers',
    table: (table) => asItComes(table, SERVER_COLUMNS),
  },
  { key: '6', title: 'errors', topics: ['ERRORS'], empty: 'no errors', table: asItComes },
]

type Row = readonly (string | null)[]

/** The table of a view, of what is there. `before` is an earlier sample, for rates. */
export function viewTable(view: View, now: Sample | undefined, before: Sample | undefined): ViewTable {
  const none = (note: string): ViewTable => ({ columns: [], rows: [], note })
  for (const topic of view.topics) {
    const table = tableIn(now, topic)
    if (!table || !now) continue
    const made = view.table(table, topic, now, before)
    return made.rows.length === 0 ? { ...made, note: view.empty } : made
  }
  const asked = view.topics.map((topic) => now?.tables.get(topic)).findLast((found) => found !== undefined)
  if (asked === undefined || !('missing' in asked)) return none('not asked for yet')
  return none(`this pooler does not show it: ${asked.missing}`)
}

/** The columns that there are, or those of `wanted`. Microseconds are shown as a time. */
function asItComes(table: Table, wanted?: unknown): ViewTable {
  const names = Array.isArray(wanted)
    ? (wanted as string[]).filter((name) => table.columns.includes(name))
    : table.columns
  return build(
    table,
    names.map((name) => {
      const index = table.columns.indexOf(name)
      const numeric = table.numeric[index] === true
      if (numeric && name.endsWith('_us')) {
        return [name.slice(0, -3), 'right', (row) => (row[index] === null ? words('') : duration(Number(row[index])))]
      }
      if (!numeric && name.endsWith('_time')) return [name, 'right', (row) => moment(row[index] ?? '')]
      if (!numeric) return [name, 'left', (row) => words(row[index] ?? '')]
      return [name, 'right', (row) => (row[index] == null ? words('') : { text: row[index], sort: Number(row[index]) })]
    }),
  )
}

function build(table: Table, columns: [string, 'left' | 'right', (row: Row) => ViewCell][]): ViewTable {
  return {
    columns: columns.map(([title, align]) => ({ title, align })),
    rows: table.rows.map((row) => columns.map(([, , cell]) => cell(row))),
  }
}

function words(text: string): ViewCell {
  return { text, sort: text }
}

/** A time stamp without its year and zone, which is that of the pooler. */
function moment(text: string): ViewCell {
  return { text: text.replace(/^\d{4}-(\d\d-\d\d \d\d:\d\d:\d\d).*$/, '$1'), sort: text }
}

function plainNumber(value: number): ViewCell {
  return { text: String(value), sort: value }
}

/** With as many digits as say something. */
export function rateText(value: number): string {
  if (value >= 100 || value === 0) return String(Math.round(value))
  return value.toFixed(value >= 10 ? 1 : 2)
}

function duration(micros: number): ViewCell {
  return { text: durationText(micros), sort: micros }
}

/** Microseconds in the unit that fits: 250us, 12ms, 3.5s, 4m05s, 2h03m, 3d04h. */
export function durationText(micros: number): string {
  if (!Number.isFinite(micros)) return ''
  if (micros === 0) return '0'
  if (micros < 1000) return `${Math.round(micros)}us`
  if (micros < 1e6) return `${Math.round(micros / 1000)}ms`
  const seconds = Math.floor(micros / 1e6)
  if (seconds < 60) return `${(micros / 1e6).toFixed(1)}s`
  const two = (value: number): string => String(value % 60).padStart(2, '0')
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m${two(seconds)}s`
  const hours = Math.floor(seconds / 3600)
  if (hours < 24) return `${hours}h${two(Math.floor(seconds / 60))}m`
  return `${Math.floor(hours / 24)}d${String(hours % 24).padStart(2, '0')}h`
}
