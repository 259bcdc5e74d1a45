/**
 * The screen of `pgbun top` as lines: a function of what was seen, of what who watches has chosen, and of the size. No
 * line is wider than the terminal, and nothing that comes from a console gets there unescaped. Pure.
 */
import { cell, fit, visible, widthOf } from '../terminal-text.ts'
import { ratesOf, sumRates } from './rates.ts'
import { numberAt, type Sample, sumOf, tableIn, textAt } from './sample.ts'
import type { Extent, Order, TopState } from './state.ts'
import { durationText, rateText, VIEWS, type ViewColumn, type ViewTable, viewTable } from './views.ts'

export type Style = 'plain' | 'head' | 'titles' | 'alert' | 'faint'

export interface Line {
  text: string
  style: Style
}

/** What is to be drawn. */
export interface Scene {
  state: TopState
  /** The last sample, and one before it for rates. */
  now: Sample | undefined
  before: Sample | undefined
  where: string
  user: string
  /** Why nothing new comes; undefined while it does. */
  trouble: string | undefined
  columns: number
  rows: number
}

/** The lines, as many as there are rows, and how far one can scroll. */
export function render(scene: Scene): { lines: Line[]; extent: Extent } {
  const { state, columns: width, rows: height } = scene
  const view = VIEWS[state.view]!
  const table = viewTable(view, scene.now, scene.before)
  const shown = chosenRows(table, state)
  const head = headLines(scene).slice(0, Math.max(0, height - 3))
  const room = Math.max(0, height - head.length - 2)
  const extent: Extent = { columns: table.columns.length, rows: shown.length, page: Math.max(1, room) }
  const top = Math.min(state.top, Math.max(0, shown.length - room))
  const body = state.help ? helpLines() : tableLines(table, shown.slice(top, top + room), state, width)
  const lines = [...head, ...body]
  while (lines.length < height - 1) lines.push({ text: '', style: 'plain' })
  lines.length = Math.max(0, height - 1)
  lines.push(footLine(scene, shown.length, table.rows.length, top))
  const last = lines.length - 1
  return {
    // The filter is typed at its end: of that the end is to be seen.
    lines: lines.map(({ text, style }, i) => ({
      style,
      text: i === last && state.typing ? fitEnd(text, width) : fit(text, width),
    })),
    extent,
  }
}

function fitEnd(text: string, width: number): string {
  let kept = text
  while (widthOf(kept) > width) kept = kept.slice(1)
  return kept
}

function headLines({ now, before, where, user, state, columns }: Scene): Line[] {
  const pools = tableIn(now, 'POOLS')
  const { queries, transactions, queryMs } = sumRates(ratesOf(before, now))
  const uptime = uptimeOf(now)
  const name = [
    versionOf(now),
    ...(uptime === undefined ? [] : [`up ${durationText(uptime)}`]),
    `${visible(where)} as ${visible(user)}`,
  ]
  const clients = `clients ${sumOf(pools, 'cl_active')}, waiting ${sumOf(pools, 'cl_waiting')}`
  const servers = `servers ${sumOf(pools, 'sv_active')}, idle ${sumOf(pools, 'sv_idle')}`
  const rates = before === undefined ? '' : `${rateText(queries)} q/s, ${rateText(transactions)} tx/s`
  const mean = queryMs === undefined ? '' : `${rateText(queryMs)} ms/q`
  const totals = pools === undefined ? '' : [clients, servers, rates, mean].filter((part) => part !== '').join('   ')
  const tabs = VIEWS.map(({ key, title }, i) => (i === state.view ? `[${key} ${title}]` : ` ${key} ${title} `)).join('')
  // On a narrow terminal the view that is shown has to be among those that are seen.
  const short = VIEWS.map(({ key, title }, i) => (i === state.view ? `[${key} ${title}]` : key)).join(' ')
  return [
    { text: name.join('   '), style: 'head' },
    { text: totals, style: 'plain' },
    { text: widthOf(tabs) <= columns ? tabs : short, style: 'faint' },
  ]
}

/** As the console tells it: pgbun's has PgBouncer's in front. */
function versionOf(now: Sample | undefined): string {
  const table = tableIn(now, 'VERSION')
  const text = table?.rows[0] === undefined ? '' : textAt(table, table.rows[0], 'version')
  const own = /\((pgbun [^)]{1,40})\)/.exec(text)?.[1]
  return visible(own ?? (text.slice(0, 60) || 'pgbun top'))
}

function uptimeOf(now: Sample | undefined): number | undefined {
  const table = tableIn(now, 'VERSION')
  return table?.columns.includes('uptime_us') && table.rows[0] ? numberAt(table, table.rows[0], 'uptime_us') : undefined
}

/** Rows that the filter takes, in their order. */
function chosenRows({ rows }: ViewTable, { filter, orders, view }: TopState): ViewTable['rows'] {
  const wanted = filter.toLowerCase()
  const chosen =
    wanted === '' ? [...rows] : rows.filter((row) => row.some(({ text }) => text.toLowerCase().includes(wanted)))
  const { column, reversed } = orders[view]!
  if (column < 0) return reversed ? chosen.reverse() : chosen
  const sign = reversed ? -1 : 1
  return chosen.sort((a, b) => sign * compare(a[column]?.sort ?? '', b[column]?.sort ?? ''))
}

