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
export async function measureMicro(spec: MicroCase, plan: MicroPlan): Promise<MicroResult> {
  const perCall = await calibrate(spec, plan.warmUp)
  const calls = Math.max(1, Math.round(plan.round / perCall))
  const rounds: number[] = []
  for (let i = 0; i < plan.rounds; i++) rounds.push(((await time(spec, calls)) * 1e6) / (calls * spec.messages))
  return {
    name: spec.name,
    nanoseconds: median(rounds),
    spread: spread(rounds),
    least: Math.min(...rounds),
    bytes: await allocated(spec),
  }
}

/** Calls the case for so many milliseconds; returns what a call took in the last part of them. */
async function calibrate(spec: MicroCase, milliseconds: number): Promise<number> {
  let calls = 1
  let perCall = 0
  for (let spent = 0; spent < milliseconds; calls *= 2) {
    const took = await time(spec, calls)
    spent += took
    perCall = took / calls
  }
  return Math.max(perCall, 1e-6)
}

/** Milliseconds that so many calls take. */
async function time(spec: MicroCase, calls: number): Promise<number> {
  const before = performance.now()
  await repeat(spec, calls)
  return performance.now() - before
}

/** Calls the case so often, with a pause wherever it wants one. */
export async function repeat(spec: MicroCase, calls: number): Promise<void> {
  const { pauseAfter = calls } = spec
  for (let done = 0; done < calls; ) {
    const until = Math.min(done + pauseAfter, calls)
    for (; done < until; done++) spec.run()
    if (spec.pauseAfter !== undefined) await undefined
  }
}

async function allocated(spec: MicroCase): Promise<number | undefined> {
  const { gc } = globalThis
  // Without a collection before it, one in the middle of a round could not be told from a case that allocates nothing.
  if (gc === undefined || process.versions.bun !== undefined) return undefined
  const round = async (calls: number): Promise<number> => {
    gc()
    const before = process.memoryUsage()
    await repeat(spec, calls)
    const after = process.memoryUsage()
    return after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers
  }
  const estimate = Math.max((await round(100)) / 100, 1)
  const calls = Math.max(10, Math.min(ALLOCATION_CALLS, Math.floor(ALLOCATION_LIMIT / estimate)))
  const several = async (count: number): Promise<number> => {
    const rounds: number[] = []
    for (let i = 0; i < ALLOCATION_ROUNDS; i++) rounds.push(await round(count))
    return median(rounds)
  }
  const own = await several(0)
  return Math.max(0, ((await several(calls)) - own) / (calls * spec.messages))
}
