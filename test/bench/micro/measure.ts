/**
 * Times a case: calls it until the compiler is done with it, then in rounds of equal length. Allocation is measured in
 * rounds of its own, each short enough to come between two collections.
 */
import { median, spread } from '../statistics.ts'
import type { MicroCase } from './micro-case.ts'

/** How long a case is measured. */
export interface MicroPlan {
  rounds: number
  /** Milliseconds. */
  warmUp: number
  round: number
}

/** Figures of one case. */
export interface MicroResult {
  name: string
  /** Nanoseconds per message: median of the rounds, and half their range as a share of it. */
  nanoseconds: number
  spread: number
  /** The fastest round: on a machine that is busy with other things, the figure to compare. */
  least: number
  /** Bytes allocated per message on the heap and in buffers beside it; undefined where the runtime does not tell. */
  bytes: number | undefined
}

const ALLOCATION_ROUNDS = 7
/** Bytes a round may allocate, by the first estimate; far below what the young generation of the heap holds. */
const ALLOCATION_LIMIT = 2_000_000
const ALLOCATION_CALLS = 20_000

/** Measures one case. */
export function measureMicro(spec: MicroCase, plan: MicroPlan): MicroResult {
  const perCall = calibrate(spec, plan.warmUp)
  const calls = Math.max(1, Math.round(plan.round / perCall))
  const rounds: number[] = []
  for (let i = 0; i < plan.rounds; i++) rounds.push((time(spec, calls) * 1e6) / (calls * spec.messages))
  return {
    name: spec.name,
    nanoseconds: median(rounds),
    spread: spread(rounds),
    least: Math.min(...rounds),
    bytes: allocated(spec),
  }
}

/** Calls the case for so many milliseconds; returns what a call took in the last part of them. */
function calibrate(spec: MicroCase, milliseconds: number): number {
  let calls = 1
  let perCall = 0
  for (let spent = 0; spent < milliseconds; calls *= 2) {
    const took = time(spec, calls)
    spent += took
    perCall = took / calls
  }
  return Math.max(perCall, 1e-6)
}

/** Milliseconds that so many calls take. */
function time(spec: MicroCase, calls: number): number {
  const before = performance.now()
  for (let i = 0; i < calls; i++) spec.run()
  return performance.now() - before
}

function allocated(spec: MicroCase): number | undefined {
  const { gc } = globalThis
  // Without a collection before it, one in the middle of a round could not be told from a case that allocates nothing.
  if (gc === undefined || process.versions.bun !== undefined) return undefined
  const round = (calls: number): number => {
    gc()
    const before = process.memoryUsage()
    for (let i = 0; i < calls; i++) spec.run()
    const after = process.memoryUsage()
    return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  }
  const estimate = Math.max(round(100) / 100, 1)
  const calls = Math.max(10, Math.min(ALLOCATION_CALLS, Math.floor(ALLOCATION_LIMIT / estimate)))
  const own = median(Array.from({ length: ALLOCATION_ROUNDS }, () => round(0)))
  const rounds = Array.from({ length: ALLOCATION_ROUNDS }, () => round(calls))
  return Math.max(0, (median(rounds) - own) / (calls * spec.messages))
}
