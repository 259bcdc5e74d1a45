/** The budgets of the design, and whether the results keep them. Pure. */
import { MEMORY } from './cases.ts'
import { type BenchResults, type Point, type Summary, summarize } from './results.ts'
import type { Ratio } from './statistics.ts'

/** One budget beside what was measured. */
export interface Verdict {
  /** Case and number of clients. */
  what: string
  target: string
  budget: string
  measured: string
  /** `unknown` where nothing to compare with was measured. */
  verdict: 'met' | 'missed' | 'unknown'
}

type Figure = 'toPgbouncer' | 'cpuToPgbouncer' | 'toDirect'

interface Budget {
  cases: readonly string[]
  figure: Figure
  bound: 'at least' | 'at most'
  value: number
  /** Where it holds; default everywhere. */
  applies?: (point: Point) => boolean
}

const small = ['simple', 'extended', 'prepared', 'prepared-session']
const BUDGETS: readonly Budget[] = [
  { cases: small, figure: 'toPgbouncer', bound: 'at least', value: 1, applies: hasPgbouncer },
  { cases: small, figure: 'cpuToPgbouncer', bound: 'at most', value: 1.3, applies: hasPgbouncer },
  {
    // Instead of a PgBouncer that knows prepared statements in transaction mode (1.21 and later).
    cases: ['prepared'],
    figure: 'toDirect',
    bound: 'at least',
    value: 0.7,
    applies: (point) => point.clients === 32 && !hasPgbouncer(point),
  },
  { cases: ['50kB', '10MB'], figure: 'toPgbouncer', bound: 'at least', value: 1.25 },
  { cases: ['connect', 'scram'], figure: 'toPgbouncer', bound: 'at least', value: 1 },
]
/** Resident memory per idle client, in bytes, on Node. */
const MEMORY_BUDGET = 12_000

const figureNames: Readonly<Record<Figure, string>> = {
  toPgbouncer: '× PgBouncer',
  cpuToPgbouncer: '× its CPU',
  toDirect: '× direct',
}

/** Every budget that says something about these results. */
export function judge(results: BenchResults): Verdict[] {
  const verdicts: Verdict[] = []
  for (const point of results.points) {
    for (const summary of summarize(point)) {
      if (summary.kind !== 'pgbun') continue
      for (const budget of BUDGETS) {
        if (!budget.cases.includes(point.case) || budget.applies?.(point) === false) continue
        verdicts.push(judgeOne(point, summary, budget))
      }
    }
  }
  for (const { kind, name, memory } of results.memory) {
    if (kind !== 'pgbun' || memory === undefined) continue
    const kilobytes = memory.connected / 1000
    verdicts.push({
      what: MEMORY,
      target: name,
      budget: `≤ ${MEMORY_BUDGET / 1000} kB per idle client`,
      measured: `${kilobytes.toFixed(1)} kB`,
      verdict: memory.connected <= MEMORY_BUDGET ? 'met' : 'missed',
    })
  }
  return verdicts
}

function judgeOne(point: Point, summary: Summary, { figure, bound, value }: Budget): Verdict {
  const ratio = summary[figure]
  const kept = ratio && (bound === 'at least' ? ratio.value >= value : ratio.value <= value)
  return {
    what: `${point.case}, ${point.clients} client${point.clients === 1 ? '' : 's'}`,
    target: summary.name,
    budget: `${bound === 'at least' ? '≥' : '≤'} ${value.toFixed(2)} ${figureNames[figure]}`,
    measured: ratio ? describeRatio(ratio) : '-',
    verdict: kept === undefined ? 'unknown' : kept ? 'met' : 'missed',
  }
}

/** `1.05 (0.98-1.11)`; without the range where there was one repetition. */
export function describeRatio({ value, low, high }: Ratio): string {
  return low === high ? value.toFixed(2) : `${value.toFixed(2)} (${low.toFixed(2)}-${high.toFixed(2)})`
}

function hasPgbouncer(point: Point): boolean {
  return point.targets.some(({ kind, runs }) => kind === 'pgbouncer' && runs.length > 0)
}
