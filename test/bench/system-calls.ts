/** System calls of a process, counted by strace where there is one that may attach. */

import { waitFor } from '../fixtures/wait.ts'
import { findProgram } from './find-program.ts'
import type { Owner } from './owner.ts'

/** Calls by name. */
export type CallCounts = ReadonlyMap<string, number>

/** What was counted between two moments (milliseconds since 1970). */
export interface CountedCalls {
  counts: CallCounts
  from: number
  to: number
}

/** Counts the calls of all threads of process `pid` for so long; undefined where strace is missing or not permitted. */
export async function countSystemCalls(
  owner: Owner,
  pid: number,
  milliseconds: number,
): Promise<CountedCalls | undefined> {
  const strace = findProgram('strace')
  if (strace === undefined) return undefined
  const program = owner.start(strace, ['-c', '-f', '-p', String(pid)], {}, 'SIGINT')
  await waitFor(() => !program.running || / attached/.test(program.output), { what: 'strace to attach' })
  if (!program.running) return undefined
  const from = Date.now()
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  const to = Date.now()
  await program.stop('SIGINT')
  return { counts: parseStraceSummary(program.output), from, to }
}

/** The table that `strace -c` prints: share, seconds, µs per call, calls, errors (empty where none), name. */
export function parseStraceSummary(text: string): CallCounts {
  const counts = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = line.match(/^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)\s*$/)
    if (match && match[2] !== 'total') counts.set(match[2]!, Number(match[1]))
  }
  return counts
}
