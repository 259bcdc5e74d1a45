/** Reads the live objects into a Snapshot. */

import type { EndCounts } from '../client/lifecycle/ending.ts'
import type { HostSnapshot, PoolSnapshot, ServerSnapshot, Snapshot } from '../observe/snapshot.ts'
import type { Pool } from '../pool/pool.ts'
import type { HostBook, HostState } from '../routing/host-book.ts'
import type { Router } from '../routing/router.ts'
import { now } from '../util/clock.ts'
import type { Registry } from './registry.ts'

/** What is read. */
export interface SnapshotParts {
  version: string
  startedAt: number
  registry: Registry
  router: Router
  hosts: HostBook
  ends: EndCounts
}

/** The state of the process as plain data. */
export function takeSnapshot({ version, startedAt, registry, router, hosts, ends }: SnapshotParts): Snapshot {
  const at = now()
  const snapshot: Snapshot = {
    version,
    uptime: at - startedAt,
    clientCount: registry.admitted,
    pools: [],
    forgotten: { ...router.forgotten },
    ends: { ...ends },
    clients: [],
    servers: [],
    hosts: Array.from(hosts.all(), (host) => hostSnapshot(host, hosts.connections(host), at)),
  }
  const byPool = new Map<Pool, PoolSnapshot>()
  for (const pool of router.pools()) {
    const shown = poolSnapshot(pool, at)
    byPool.set(pool, shown)
    snapshot.pools.push(shown)
    for (const server of serversOf(pool, at)) snapshot.servers.push(server)
  }
  for (const session of registry.sessions) {
    const { link, info } = session
    const since = link?.effects.pins.since ?? 0
    const pinnedFor = since === 0 ? 0 : at - since
    // Counted when it ends; until then, what there is of it so far.
    const shown = link && byPool.get(link.pool)
    if (shown) shown.counters.pinTime += pinnedFor
    if (session.state === 'closed') continue
    snapshot.clients.push({
      id: info.id,
      user: info.user,
      database: info.database,
      state: session.state,
      address: info.origin.address,
      tls: info.origin.tls,
      applicationName: info.applicationName,
      age: at - info.connectedAt,
      replication: info.replication,
      server: link?.server?.id ?? 0,
      pinned: session.pinned,
      pinnedFor,
    })
  }
  return snapshot
}

function hostSnapshot(host: HostState, connections: number, at: number): HostSnapshot {
  const { role } = host
  return {
    host: host.address.host,
    port: host.address.port,
    up: host.up,
    role: role === undefined ? 'unknown' : role.standby ? 'standby' : 'primary',
    connections,
    latency: host.latencyMs ?? 0,
    lastError: host.lastError,
    failed: host.failedAt === 0 ? 0 : at - host.failedAt,
  }
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
