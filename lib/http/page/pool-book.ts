/** The pools as the stream of events tells of them: a whole picture, and what changes. Pure. */

import type { DeltaEvent, PoolGauges, WholeEvent } from '../../observe/activity-delta.ts'

/** All pools by now. */
export class PoolBook {
  readonly #pools = new Map<string, PoolGauges>()
  clientCount = 0

  /** The whole picture. */
  begin({ pools, clientCount }: WholeEvent): void {
    this.#pools.clear()
    for (const pool of pools) this.#pools.set(keyOf(pool), pool)
    this.clientCount = clientCount
  }

  /** What has changed. */
  change({ pools, gone, clientCount }: DeltaEvent): void {
    for (const pool of gone) this.#pools.delete(keyOf(pool))
    for (const pool of pools) this.#pools.set(keyOf(pool), pool)
    this.clientCount = clientCount
  }

  all(): PoolGauges[] {
    return [...this.#pools.values()]
  }
}

/** Names may hold anything. */
export function keyOf({ database, user, reads }: Pick<PoolGauges, 'database' | 'user' | 'reads'>): string {
  return JSON.stringify([database, user, reads])
}
