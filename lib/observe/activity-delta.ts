/**
 * What changes in a pooler from one look to the next, for who follows it: a whole picture first, then what differs. Pure.
 */

import { type Counters, createCounters } from '../pool/counters.ts'
import { countersByDatabase } from './averages.ts'
import type { CountSnapshot, PoolSnapshot } from './snapshot.ts'

/** A pool as it is at one moment. `reads` tells the connections to standbys from the others of the same pair. */
export type PoolGauges = Pick<
  PoolSnapshot,
  'database' | 'user' | 'reads' | 'mode' | 'size' | 'clients' | 'waiting' | 'maxWait' | 'pinned' | 'servers' | 'opening'
> & {
  /** Requests that were sent behind those of other clients. */
  readonly shared: number
}

/** The whole of what is followed. */
export interface Activity {
  /** Milliseconds since 1970. */
  readonly at: number
  /** Clients logged in or logging in. */
  readonly clientCount: number
  /** What was counted since the start, by database. */
  readonly databases: ReadonlyMap<string, Counters>
  readonly pools: ReadonlyMap<string, PoolGauges>
}

/** The activity in `counts`, taken at `at`. */
export function activityOf(counts: CountSnapshot, at: number): Activity {
  const pools = new Map<string, PoolGauges>()
  for (const pool of counts.pools) {
    const { database, user, reads, mode, size, clients, waiting, maxWait, pinned, servers, opening } = pool
    const now = { clients, waiting, maxWait, pinned, servers, opening }
    const gauges = { database, user, reads, mode, size, ...now, shared: pool.counters.sharedRequests }
    pools.set(JSON.stringify([database, user, reads]), gauges)
  }
  return { at, clientCount: counts.clientCount, databases: countersByDatabase(counts), pools }
}

/** The first event: all of it. */
export interface WholeEvent {
  readonly at: number
  readonly clientCount: number
  readonly databases: readonly { database: string; counters: Counters }[]
  readonly pools: readonly PoolGauges[]
}

/** The events behind it: what was counted meanwhile, pools that are not as they were, and those that are gone. */
export interface DeltaEvent {
  readonly at: number
  /** Since the event before. */
  readonly ms: number
  readonly clientCount: number
  readonly databases: readonly { database: string; counters: Partial<Counters> }[]
  readonly pools: readonly PoolGauges[]
  readonly gone: readonly Pick<PoolGauges, 'database' | 'user' | 'reads'>[]
}

/** All of `activity`. */
export function wholeEvent({ at, clientCount, databases, pools }: Activity): WholeEvent {
  return {
    at,
    clientCount,
    databases: Array.from(databases, ([database, counters]) => ({ database, counters })),
    pools: [...pools.values()],
  }
}

/** What differs in `after` from `before`. */
export function deltaEvent(after: Activity, before: Activity): DeltaEvent {
  const databases: DeltaEvent['databases'][number][] = []
  for (const [database, counters] of after.databases) {
    const moved = movedCounters(counters, before.databases.get(database))
    if (moved !== undefined) databases.push({ database, counters: moved })
  }
  const pools: PoolGauges[] = []
  for (const [key, pool] of after.pools) {
    const known = before.pools.get(key)
    if (known === undefined || JSON.stringify(known) !== JSON.stringify(pool)) pools.push(pool)
  }
  const gone: DeltaEvent['gone'][number][] = []
  for (const [key, { database, user, reads }] of before.pools) {
    if (!after.pools.has(key)) gone.push({ database, user, reads })
  }
  return { at: after.at, ms: after.at - before.at, clientCount: after.clientCount, databases, pools, gone }
}

/** The counters that have moved, and by how much; undefined where none has. */
function movedCounters(after: Counters, before = createCounters()): Partial<Counters> | undefined {
  const moved: Partial<Counters> = {}
  for (const name of Object.keys(after) as (keyof Counters)[]) {
    if (after[name] !== before[name]) moved[name] = after[name] - before[name]
  }
  return Object.keys(moved).length > 0 ? moved : undefined
}
