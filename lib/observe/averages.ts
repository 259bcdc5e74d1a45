/**
 * Averages of what is counted by database, over the last whole `stats_period` (PgBouncer): counters are remembered at the end
 * of each period. Before the first has passed, over the time since the start.
 */

import { addCounters, type Counters, createCounters } from '../pool/counters.ts'
import type { CountSnapshot } from './snapshot.ts'

/** The counters of one database or of all, by what they are averaged over. */
export interface Change {
  /** What was counted in that time. */
  readonly counters: Counters
  /** How long it was (ms). */
  readonly ms: number
}

/** What all pools of a database have counted since the start, those that are forgotten included. */
export function countersByDatabase({ pools, forgottenByDatabase }: CountSnapshot): Map<string, Counters> {
  const sums = new Map<string, Counters>()
  const add = (database: string, counters: Counters): void => {
    let sum = sums.get(database)
    if (sum === undefined) sums.set(database, (sum = createCounters()))
    addCounters(sum, counters)
  }
  for (const { database, counters } of forgottenByDatabase) add(database, counters)
  for (const { database, counters } of pools) add(database, counters)
  return sums
}

/** What was counted at the ends of the last two periods. */
export class Averages {
  #before: ReadonlyMap<string, Counters> = new Map()
  #last: ReadonlyMap<string, Counters> | undefined
  #ms = 0

  /** A period of `ms` is over. */
  periodOver(snapshot: CountSnapshot, ms: number): void {
    this.#before = this.#last ?? new Map()
    this.#last = countersByDatabase(snapshot)
    this.#ms = ms
  }

  /** What `database`, of which `sum` was counted up to now, did in the last period; `uptime` in ms. */
  of(database: string, sum: Counters, uptime: number): Change {
    if (this.#last === undefined) return { counters: sum, ms: uptime }
    return { counters: difference(this.#last.get(database), this.#before.get(database)), ms: this.#ms }
  }
}

function difference(later = createCounters(), earlier = createCounters()): Counters {
  const counters = createCounters()
  for (const name of Object.keys(counters) as (keyof Counters)[]) counters[name] = later[name] - earlier[name]
  return counters
}
