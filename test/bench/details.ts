/**
 * What a proxy does for a transaction besides using processor time: system calls and garbage collection. Measured in
 * short runs of their own, because counting slows the proxy down: throughput of these runs is not shown.
 */
import { mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Case } from './cases.ts'
import { type Generator, measureLoad, requestsOf, runRequests } from './load.ts'
import type { Owner } from './owner.ts'
import { countSystemCalls } from './system-calls.ts'
import type { Target } from './targets.ts'

/** Figures per transaction. */
export interface Details {
  /** System calls, all and by name; undefined where strace is missing or not permitted. */
  calls: number | undefined
  byName: Record<string, number>
  /** Time in garbage collection in microseconds; undefined for what is not Node. */
  gc: number | undefined
}

const SECONDS = 3
/** When all clients are connected, and how long is counted from then on, in milliseconds. */
const SETTLED = 1200
const COUNTED = 1000

/** Measures one proxy with one load. @throws Error where the load fails */
export async function measureDetails(
  owner: Owner,
  generator: Generator,
  spec: Case,
  target: Target,
  { clients, directory }: { clients: number; directory: string },
): Promise<Details> {
  const dir = path.join(directory, 'details')
  mkdirSync(dir)
  try {
    const requests = requestsOf(spec, target, { clients, seconds: SECONDS, dir })
    const load = runRequests(owner, generator, requests)
    await new Promise((resolve) => setTimeout(resolve, SETTLED))
    const counted = await countSystemCalls(owner, target.pid!, COUNTED)
    const transactions = await load
    const byName: Record<string, number> = {}
    let calls: number | undefined
    if (counted) {
      const count = transactions.filter(({ at }) => at > counted.from && at <= counted.to).length
      if (count === 0) throw new Error('no transaction was finished while system calls were counted')
      calls = 0
      for (const [name, number] of counted.counts) {
        byName[name] = number / count
        calls += number / count
      }
    }
    const { twin } = target
    if (twin === undefined) return { calls, byName, gc: undefined }
    const metered = requestsOf(spec, twin, { clients, seconds: SECONDS, dir })
    return { calls, byName, gc: (await measureLoad(owner, generator, metered, [], twin)).gc }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
