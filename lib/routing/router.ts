/**
 * Which pool serves whom: one for each database and user, or one for all users of a database whose clients are logged in
 * as one user. Where a database is, routes.ts knows. Pools nobody uses are forgotten, so that names made up by strangers
 * do not pile up.
 */

import { hostPort } from '../config/hosts.ts'
import { addCounters, type Counters, createCounters, OTHER_DATABASES } from '../pool/counters.ts'
import { DurationBook } from '../pool/durations.ts'
import { FunctionCatalog } from '../pool/function-catalog.ts'
import { Pool } from '../pool/pool.ts'
import type { PoolPorts } from '../pool/ports.ts'
import { fits, type HostRole, MISFIT } from '../pool/session-attrs.ts'
import type { PoolSettings } from '../pool/settings.ts'
import { placeOf, type Target } from '../pool/target.ts'
import { addPinCounts, createPinCounts } from '../sql/state-kinds.ts'
import { asError } from '../util/logger.ts'
import type { ReadRoute } from './read-route.ts'
import { leaveOtherHosts, ReadRoutes } from './read-routes.ts'
import type { WatchPorts } from './replica-watch.ts'
import type { Routes } from './routes.ts'

/** From when PostgreSQL has locked the database, which it does first, it lets nobody else in by itself. */
const PAUSE_MS = 1000
/** Of so many databases it is remembered one by one what their pools had counted. */
const COUNTED_DATABASES = 1000
const REPLACED = 'its role, or the password of that, may be another by now'
const MOVED = 'its host has other addresses now'
const CLEARED = 'a statement wants nobody connected to the database'

/** What the pools and the watch over standbys work with. */
export type RouterPorts = PoolPorts & WatchPorts

/** All pools of a process. */
export class Router {
  readonly #pools = new Map<string, Pool>()
  /** Of databases that are not served any more, until nobody uses them. */
  readonly #orphans = new Set<Pool>()
  readonly #reads: ReadRoutes
  /** What the pools had counted that are forgotten. */
  readonly forgotten = createCounters()
  /** The same by database, of those that somebody was let in to: others may be names made up by strangers. */
  readonly forgottenByDatabase = new Map<string, Counters>()
  /** How often clients of pools that are forgotten began to keep a server because of each kind of session state. */
  readonly forgottenPins = createPinCounts()
  /** How long what clients do takes, by pool. */
  readonly durations = new DurationBook()
  /** By the place of the database. */
  readonly #functions = new Map<string, FunctionCatalog>()
  readonly #ports: RouterPorts
  #routes: Routes

  constructor(routes: Routes, ports: RouterPorts) {
    this.#routes = routes
    this.#ports = ports
    this.#reads = new ReadRoutes(ports, (pool) => this.#forget(pool))
    this.#makeLasting()
  }

  /** The pool for clients of `database` and `user`; undefined where there is no such database. */
  pool(database: string, user: string): Pool | undefined {
    if (!this.#routes.serves(database)) return undefined
    const owner = this.#routes.hasOneUser(database) ? '' : user
    // Neither name can contain a zero byte: it ends them in a startup packet. No user has an empty name.
    const key = `${database}\0${owner}`
    let pool = this.#pools.get(key)
    if (pool === undefined) {
      pool = this.#createPool(database, owner)
      this.#pools.set(key, pool)
    }
    return pool
  }

  /** Pools that keep connections also while nobody is connected. */
  #makeLasting(): void {
    for (const database of this.#routes.withOneUser()) {
      if (this.#routes.settings(database, '').minSize > 0) this.pool(database, '')
    }
  }

  #createPool(database: string, user: string): Pool {
    const target = this.#routes.target(database)
    const settings = this.#routes.settings(database, target.user?.name ?? user)
    const functions = this.#functionsOf(target, settings)
    return new Pool({ database, user, target, durations: this.durations.enter() }, settings, functions, this.#ports)
  }

  /** What is known of the functions where `target` leads. */
  #functionsOf({ place, database }: Target, settings: PoolSettings): FunctionCatalog {
    let functions = this.#functions.get(place)
    if (functions === undefined) {
      functions = new FunctionCatalog(database)
      this.#functions.set(place, functions)
      enable(functions, settings)
    }
    return functions
  }

  /** Where reads of the clients of `pool` may go; undefined where `route_reads` is off. */
  readsOf(pool: Pool): ReadRoute | undefined {
    return this.#reads.of(pool)
  }

  /** Up to when what was acknowledged can be read on the host with `key`, where somebody watches that (ms of the clock). */
  readableUpTo(key: string): number | undefined {
    return this.#reads.upTo(key)
  }

  /** All pools there are. */
  *pools(): Generator<Pool> {
    yield* this.#pools.values()
    yield* this.#reads.pools()
    yield* this.#orphans
  }

  /**
   * Close the connections to `database`, as the servers of `pool` call it, that nobody uses, and open none for a moment: it
   * is about to be dropped or copied.
   */
  clearDatabase(pool: Pool, database: string): void {
    const place = placeOf({ ...pool.target, database })
    for (const other of this.pools()) if (other.target.place === place) other.clear(CLEARED, PAUSE_MS)
    this.#reads.leave(CLEARED, { place }, PAUSE_MS)
    this.#functions.get(place)?.forget()
  }

