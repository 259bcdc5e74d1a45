/**
 * Which pool serves whom. Today every database of every user leads to the one server of the configuration, with a pool
 * for each pair; pools nobody uses are forgotten, so that names made up by strangers do not pile up.
 */

import { Pool, type PoolPorts } from '../pool/pool.ts'
import type { PoolSettings } from '../pool/settings.ts'

/** All pools of a process. */
export class Router {
  readonly #pools = new Map<string, Pool>()
  readonly #ports: PoolPorts
  #settings: PoolSettings

  constructor(settings: PoolSettings, ports: PoolPorts) {
    this.#settings = settings
    this.#ports = ports
  }

  /** The pool of `database` and `user`. */
  pool(database: string, user: string): Pool {
    // Neither name can contain a zero byte: it ends them in a startup packet.
    const key = `${database}\0${user}`
    let pool = this.#pools.get(key)
    if (pool === undefined) {
      pool = new Pool(database, user, this.#settings, this.#ports)
      this.#pools.set(key, pool)
    }
    return pool
  }

  /** All pools there are. */
  pools(): Iterable<Pool> {
    return this.#pools.values()
  }

  /** Use other settings from now on. */
  configure(settings: PoolSettings): void {
    this.#settings = settings
    for (const pool of this.#pools.values()) pool.settings = settings
  }

  /** Deadlines of all pools, and the end of those nobody needs. */
  sweep(at: number): void {
    for (const [key, pool] of this.#pools) {
      try {
        pool.sweep(at)
      } catch (error) {
        // The other pools have their deadlines, too (R20).
        const { database, user } = pool
        this.#ports.log.error('internal error', { database, user, error: String((error as Error).stack ?? error) })
      }
      if (!pool.empty) continue
      this.#pools.delete(key)
      // A login that is still being proven for a client that has left would bring its connection to nobody.
      pool.close('unused')
    }
  }
}
