/** What the benchmark found, as plain data (--json), and the figures drawn from several repetitions. Pure. */
import type { Details } from './details.ts'
import type { Machine } from './machine.ts'
import { median, pairedRatio, type Ratio, spread } from './statistics.ts'
import type { TargetKind } from './targets.ts'
import type { Column, Figures } from './trials/trial.ts'
import type { Measurement } from './window.ts'

/** The runs of one target at one point, in the order in which they took turns with the other targets. */
export interface TargetRuns {
  kind: TargetKind
  name: string
  runs: Measurement[]
  /** Of the lone client beside the load; empty in cases without one. */
  bystander: Measurement[]
  /** At one point of each case. */
  details?: Details
  /** Why it could not be measured, or not to the end. */
  error?: string
}

/** One case with one number of clients. */
export interface Point {
  case: string
  title: string
  clients: number
  targets: TargetRuns[]
}

/** One trial. */
export interface TrialResult {
  name: string
  title: string
  columns: readonly Column[]
  targets: { kind: TargetKind; name: string; runs: Figures[]; error?: string }[]
}

/** Everything. */
export interface BenchResults {
  machine: Machine
  reps: number
  seconds: number
  generator: string
  points: Point[]
  trials: TrialResult[]
}

/** Medians of one target at one point. Latencies in ms, processor time in µs per transaction. */
export interface Summary {
  kind: TargetKind
  name: string
  perSecond: number
  /** Half the range as a share of the median. */
  spread: number
  p50: number
  p99: number
  p999: number
  user: number | undefined
  system: number | undefined
  /** Most resident memory of the proxy, in bytes. */
  resident: number | undefined
  toDirect: Ratio | undefined
  toPgbouncer: Ratio | undefined
  /** Processor time, compared with PgBouncer's. */
  cpuToPgbouncer: Ratio | undefined
  /** Compared with a pgbun that counts nothing and that nobody looks at. */
  toUnobserved: Ratio | undefined
}

/** The medians of every target of a point that was measured. */
export function summarize(point: Point): Summary[] {
  const direct = point.targets.find(({ kind }) => kind === 'direct')
  const pgbouncer = point.targets.find(({ kind }) => kind === 'pgbouncer')
  const unobserved = point.targets.find(({ kind }) => kind === 'unobserved')
  return point.targets
    .filter(({ runs }) => runs.length > 0)
    .map((target) => {
      const rates = target.runs.map(({ perSecond }) => perSecond)
      const against = (other: TargetRuns | undefined, figure: (run: Measurement) => number): Ratio | undefined =>
        other && other !== target ? pairedRatio(target.runs.map(figure), other.runs.map(figure)) : undefined
      return {
        kind: target.kind,
        name: target.name,
        perSecond: median(rates),
        spread: spread(rates),
        p50: median(target.runs.map(({ p50 }) => p50)),
        p99: median(target.runs.map(({ p99 }) => p99)),
        p999: median(target.runs.map(({ p999 }) => p999)),
        user: knownMedian(target.runs, ({ cpu }) => cpu?.user),
        system: knownMedian(target.runs, ({ cpu }) => cpu?.system),
        resident: knownMedian(target.runs, ({ resident }) => resident),
        toDirect: against(direct, ({ perSecond }) => perSecond),
        toPgbouncer: target.kind === 'direct' ? undefined : against(pgbouncer, ({ perSecond }) => perSecond),
        cpuToPgbouncer: against(pgbouncer, totalCpu),
        toUnobserved: against(unobserved, ({ perSecond }) => perSecond),
      }
    })
}

function knownMedian(
  runs: readonly Measurement[],
  figure: (run: Measurement) => number | undefined,
): number | undefined {
  const values = runs.flatMap((run) => figure(run) ?? [])
  return values.length > 0 ? median(values) : undefined
}

function totalCpu({ cpu }: Measurement): number {
  return cpu ? cpu.user + cpu.system : Number.NaN
}
