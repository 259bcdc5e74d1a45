/** The report of a benchmark, as text for a terminal and as Markdown. Pure. */
import { describeRatio, judge, type Verdict } from './budgets.ts'
import { MEMORY } from './cases.ts'
import { describeMachine } from './machine.ts'
import { type BenchResults, type MemoryResult, type Point, type Summary, summarize } from './results.ts'
import { median } from './statistics.ts'
import { renderTable, type TableStyle } from './table.ts'

const HEADER = [
  'clients',
  'target',
  'per second',
  'spread',
  'p50 ms',
  'p99 ms',
  'user µs',
  'system µs',
  'CPU µs',
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
  if (results.memory.length > 0) text += renderMemory(results.memory, style)
  return text + renderBudgets(judge(results), style)
}

/** What was measured on what, and how. */
export function renderHead(results: BenchResults, style: TableStyle): string {
  const { machine, reps, seconds, generator } = results
  const lines = [
    ...describeMachine(machine),
    `load by ${generator}; medians of ${reps} interleaved run${reps === 1 ? '' : 's'} of ${seconds} s; spread is half the range`,
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
      const figure = (key: 'perSecond' | 'p50' | 'p99'): number => median(bystander.map((run) => run[key]))
      beside.push([name, count(figure('perSecond')), millis(figure('p50')), millis(figure('p99'))])
    }
  }
  let text = heading(`${points[0]!.case}: ${points[0]!.title}`, style)
  if (rows.length > 0) text += renderTable(HEADER, rows, style)
  if (beside.length > 0) {
    text += `\n${style === 'text' ? '  ' : ''}One client with small queries beside it:\n\n`
    text += renderTable(['target', 'per second', 'p50 ms', 'p99 ms'], beside, style)
  }
  return text + renderErrors(errors, style)
}

/** Memory per idle client. */
export function renderMemory(results: readonly MemoryResult[], style: TableStyle): string {
  const rows: string[][] = []
  const errors: string[] = []
  for (const { name, memory, error } of results) {
    if (error !== undefined) errors.push(`${name}: ${error}`)
    if (memory) rows.push([String(memory.clients), name, kilobytes(memory.connected), kilobytes(memory.afterQuery)])
  }
  let text = heading(`${MEMORY}: resident memory per idle client`, style)
  if (rows.length > 0) text += renderTable(['clients', 'target', 'connected kB', 'after a query kB'], rows, style)
  return text + renderErrors(errors, style)
}

/** Budgets beside what was measured. */
export function renderBudgets(verdicts: readonly Verdict[], style: TableStyle): string {
  if (verdicts.length === 0) return ''
  const rows = verdicts.map(({ what, target, budget, measured, verdict }) => [what, target, budget, measured, verdict])
  const met = verdicts.filter(({ verdict }) => verdict === 'met').length
  const known = verdicts.filter(({ verdict }) => verdict !== 'unknown').length
  return (
    heading(`budgets: ${met} of ${known} met`, style) +
    renderTable(['what', 'target', 'budget', 'measured', ''], rows, style)
  )
}

function caseRow(point: Point, summary: Summary): string[] {
  const { user, system, toDirect, toPgbouncer, cpuToPgbouncer } = summary
  return [
    String(point.clients),
    summary.name,
    count(summary.perSecond),
    `±${(summary.spread * 100).toFixed(0)}%`,
    millis(summary.p50),
    millis(summary.p99),
    user === undefined ? '-' : user.toFixed(1),
    system === undefined ? '-' : system.toFixed(1),
    user === undefined || system === undefined ? '-' : (user + system).toFixed(1),
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

function kilobytes(bytes: number): string {
  return (bytes / 1000).toFixed(1)
}