/** Numbers with the largest first, words by their letters. */
function compare(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return b - a
  const [one, other] = [String(a), String(b)]
  return one < other ? -1 : one > other ? 1 : 0
}

const GAP = '  '
/** Texts are cut to this width before columns are left out. */
const NARROW = 10

function tableLines(table: ViewTable, rows: ViewTable['rows'], state: TopState, width: number): Line[] {
  const order = state.orders[state.view]!
  const titles = table.columns.map(({ title }, i) => visible(title) + mark(order, i, table))
  const cells = rows.map((row) => row.map(({ text }) => visible(text)))
  const natural = titles.map((title, i) =>
    cells.reduce((most, row) => Math.max(most, widthOf(row[i] ?? '')), widthOf(title)),
  )
  const visibleColumns = scrolled(table.columns.length, state.left)
  const layout = layOut(visibleColumns, table.columns, natural, width)
  const line = (texts: readonly string[]): string =>
    layout
      .map(({ column, cells: room }) => cell(texts[column] ?? '', room, table.columns[column]!.align))
      .join(GAP)
      .trimEnd()
  const more = layout.length < visibleColumns.length ? '>' : ''
  const lines: Line[] = []
  if (table.columns.length > 0) {
    const text = cell(line(titles), width)
    lines.push({ text: more === '' ? text : `${cell(line(titles), width - 1)}${more}`, style: 'titles' })
  }
  if (table.note !== undefined) lines.push({ text: visible(table.note), style: 'plain' })
  lines.push(...cells.map((row): Line => ({ text: line(row), style: 'plain' })))
  return lines
}

function mark({ column, reversed }: Order, i: number, { rows }: ViewTable): string {
  if (column !== i) return ''
  const falling = typeof rows[0]?.[i]?.sort === 'number' ? !reversed : reversed
  return falling ? '↓' : '↑'
}

/** The first column stays, the next `left` ones are scrolled away. */
function scrolled(count: number, left: number): number[] {
  return Array.from({ length: count }, (_, i) => i).filter((i) => i === 0 || i > left)
}

/** Columns with their widths: texts are cut first, the widest first; then columns at the end are left out. */
function layOut(
  shown: number[],
  columns: readonly ViewColumn[],
  natural: number[],
  width: number,
): { column: number; cells: number }[] {
  let layout = shown.map((column) => ({ column, cells: natural[column]! }))
  const total = (): number => layout.reduce((sum, { cells }) => sum + cells, 0) + GAP.length * (layout.length - 1)
  while (total() > width) {
    const texts = layout.filter(({ column, cells }) => columns[column]!.align === 'left' && cells > NARROW)
    if (texts.length === 0) break
    const widest = texts.reduce((a, b) => (b.cells > a.cells ? b : a))
    const second = Math.max(NARROW, ...texts.filter((one) => one !== widest).map(({ cells }) => cells))
    widest.cells = Math.max(NARROW, Math.min(widest.cells - 1, Math.max(second, widest.cells - (total() - width))))
  }
  while (layout.length > 1 && total() > width) layout = layout.slice(0, -1)
  return layout
}

const HELP = [
  ['1 to 6', 'views: pools, waiters, queries, pins, servers, errors'],
  ['s, r', 'order by the next column, reverse the order'],
  ['/', 'show only rows with a text; Enter keeps it, Escape drops it'],
  ['space', 'pause, or go on'],
  ['arrows', 'scroll rows and columns; Page Up, Page Down, Home, End'],
  ['Ctrl-L', 'draw anew'],
  ['Ctrl-Z', 'suspend'],
  ['q', 'quit'],
  ['', ''],
  ['', 'cl, wait: clients that are served, that wait. sv, idle, new: servers in use, free, being opened.'],
  ['', 'q/s, tx/s, ms/q: queries and transactions of the database, since the look before.'],
] as const

function helpLines(): Line[] {
  const width = Math.max(...HELP.map(([keys]) => keys.length))
  return HELP.map(
    ([keys, meaning]): Line => ({ text: keys === '' ? meaning : `${keys.padEnd(width)}  ${meaning}`, style: 'plain' }),
  )
}

function footLine({ state, trouble }: Scene, shown: number, all: number, top: number): Line {
  if (state.typing) return { text: `/${visible(state.filter)}_`, style: 'plain' }
  if (trouble !== undefined) return { text: visible(trouble), style: 'alert' }
  const parts = [
    ...(state.paused ? ['PAUSED'] : []),
    ...(state.filter === '' ? [] : [`/${visible(state.filter)}: ${shown} of ${all}`]),
    ...(top > 0 ? [`from row ${top + 1}`] : []),
  ]
  const keys = state.help ? 'any key: back' : '?: help   s: sort   r: reverse   /: filter   space: pause   q: quit'
  return { text: [...parts, keys].join('   '), style: state.paused ? 'alert' : 'faint' }
}
