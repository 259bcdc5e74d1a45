/**
 * Processor time and memory of another process, from /proc where there is one, else from ps (macOS, BSD).
 * Threads and what they did before they ended are part of it; children are not.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** Processor time used so far, in microseconds. */
export interface Usage {
  user: number
  system: number
}

const hasProc = existsSync('/proc/self/stat')
let ticksPerSecond = 0

/** Processor time of process `pid` so far; undefined where it ended, or neither /proc nor ps tells it. */
export function readUsage(pid: number): Usage | undefined {
  if (hasProc) {
    ticksPerSecond ||= Number(run('getconf', ['CLK_TCK'])) || 100
    try {
      return parseProcStat(readFileSync(`/proc/${pid}/stat`, 'utf8'), ticksPerSecond)
    } catch {
      return undefined
    }
  }
  return parsePsTimes(run('ps', ['-o', 'utime=,time=', '-p', String(pid)]))
}

/** Resident memory of process `pid` in bytes; NaN where neither /proc nor ps tells it. */
export function readResident(pid: number): number {
  if (hasProc) {
    const match = readFileSync(`/proc/${pid}/status`, 'utf8').match(/^VmRSS:\s+(\d+) kB$/m)
    return match ? Number(match[1]) * 1024 : Number.NaN
  }
  return Number.parseInt(run('ps', ['-o', 'rss=', '-p', String(pid)]), 10) * 1024
}

/** The line of /proc/<pid>/stat (manual page proc_pid_stat, fields utime and stime). */
export function parseProcStat(text: string, ticks: number): Usage {
  // The program's name comes before the last parenthesis and may hold anything, spaces and parentheses included.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const micros = (field: string | undefined): number => (Number(field) * 1_000_000) / ticks
  return { user: micros(fields[11]), system: micros(fields[12]) }
}

/** User time and total time as ps writes them: `[[dd-]hh:]mm:ss.cc`. Undefined where the text is something else. */
export function parsePsTimes(text: string): Usage | undefined {
  const [user, total] = text.trim().split(/\s+/).map(seconds)
  if (user === undefined || total === undefined || Number.isNaN(user + total)) return undefined
  return { user: user * 1_000_000, system: Math.max(0, total - user) * 1_000_000 }
}

function seconds(text: string): number {
  const [days, clock] = text.includes('-') ? text.split('-') : ['0', text]
  let sum = 0
  for (const part of clock!.split(':')) sum = sum * 60 + Number(part)
  return Number(days) * 86_400 + sum
}

function run(command: string, args: string[]): string {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return ''
  }
}
