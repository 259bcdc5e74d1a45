/** The machine and the programs of a run, and how busy the machine was before it. */
import os from 'node:os'

/** What figures depend on besides the code. */
export interface Machine {
  /** ISO 8601, UTC, to the minute. */
  date: string
  cpu: string
  cores: number
  memoryGb: number
  system: string
  /** One line per program, with its version. */
  versions: string[]
  /** Of the last minute, before the benchmark began. */
  load: number
  /** Share of the processors' time that others used while the benchmark waited for two seconds, 0 to 1. */
  busy: number
}

/** Share of the processors' time above which figures are not to be trusted. */
const BUSY = 0.1

/** Looks at the machine for two seconds. */
export async function inspectMachine(versions: string[]): Promise<Machine> {
  const before = cpuTimes()
  await new Promise((resolve) => setTimeout(resolve, 2000))
  const after = cpuTimes()
  return {
    date: `${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown processor',
    cores: os.availableParallelism(),
    memoryGb: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    versions,
    load: os.loadavg()[0]!,
    busy: (after.used - before.used) / Math.max(after.total - before.total, 1),
  }
}

/** Lines for the head of a report; the last one is a warning where the machine was busy. */
export function describeMachine(machine: Machine): string[] {
  const { cpu, cores, memoryGb, system, versions, load, busy } = machine
  const lines = [
    `${cpu}, ${cores} cores, ${memoryGb} GB, ${system}`,
    versions.join(', '),
    `before the start: load average ${load.toFixed(2)}, processors ${Math.round(busy * 100)} % busy`,
  ]
  if (busy > BUSY) lines.push('WARNING: the machine was busy with something else; figures are not to be trusted')
  return lines
}

function cpuTimes(): { used: number; total: number } {
  let used = 0
  let total = 0
  for (const { times } of os.cpus()) {
    const busy = times.user + times.nice + times.sys + times.irq
    used += busy
    total += busy + times.idle
  }
  return { used, total }
}
