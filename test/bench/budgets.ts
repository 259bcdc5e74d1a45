/** The budgets of the design, and whether the results keep them. Pure. */
import { type BenchResults, type Point, type Summary, summarize, type TrialResult } from './results.ts'
import { median, pairedRatio, type Ratio } from './statistics.ts'
import type { TargetKind } from './targets.ts'

/** One budget beside what was measured. */
export interface Verdict {
  /** Case and number of clients. */
  what: string
  target: string
  budget: string
  measured: string
  /** `unknown` where nothing to compare with was measured. */
  verdict: 'met' | 'missed' | 'unknown' | 'not measured'
}

type Figure = 'toPgbouncer' | 'cpuToPgbouncer' | 'toDirect' | 'toUnobserved'

interface Budget {
  cases: readonly string[]
  figure: Figure
  bound: 'at least' | 'at most'
  value: number
  /** Where it holds; default everywhere. */
  applies?: (point: Point) => boolean
  /** Which pgbun; default `pgbun`. */
  kind?: TargetKind
}

const small = ['simple', 'extended', 'prepared']
const many = ['many', 'many-extended', 'many-prepared']
const BUDGETS: readonly Budget[] = [
  { cases: ['prepared-session'], figure: 'toPgbouncer', bound: 'at least', value: 1, applies: hasPgbouncer },
  { cases: small, figure: 'toPgbouncer', bound: 'at least', value: 1, applies: withClients(1, 8) },
  { cases: small, figure: 'toPgbouncer', bound: 'at least', value: 1.3, applies: withClients(32) },
  { cases: small, figure: 'toPgbouncer', bound: 'at least', value: 1.6, applies: withClients(200) },
  { cases: many, figure: 'toPgbouncer', bound: 'at least', value: 1.6, applies: hasPgbouncer },
  { cases: small, figure: 'cpuToPgbouncer', bound: 'at most', value: 0.7, applies: withClients(200) },
  { cases: small, figure: 'toDirect', bound: 'at least', value: 1, applies: ({ clients }) => clients >= 32 },
  { cases: ['set', 'settings'], figure: 'toPgbouncer', bound: 'at least', value: 1 },
  { cases: ['tls'], figure: 'toPgbouncer', bound: 'at least', value: 1 },
  { cases: ['50kB', '10MB', 'tls-50kB'], figure: 'toPgbouncer', bound: 'at least', value: 1.25 },
  { cases: ['connect', 'scram', 'tls-connect'], figure: 'toPgbouncer', bound: 'at least', value: 1 },
  { cases: ['observed'], figure: 'toUnobserved', bound: 'at least', value: 0.97, kind: 'observed' },
]

interface TrialBudget {
  trial: string
  /** Key of the column. */
  column: string
  bound: 'at least' | 'at most'
  value: number
  /** What the value is: a figure with its unit, or how many times PgBouncer's. */
  unit: string
  toPgbouncer?: boolean
  /** Holds for targets whose names begin so. */
  only?: string
}

const TRIAL_BUDGETS: readonly TrialBudget[] = [
  // A tenth is what handing over a server on a busy machine may cost; an unfair order costs several times the queue.
  { trial: 'queue', column: 'p999ToIdeal', bound: 'at most', value: 1.1, unit: '× ideal p99.9' },
  { trial: 'storm', column: 'perSecond', bound: 'at least', value: 1, unit: '× PgBouncer', toPgbouncer: true },
  { trial: 'storm-shipped', column: 'perSecond', bound: 'at least', value: 1, unit: '× PgBouncer', toPgbouncer: true },
  { trial: 'tls-resume', column: 'perSecond', bound: 'at least', value: 1, unit: '× PgBouncer', toPgbouncer: true },
  // 128 kB that wait to be written, and a chunk of a socket on each side.
  { trial: 'slow-readers', column: 'perReader', bound: 'at most', value: 400, unit: 'kB per reader' },
  {
    trial: 'memory',
    column: 'connected',
    bound: 'at most',
    value: 12,
    unit: 'kB per idle client',
    only: 'pgbun, node',
  },
  // The runtime keeps some of what was given back to it.
  { trial: 'memory', column: 'leftShare', bound: 'at most', value: 0.25, unit: 'of the growth', only: 'pgbun, node' },
]

