/**
 * The ways to standbys of the pools that send reads there: a second pool for each, and one watch for all that lead to the
 * same database in the same way. Owned by router.ts.
 */

import { hostPort } from '../config/hosts.ts'
import { FunctionCatalog } from '../pool/function-catalog.ts'
import { Pool } from '../pool/pool.ts'
import type { PoolPorts } from '../pool/ports.ts'
import type { Target } from '../pool/target.ts'
import { LoginError } from '../server/login.ts'
import { now } from '../util/clock.ts'
import { ReadRoute } from './read-route.ts'
import { ReplicaWatch, type WatchPorts } from './replica-watch.ts'

/** Of whoever has written nothing. */
const NEVER = Number.NEGATIVE_INFINITY
const OVER = 'reads go to the primary now'

/** By pool of the clients. */
export class ReadRoutes {
  readonly #ports: PoolPorts & WatchPorts
  /** A pool of connections to standbys is gone. */
  readonly #forget: (pool: Pool) => void
  readonly #routes = new Map<Pool, ReadRoute>()
  /** By signature of the target. */
  readonly #watches = new Map<string, ReplicaWatch>()
  /** Pools that lead to standbys no more, until nobody uses them. */
  readonly #leaving = new Set<Pool>()

  constructor(ports: PoolPorts & WatchPorts, forget: (pool: Pool) => void) {
    this.#ports = ports
    this.#forget = forget
  }

  /** That of `main`, made on first need; undefined where it sends no reads to standbys. */
  of(main: Pool): ReadRoute | undefined {
    if (!main.settings.routesReads || main.closing) return undefined
    let route = this.#routes.get(main)
    if (route === undefined) {
      route = this.#create(main)
      this.#routes.set(main, route)
    }
    // Of the client that logged in last.
    route.replicas.credentials = main.credentials
    return route
  }

  /** Pools of connections to standbys. */
  *pools(): Generator<Pool> {
    for (const { replicas } of this.#routes.values()) yield replicas
    yield* this.#leaving
  }

  /** Up to when what was acknowledged can be read on the host with `key`; undefined where that is not known. */
  upTo(key: string): number | undefined {
    let latest = Number.NEGATIVE_INFINITY
    for (const watch of this.#watches.values()) latest = Math.max(latest, watch.upTo(key))
    return Number.isFinite(latest) ? latest : undefined
  }

  /** `main` has other settings, or leads elsewhere. */
  configured(main: Pool): void {
    const route = this.#routes.get(main)
    if (route === undefined) return
    if (!main.settings.routesReads || this.#watches.get(main.target.signature) !== route.watch) this.end(main)
    else {
      route.replicas.settings = settingsOf(main)
      leaveOtherHosts(route.replicas, main.target)
      route.replicas.retarget(targetOf(main))
      route.watch.watch(main.target.hosts)
    }
  }

  /** `main` sends no more reads to standbys, unless somebody asks again. */
  end(main: Pool): void {
    const route = this.#routes.get(main)
    if (route === undefined) return
    this.#routes.delete(main)
    route.replicas.close(OVER)
    turnAway(route.replicas)
    this.#leaving.add(route.replicas)
  }

  /** Look after the watches, and the end of what nobody needs. */
  sweep(at: number): void {
    for (const pool of this.#leaving) {
      if (!pool.empty) continue
      this.#leaving.delete(pool)
      this.#forget(pool)
    }
    const used = new Map<ReplicaWatch, readonly string[]>()
    const paused = new Set<ReplicaWatch>()
    for (const [main, route] of this.#routes) {
      const { watch, replicas } = route
      if (main.gate.paused) {
        paused.add(watch)
        continue
      }
      route.noteDefaults(at)
      const hanging = used.get(watch) ?? watch.sweep(at, main)
      used.set(watch, hanging)
      for (const key of hanging) cut(replicas, key)
      for (const host of main.target.hosts) {
        const key = hostPort(host)
        if (!route.isCurrent(key, at)) replicas.leaveHost(key, 'its host is too far behind the primary')
      }
      if (!route.mayRead(NEVER, at) || !this.#ports.hasHost(replicas.target)) turnAway(replicas)
    }
    for (const watch of paused) if (!used.has(watch)) watch.leave('its database is paused')
    for (const [signature, watch] of this.#watches) {
      if (used.has(watch) || paused.has(watch)) continue
      this.#watches.delete(signature)
      watch.close(OVER)
    }
  }

  /** End connections that only ask, by place, host or user, as those of pools are ended: others are opened later. */
  leave(reason: string, which: { place?: string; key?: string; user?: string | undefined }, pauseMs = 0): void {
    const { place, key, user } = which
    for (const [main, { watch }] of this.#routes) {
      if (place !== undefined && place !== main.target.place) continue
      watch.leave(reason, { ...(key && { key }), ...(user && { user }), pauseMs })
    }
  }

  /** End the watches. */
  close(): void {
    for (const watch of this.#watches.values()) watch.close('shutting down')
  }

  #create(main: Pool): ReadRoute {
    const { database, clientUser: user, target } = main
    const ports: PoolPorts = {
      ...this.#ports,
      hosts: (target) => {
        const hosts = this.#ports.hosts(target)
        const at = now()
        const current = hosts.filter((host) => route.isCurrent(hostPort(host), at))
        return current.length > 0 ? current : hosts
      },
    }
    // What a standby says of functions may be old: only the primary is asked.
    const functions = new FunctionCatalog(target.database)
    const identity = { database, user, target: targetOf(main), durations: main.durations }
    const replicas = new Pool(identity, settingsOf(main), functions, ports)
    const route = new ReadRoute(main, replicas, this.#watch(main))
    return route
  }

  #watch({ target }: Pool): ReplicaWatch {
    const { signature, hosts } = target
    let watch = this.#watches.get(signature)
    if (watch === undefined) this.#watches.set(signature, (watch = new ReplicaWatch(hosts, this.#ports)))
    return watch
  }
}

/** Where those of `main` lead that are standbys. */
function targetOf({ target }: Pool): Target {
  return { ...target, attrs: 'standby', reads: true }
}

/** Those of a pool beside `main`, which has no clients of its own, and in whose place the primary serves. */
function settingsOf({ settings }: Pool): Pool['settings'] {
  return { ...settings, minSize: 0, outageGraceMs: 0 }
}

/** Its host hangs: what runs there is run elsewhere (client/link/rescue-read.ts). */
function cut(replicas: Pool, key: string): void {
  for (const server of [...replicas.servers()]) {
    if (hostPort(server.identity.target) === key) server.cut('its host does not answer')
  }
}

/** Connections to hosts that `target` does not have any more are not used again. */
export function leaveOtherHosts(pool: Pool, { hosts }: Target): void {
  const keys = new Set(hosts.map(hostPort))
  for (const host of pool.target.hosts) {
    const key = hostPort(host)
    if (!keys.has(key)) pool.leaveHost(key, 'its name does not lead there any more')
  }
}

/** Who waits is to be served by the primary. */
function turnAway(replicas: Pool): void {
  if (replicas.waiters.size === 0) return
  const fields = replicas.failureFields(new LoginError('no standby can be read from', { sqlstate: '57P03' }))
  for (const waiter of [...replicas.waiters]) {
    replicas.leave(waiter)
    waiter.onLeaseRefused(fields)
  }
}
