/** Reads the live objects into a Snapshot. */

import type { PoolSnapshot, ServerSnapshot, Snapshot } from '../observe/snapshot.ts'
import type { Pool } from '../pool/pool.ts'
import type { Router } from '../routing/router.ts'
import { now } from '../util/clock.ts'
import type { Registry } from './registry.ts'

/** The state of the process as plain data. */
export function takeSnapshot(version: string, startedAt: number, registry: Registry, router: Router): Snapshot {
  const at = now()
  const snapshot: Snapshot = {
    version,
    uptime: at - startedAt,
    clientCount: registry.admitted,
    pools: [],
    forgotten: { ...router.forgotten },
    clients: [],
    servers: [],
  }
  const byPool = new Map<Pool, PoolSnapshot>()
  for (const pool of router.pools()) {
    const shown = poolSnapshot(pool, at)
    byPool.set(pool, shown)
    snapshot.pools.push(shown)
    for (const server of serversOf(pool, at)) snapshot.servers.push(server)
  }
  for (const session of registry.sessions) {
    const pinnedFor = session.pins.since === 0 ? 0 : at - session.pins.since
    // Counted when it ends; until then, what there is of it so far.
    const shown = session.pool && byPool.get(session.pool)
    if (shown) shown.counters.pinTime += pinnedFor
    if (session.state === 'closed') continue
    snapshot.clients.push({
      id: session.info.id,
      user: session.info.user,
      database: session.info.database,
      state: session.state,
      address: session.info.origin.address,
      tls: session.info.origin.tls,
      applicationName: session.info.applicationName,
      age: at - session.info.connectedAt,
      replication: session.info.replication,
      server: session.lease?.server.id ?? 0,
      pinned: session.pinned,
      pinnedFor,
    })
  }
  return snapshot
}

function poolSnapshot(pool: Pool, at: number): PoolSnapshot {
  const first = pool.waiters.first
  return {
    database: pool.database,
    user: pool.user,
    mode: pool.settings.mode,
    size: pool.settings.size,
    sessionState: pool.settings.sessionState,
    clients: pool.clients,
    replication: pool.dedicated.clients,
    pinned: pool.pins.now,
    pinCounts: { ...pool.pins.counts },
    waiting: pool.waiters.size,
    maxWait: first ? at - first.waitingSince : 0,
    servers: {
      idle: pool.count('idle'),
      active: pool.count('active'),
      busy: pool.count('busy'),
      draining: pool.count('draining'),
      beingCanceled: pool.count('beingCanceled'),
    },
    counters: { ...pool.counters },
  }
}

function* serversOf(pool: Pool, at: number): Generator<ServerSnapshot> {
  for (const server of [...pool.servers(), ...pool.dedicated.servers()]) {
    if (server.state === 'closed') continue
    yield {
      id: server.id,
      user: pool.user,
      database: pool.database,
      state: server.state,
      address: server.identity.address,
      pid: server.identity.pid,
      tls: server.identity.tls,
      replication: server.identity.replication,
      age: at - server.openedAt,
      idle: at - server.usedAt,
    }
  }
}
