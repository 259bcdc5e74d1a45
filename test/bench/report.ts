/** The report of a benchmark, as text for a terminal and as Markdown. Pure. */
import { describeRatio, judge, type Verdict } from './budgets.ts'
import { describeMachine } from './machine.ts'
import { type BenchResults, type Point, type Summary, summarize, type TrialResult } from './results.ts'
import { median, spread } from './statistics.ts'
import { renderTable, type TableStyle } from './table.ts'

const HEADER = [
  'clients',
  'target',
  'per second',
  'spread',
  'p50 ms',
  'p99 ms',
  'p99.9 ms',
  'user µs',
  'system µs',
  'MB',
  '× direct',
  '× PgBouncer',
  'CPU × PgBouncer',
]

/** The whole report. */
export function renderReport(results: BenchResults, style: TableStyle): string {
  let text = renderHead(results, style)
  const names = new Set(results.points.map((point) => point.case))
  for (const name of names) {
    text += renderCase(
      results.points.filter((point) => point.case === name),
      style,
    )
  }
  for (const trial of results.trials) text += renderTrial(trial, style)
  return text + renderBudgets(judge(results), style)
}

/** What was measured on what, and how. */
export function renderHead(results: BenchResults, style: TableStyle): string {
  const { machine, reps, seconds, generator } = results
  const lines = [
    ...describeMachine(machine),
    `load by ${generator}; medians of ${reps} interleaved run${reps === 1 ? '' : 's'} of ${seconds} s; spread is half the range`,
    'user and system: processor time of the proxy per transaction; MB: its resident memory at most',
  ]
  const title = `pgbun benchmark, ${machine.date}`
  if (style === 'markdown') return `## ${title}\n\n${lines.map((line) => `- ${line}\n`).join('')}`
  return `${title}\n${lines.map((line) => `  ${line}\n`).join('')}`
}

/** The points of one case. */
export function renderCase(points: readonly Point[], style: TableStyle): string {
  const rows: string[][] = []
  const beside: string[][] = []
  const errors: string[] = []
  for (const point of points) {
    const summaries = summarize(point)
    for (const summary of summaries) rows.push(caseRow(point, summary))
    for (const { name, bystander, error } of point.targets) {
      if (error !== undefined) errors.push(`${name}, ${point.clients} clients: ${error}`)
      if (bystander.length === 0) continue
      const figure = (key: 'perSecond' | 'p50' | 'p99' | 'p999'): number => median(bystander.map((run) => run[key]))
      const latencies = (['p50', 'p99', 'p999'] as const).map((key) => millis(figure(key)))
      beside.push([name, count(figure('perSecond')), ...latencies])
    }
  }
  let text = heading(`${points[0]!.case}: ${points[0]!.title}`, style)
  if (rows.length > 0) text += renderTable(HEADER, rows, style)
  if (beside.length > 0) {
    text += `\n${style === 'text' ? '  ' : ''}One client with small queries beside it:\n\n`
    text += renderTable(['target', 'per second', 'p50 ms', 'p99 ms', 'p99.9 ms'], beside, style)
  }
  return text + renderDetails(points, style) + renderErrors(errors, style)
}

function renderDetails(points: readonly Point[], style: TableStyle): string {
  const rows: string[][] = []
  for (const { clients, targets } of points) {
    for (const { name, details } of targets) {
      if (details === undefined) continue
      const { calls, byName, gc } = details
      const most = Object.entries(byName)
        .sort(([, a], [, b]) => b - a)
        .slice(0, 5)
        .map(([call, number]) => `${call} ${number.toFixed(2)}`)
      const figures = [calls, gc].map((value) => (value === undefined ? '-' : value.toFixed(2)))
      rows.push([String(clients), name, ...figures, most.join(', ')])
    }
  }
  if (rows.length === 0) return ''
  const header = ['clients', 'target', 'system calls', 'GC µs', 'most frequent calls']
  return `\n${style === 'text' ? '  ' : ''}Per transaction:\n\n${renderTable(header, rows, style)}`
}

/** One trial: medians, and half the range behind them where there were several runs. */
export function renderTrial({ name, title, columns, targets }: TrialResult, style: TableStyle): string {
  const rows: string[][] = []
  const errors: string[] = []
  for (const target of targets) {
    if (target.error !== undefined) errors.push(`${target.name}: ${target.error}`)
    if (target.runs.length === 0) continue
    const cells = columns.map(({ key, digits }) => {
      const values = target.runs.map((figures) => figures[key] ?? Number.NaN)
      const value = median(values)
      if (Number.isNaN(value)) return '-'
      const wide = spread(values)
      return `${value.toFixed(digits)}${wide >= 0.005 ? ` ±${(wide * 100).toFixed(0)}%` : ''}`
    })
    rows.push([target.name, ...cells])
  }
  let text = heading(`${name}: ${title}`, style)
  if (rows.length > 0) text += renderTable(['target', ...columns.map(({ label }) => label)], rows, style)
  return text + renderErrors(errors, style)
}

/** Budgets beside what was measured. */
export function renderBudgets(verdicts: readonly Verdict[], style: TableStyle): string {
  if (verdicts.length === 0) return ''
  const rows = verdicts.map(({ what, target, budget, measured, verdict }) => [what, target, budget, measured, verdict])
  const met = verdicts.filter(({ verdict }) => verdict === 'met').length
  const known = verdicts.filter(({ verdict }) => verdict === 'met' || verdict === 'missed').length
  return (
    heading(`budgets: ${met} of ${known} met`, style) +
    renderTable(['what', 'target', 'budget', 'measured', ''], rows, style)
  )
}

function caseRow(point: Point, summary: Summary): string[] {
  const { user, system, resident, toDirect, toPgbouncer, cpuToPgbouncer } = summary
  return [
    String(point.clients),
    summary.name,
    count(summary.perSecond),
    `±${(summary.spread * 100).toFixed(0)}%`,
    millis(summary.p50),
    millis(summary.p99),
    millis(summary.p999),
    user === undefined ? '-' : user.toFixed(1),
    system === undefined ? '-' : system.toFixed(1),
    resident === undefined ? '-' : (resident / 1e6).toFixed(0),
    toDirect ? describeRatio(toDirect) : '-',
    toPgbouncer ? describeRatio(toPgbouncer) : '-',
    cpuToPgbouncer ? describeRatio(cpuToPgbouncer) : '-',
  ]
}

function heading(text: string, style: TableStyle): string {
  return style === 'markdown' ? `\n### ${text}\n\n` : `\n${text}\n\n`
}

function renderErrors(errors: readonly string[], style: TableStyle): string {
  if (errors.length === 0) return ''
  return `\n${errors.map((error) => `${style === 'text' ? '  ' : '- '}failed: ${error}\n`).join('')}`
}

function count(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1)
}

function millis(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(2)
}