  /** Renew the connections to `database`, as clients call it, or all of them, as soon as nobody uses them. */
  clear(database: string | undefined, reason: string): void {
    for (const pool of this.poolsOf(database)) {
      pool.clear(reason)
      this.#reads.leave(reason, { place: pool.target.place })
    }
  }

  /** The pools of `database`, as clients call it, or all of them. */
  poolsOf(database: string | undefined): Pool[] {
    return [...this.pools()].filter((pool) => database === undefined || pool.database === database)
  }

  /** The host with `key` has another role: connections to it are not used again where that does not fit. */
  roleChanged(key: string, role: HostRole): void {
    for (const pool of this.#poolsOn(key)) if (!fits(pool.target.attrs, role)) pool.leaveHost(key, MISFIT)
  }

  /** The host with `key` has these addresses now: connections to others are not used again. */
  hostMoved(key: string, addresses: readonly string[]): void {
    for (const pool of this.#poolsOn(key)) pool.leaveHost(key, MOVED, addresses)
    this.#reads.leave(MOVED, { key })
  }

  /** The host with `key` does not answer: connections to it are of no use where there are others. */
  hostDown(key: string, reason: string): void {
    for (const pool of this.#poolsOn(key)) {
      if (pool.target.hosts.length > 1) pool.leaveHost(key, `its host does not answer: ${reason}`)
    }
  }

  *#poolsOn(key: string): Generator<Pool> {
    for (const pool of this.pools()) if (pool.target.hosts.some((host) => hostPort(host) === key)) yield pool
  }

  /** Close the connections of `user`, or of all, as soon as nobody uses them: the name may be another role's. */
  retire(user: string | undefined): void {
    for (const pool of this.pools()) if (user === undefined || pool.user === user) pool.clear(REPLACED)
    this.#reads.leave(REPLACED, { user })
  }

  /** Use other databases and settings from now on. Returns the pools that lead nowhere any more. */
  configure(routes: Routes): ReadonlySet<Pool> {
    this.#routes = routes
    for (const [key, pool] of this.#pools) {
      const { database } = pool
      if (!routes.serves(database) || routes.hasOneUser(database) !== key.endsWith('\0')) {
        this.#pools.delete(key)
        pool.close('its database is not served any more')
        this.#reads.end(pool)
        this.#orphans.add(pool)
        continue
      }
      const target = routes.target(database)
      pool.settings = routes.settings(database, target.user?.name ?? pool.user)
      if (target.place !== pool.target.place) pool.functions = this.#functionsOf(target, pool.settings)
      leaveOtherHosts(pool, target)
      pool.retarget(target)
      this.#reads.configured(pool)
      enable(pool.functions, pool.settings)
    }
    this.#makeLasting()
    this.#forgetFunctions()
    return this.#orphans
  }

  /** Deadlines of all pools, and the end of those nobody needs. */
  sweep(at: number): void {
    this.#ports.limits.sweep()
    let forgotten = false
    for (const pool of this.pools()) {
      try {
        pool.sweep(at)
      } catch (error) {
        // The other pools have their deadlines, too (R20).
        const { database, user } = pool
        this.#ports.log.error('internal error of pgbun', { database, user, err: asError(error) })
      }
    }
    for (const [key, pool] of this.#pools) {
      if (!pool.empty) continue
      this.#pools.delete(key)
      // A login that is still being proven for a client that has left would bring its connection to nobody.
      pool.close('unused')
      this.#reads.end(pool)
      this.#forget(pool)
      forgotten = true
    }
    for (const pool of this.#orphans) {
      if (!pool.empty) continue
      this.#orphans.delete(pool)
      this.#forget(pool)
    }
    this.#reads.sweep(at)
    if (forgotten) this.#forgetFunctions()
  }

  /** Nothing asks for standbys any more: the process ends. */
  close(): void {
    this.#reads.close()
  }

  #forget(pool: Pool): void {
    const { counters, database } = pool
    // A pool of standbys has those of its main pool.
    if (!pool.target.reads) this.durations.leave(pool.durations)
    addPinCounts(this.forgottenPins, pool.pins.counts)
    addCounters(this.forgotten, counters)
    if (counters.logins === 0 && counters.opened === 0) return
    // Databases come and go, where tests make them.
    const known = this.forgottenByDatabase.has(database) || this.forgottenByDatabase.size < COUNTED_DATABASES
    const key = known ? database : OTHER_DATABASES
    let sum = this.forgottenByDatabase.get(key)
    if (sum === undefined) this.forgottenByDatabase.set(key, (sum = createCounters()))
    addCounters(sum, counters)
  }

  #forgetFunctions(): void {
    const places = new Set(Array.from(this.pools(), ({ target }) => target.place))
    for (const place of this.#functions.keys()) if (!places.has(place)) this.#functions.delete(place)
  }
}

/** Who logged in when servers were shared goes on sharing them after a reload to session mode. */
function enable(functions: FunctionCatalog, { mode, checkFunctions }: PoolSettings): void {
  functions.enabled = checkFunctions && (mode !== 'session' || functions.enabled)
}
