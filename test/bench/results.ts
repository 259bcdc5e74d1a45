/** What the benchmark found, as plain data (--json), and the figures drawn from several repetitions. Pure. */
import type { IdleMemory } from './idle-memory.ts'
import type { Machine } from './machine.ts'
import { median, pairedRatio, type Ratio, spread } from './statistics.ts'
import type { TargetKind } from './targets.ts'
import type { Measurement } from './window.ts'

/** The runs of one target at one point, in the order in which they took turns with the other targets. */
export interface TargetRuns {
  kind: TargetKind
  name: string
  runs: Measurement[]
  /** Of the lone client beside the load; empty in cases without one. */
  bystander: Measurement[]
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

/** Memory per idle client of one proxy. */
export interface MemoryResult {
  kind: TargetKind
  name: string
  memory?: IdleMemory
  error?: string
}

/** Everything. */
export interface BenchResults {
  machine: Machine
  reps: number
  seconds: number
  generator: string
  points: Point[]
  memory: MemoryResult[]
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
  user: number | undefined
  system: number | undefined
  toDirect: Ratio | undefined
  toPgbouncer: Ratio | undefined
  /** Processor time, compared with PgBouncer's. */
  cpuToPgbouncer: Ratio | undefined
}

/** The medians of every target of a point that was measured. */
export function summarize(point: Point): Summary[] {
  const direct = point.targets.find(({ kind }) => kind === 'direct')
  const pgbouncer = point.targets.find(({ kind }) => kind === 'pgbouncer')
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
        user: medianCpu(target.runs, (cpu) => cpu.user),
        system: medianCpu(target.runs, (cpu) => cpu.system),
        toDirect: against(direct, ({ perSecond }) => perSecond),
        toPgbouncer: target.kind === 'direct' ? undefined : against(pgbouncer, ({ perSecond }) => perSecond),
        cpuToPgbouncer: against(pgbouncer, totalCpu),
      }
    })
}

function medianCpu(
  runs: readonly Measurement[],
  figure: (cpu: NonNullable<Measurement['cpu']>) => number,
): number | undefined {
  const values = runs.flatMap(({ cpu }) => (cpu ? [figure(cpu)] : []))
  return values.length > 0 ? median(values) : undefined
}

function totalCpu({ cpu }: Measurement): number {
  return cpu ? cpu.user + cpu.system : Number.NaN
}
