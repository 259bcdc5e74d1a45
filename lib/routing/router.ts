/**
 * Which pool serves whom. Today every database of every user leads to the one server of the configuration, with a pool
 * for each pair; pools nobody uses are forgotten, so that names made up by strangers do not pile up.
 */

import { addCounters, createCounters } from '../pool/counters.ts'
import { FunctionCatalog } from '../pool/function-catalog.ts'
import { Pool } from '../pool/pool.ts'
import type { PoolPorts } from '../pool/ports.ts'
import type { PoolSettings } from '../pool/settings.ts'
import { asError } from '../util/logger.ts'

/** From when PostgreSQL has locked the database, which it does first, it lets nobody else in by itself. */
const PAUSE_MS = 1000
const REPLACED = 'its role, or the password of that, may be another by now'
const CLEARED = 'a statement wants nobody connected to the database'

/** The settings of the pool of a database and user. */
export type SettingsOf = (database: string, user: string) => PoolSettings

/** All pools of a process. */
export class Router {
  readonly #pools = new Map<string, Pool>()
  /** What the pools had counted that are forgotten. */
  readonly forgotten = createCounters()
  /** By database. */
  readonly #functions = new Map<string, FunctionCatalog>()
  readonly #ports: PoolPorts
  #settingsOf: SettingsOf

  constructor(settingsOf: SettingsOf, ports: PoolPorts) {
    this.#settingsOf = settingsOf
    this.#ports = ports
  }

  /** The pool of `database` and `user`. */
  pool(database: string, user: string): Pool {
    // Neither name can contain a zero byte: it ends them in a startup packet.
    const key = `${database}\0${user}`
    let pool = this.#pools.get(key)
    if (pool === undefined) {
      pool = this.#createPool(database, user)
      this.#pools.set(key, pool)
    }
    return pool
  }

  #createPool(database: string, user: string): Pool {
    const settings = this.#settingsOf(database, user)
    let functions = this.#functions.get(database)
    if (functions === undefined) {
      functions = new FunctionCatalog(database)
      this.#functions.set(database, functions)
      enable(functions, settings)
    }
    return new Pool(database, user, settings, functions, this.#ports)
  }

  /** All pools there are. */
  pools(): Iterable<Pool> {
    return this.#pools.values()
  }

  /** Close the connections to `database` that nobody uses, and open none for a moment: it is about to be dropped or copied. */
  clearDatabase(database: string): void {
    for (const pool of this.#pools.values()) if (pool.database === database) pool.clear(CLEARED, PAUSE_MS)
    this.#functions.get(database)?.forget()
  }

  /** Close the connections of `user`, or of all, as soon as nobody uses them: the name may be another role's. */
  retire(user: string | undefined): void {
    for (const pool of this.#pools.values()) if (user === undefined || pool.user === user) pool.clear(REPLACED)
  }

  /** Use other settings from now on. */
  configure(settingsOf: SettingsOf): void {
    this.#settingsOf = settingsOf
    for (const pool of this.#pools.values()) {
      pool.settings = settingsOf(pool.database, pool.user)
      enable(pool.functions, pool.settings)
    }
  }

  /** Deadlines of all pools, and the end of those nobody needs. */
  sweep(at: number): void {
    this.#ports.limits.sweep()
    for (const [key, pool] of this.#pools) {
      try {
        pool.sweep(at)
      } catch (error) {
        // The other pools have their deadlines, too (R20).
        const { database, user } = pool
        this.#ports.log.error('internal error of pgbun', { database, user, err: asError(error) })
      }
      if (!pool.empty) continue
      this.#pools.delete(key)
      // A login that is still being proven for a client that has left would bring its connection to nobody.
      pool.close('unused')
      addCounters(this.forgotten, pool.counters)
      this.#forgetFunctions(pool.database)
    }
  }

  #forgetFunctions(database: string): void {
    for (const pool of this.#pools.values()) if (pool.database === database) return
    this.#functions.delete(database)
  }
}

/** Who logged in when servers were shared goes on sharing them after a reload to session mode. */
function enable(functions: FunctionCatalog, { mode, checkFunctions }: PoolSettings): void {
  functions.enabled = checkFunctions && (mode !== 'session' || functions.enabled)
}
