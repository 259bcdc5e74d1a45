/** What processes of one installation tell of each other: the one that accepts clients, and those that it has succeeded. */

/** One process. */
export interface ProcessSnapshot {
  readonly pid: number
  readonly version: string
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** False for one that has a successor, or shuts down. */
  readonly accepting: boolean
  readonly clients: number
  /** Clients that wait for a server. */
  readonly waiting: number
  readonly servers: number
}

/** Reads what another process says of itself and of those before it: nothing of it is taken on trust. */
export function readProcesses(value: unknown): ProcessSnapshot[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, MOST).map((each: Partial<Record<keyof ProcessSnapshot, unknown>> | null) => ({
    pid: count(each?.pid),
    version: typeof each?.version === 'string' ? each.version.slice(0, 64) : '',
    startedAt: count(each?.startedAt),
    accepting: each?.accepting === true,
    clients: count(each?.clients),
    waiting: count(each?.waiting),
    servers: count(each?.servers),
  }))
}

/** Nobody upgrades faster than the clients of so many leave. */
const MOST = 32

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : 0
}
