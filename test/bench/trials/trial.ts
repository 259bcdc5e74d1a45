/**
 * A trial: something measured about a running target that is no steady load. It begins with programs that were just
 * started and gives a row of figures.
 */
import { execFileSync } from 'node:child_process'
import type { Setup } from '../cases.ts'
import type { Owner } from '../owner.ts'
import type { Target, TargetKind } from '../targets.ts'
import { WireClient } from '../wire-client.ts'

/** One figure of a trial. */
export interface Column {
  key: string
  /** Heading, with the unit. */
  label: string
  /** Decimals shown. */
  digits: number
}

/** The figures of one run, by the keys of the columns. */
export type Figures = Record<string, number>

export interface TrialContext {
  /** Ends what the trial started. */
  owner: Owner
  /** Fewer clients and shorter, only to see that it works. */
  quick: boolean
}

export interface Trial {
  /** For --only. */
  name: string
  title: string
  setup: Setup
  columns: readonly Column[]
  without: readonly TargetKind[]
  /** @throws Error where it could not be measured */
  measure(context: TrialContext, target: Target): Promise<Figures>
}

/** The clients of a trial: `connect` adds one, and all that are open end with the trial, whatever becomes of it. */
export function clientsOf({ owner }: TrialContext, { host, port }: Target, tls = false) {
  const open = new Set<WireClient>()
  owner.teardown(() => {
    for (const { socket } of open) socket.destroy()
  })
  const connect = async (): Promise<WireClient> => {
    const client = await WireClient.connect({ host, port, tls })
    open.add(client)
    return client
  }
  const leave = (): void => {
    for (const client of open) client.end()
    open.clear()
  }
  return { open, connect, leave }
}

/** So many connections, or as many as this process may have open (`ulimit -n`), with some left for the rest. */
export function affordable(connections: number): number {
  const limit = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }))
  return Number.isNaN(limit) ? connections : Math.min(connections, Math.max(limit - 1500, 100))
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

export function column(key: string, label: string, digits: number): Column {
  return { key, label, digits }
}