const figureNames: Readonly<Record<Figure, string>> = {
  toPgbouncer: '× PgBouncer',
  cpuToPgbouncer: '× its CPU',
  toDirect: '× direct',
  toUnobserved: '× unobserved',
}

/** Every budget: what was measured of it, or that nothing was. */
export function judge(results: BenchResults): Verdict[] {
  const verdicts: Verdict[] = []
  const judged = new Set<Budget>()
  for (const point of results.points) {
    for (const summary of summarize(point)) {
      for (const budget of BUDGETS) {
        if (summary.kind !== (budget.kind ?? 'pgbun')) continue
        if (!budget.cases.includes(point.case) || budget.applies?.(point) === false) continue
        judged.add(budget)
        verdicts.push(judgeOne(point, summary, budget))
      }
    }
  }
  for (const budget of BUDGETS) {
    if (!judged.has(budget)) verdicts.push(notMeasured(budget.cases.join(', '), describeBudget(budget)))
  }
  for (const budget of TRIAL_BUDGETS) {
    const trial = results.trials.find(({ name }) => name === budget.trial)
    const found = trial ? judgeTrial(trial, budget) : []
    verdicts.push(...(found.length > 0 ? found : [notMeasured(budget.trial, describeTrialBudget(budget))]))
  }
  return verdicts
}

function judgeTrial({ name, targets }: TrialResult, budget: TrialBudget): Verdict[] {
  const { column, bound, value, toPgbouncer, only = '' } = budget
  const figures = (runs: readonly Record<string, number>[]): number[] => runs.map((run) => run[column] ?? Number.NaN)
  const other = targets.find(({ kind, runs }) => kind === 'pgbouncer' && runs.length > 0)
  const judged = targets.filter((target) => target.kind === 'pgbun' && target.runs.length > 0)
  return judged
    .filter((target) => target.name.startsWith(only))
    .map(({ name: target, runs }) => {
      const own = figures(runs)
      const plain = { value: median(own), low: Math.min(...own), high: Math.max(...own) }
      const ratio = toPgbouncer ? other && pairedRatio(own, figures(other.runs)) : plain
      const kept = ratio && (bound === 'at least' ? ratio.value >= value : ratio.value <= value)
      return {
        what: name,
        target,
        budget: describeTrialBudget(budget),
        measured: ratio ? describeRatio(ratio) : '-',
        verdict: kept === undefined ? 'unknown' : kept ? 'met' : 'missed',
      }
    })
}

function describeTrialBudget({ bound, value, unit }: TrialBudget): string {
  return `${bound === 'at least' ? '≥' : '≤'} ${value} ${unit}`
}

function notMeasured(what: string, budget: string): Verdict {
  return { what, target: '-', budget, measured: '-', verdict: 'not measured' }
}

function describeBudget({ bound, value, figure }: Budget): string {
  return `${bound === 'at least' ? '≥' : '≤'} ${value.toFixed(2)} ${figureNames[figure]}`
}

function judgeOne(point: Point, summary: Summary, budget: Budget): Verdict {
  const { figure, bound, value } = budget
  const ratio = summary[figure]
  const kept = ratio && (bound === 'at least' ? ratio.value >= value : ratio.value <= value)
  return {
    what: `${point.case}, ${point.clients} client${point.clients === 1 ? '' : 's'}`,
    target: summary.name,
    budget: describeBudget(budget),
    measured: ratio ? describeRatio(ratio) : '-',
    verdict: kept === undefined ? 'unknown' : kept ? 'met' : 'missed',
  }
}

/** `1.05 (0.98-1.11)`; without the range where there was one repetition. */
export function describeRatio({ value, low, high }: Ratio): string {
  return low === high ? value.toFixed(2) : `${value.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`
}

function withClients(...counts: number[]): (point: Point) => boolean {
  return (point) => counts.includes(point.clients) && hasPgbouncer(point)
}

function hasPgbouncer(point: Point): boolean {
  return point.targets.some(({ kind, runs }) => kind === 'pgbouncer' && runs.length > 0)
}
