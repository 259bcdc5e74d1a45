/** Reads the live objects into a Snapshot. */

import type { EndCounts } from '../client/lifecycle/ending.ts'
import type { ClientSession } from '../client/session.ts'
import { hostPort } from '../config/hosts.ts'
import type { Resolver } from '../net/resolve.ts'
import type {
  ClientSnapshot,
  CountSnapshot,
  HostSnapshot,
  PoolSnapshot,
  ServerSnapshot,
  Snapshot,
} from '../observe/snapshot.ts'
import type { Pool } from '../pool/pool.ts'
import type { HostBook, HostState } from '../routing/host-book.ts'
import type { Router } from '../routing/router.ts'
import type { ServerConnection } from '../server/connection.ts'
import { now } from '../util/clock.ts'
import type { ErrorCounts } from './error-counts.ts'
import type { Peers } from './peers.ts'
import type { Registry } from './registry.ts'
import { type NameParts, snapshotDatabases, snapshotUsers } from './snapshot-names.ts'

/** What is read. */
export interface SnapshotParts extends NameParts {
  version: string
  startedAt: number
  registry: Registry
  router: Router
  hosts: HostBook
  ends: EndCounts
  errors: ErrorCounts
  resolver: Resolver
  peers: Peers
}

/** The state of the process as plain data. */
export function takeSnapshot(parts: SnapshotParts): Snapshot {
  const { version, startedAt, registry, router, hosts, ends, resolver } = parts
  const at = now()
  const byPool = new Map<Pool, PoolSnapshot>()
  const snapshot: Snapshot = {
    ...takeCounts(parts, byPool),
    version,
    at: Date.now(),
    uptime: at - startedAt,
    forgottenPins: { ...router.forgottenPins },
    otherDurations: router.durations.others.counts(),
    ends: { ...ends },
    errors: [...parts.errors.all()],
    clients: [],
    hosts: [],
    databases: [],
    users: [],
    dns: [...resolver.known()],
    peers: parts.peers.snapshot(),
  }
  const answered = answeredByHost(router)
  for (const host of hosts.all()) {
    const upTo = router.readableUpTo(host.key)
    snapshot.hosts.push({
      ...hostSnapshot(host, at),
      connections: hosts.connections(host),
      answered: host.answeredBefore + (answered.get(host.key) ?? 0),
      lag: upTo === undefined ? null : at - upTo,
    })
  }
  for (const session of registry.sessions) {
    const pool = session.link && byPool.get(session.link.pool)
    const client = clientSnapshot(session, at)
    // Counted when it ends; until then, what there is of it so far.
    if (pool) pool.counters.pinTime += client?.pinnedFor ?? 0
    if (client === undefined) continue
    if (pool && client.replication === 'none') pool.clientStates[stateInPool(client.state)]++
    snapshot.clients.push(client)
  }
  snapshot.databases = snapshotDatabases(snapshot, parts)
  snapshot.users = snapshotUsers(snapshot, parts)
  return snapshot
}

/** A client that is looked at. */
type ShownSession = Pick<ClientSession, 'info' | 'link' | 'activity' | 'state' | 'wire' | 'closing' | 'pinned'>

/**
 * What is counted, for who looks at nothing else: pools and servers, of which there are few beside the clients. Those are not
 * looked at, so that `clientStates` are zero, and pins under way have not been added.
 */
export function takeCounts(
  { registry, router }: Pick<SnapshotParts, 'registry' | 'router'>,
  byPool = new Map<Pool, PoolSnapshot>(),
): CountSnapshot {
  const at = now()
  const counts: CountSnapshot = {
    clientCount: registry.admitted,
    pools: [],
    forgotten: { ...router.forgotten },
    forgottenByDatabase: Array.from(router.forgottenByDatabase, ([database, counters]) => ({
      database,
      counters: { ...counters },
    })),
    servers: [],
  }
  for (const pool of router.pools()) {
    const told = !pool.target.reads && router.durations.isOwn(pool.durations)
    const shown = poolSnapshot(pool, at, told)
    byPool.set(pool, shown)
    counts.pools.push(shown)
    for (const server of serversOf(pool, at)) counts.servers.push(server)
  }
  return counts
}

function clientSnapshot(session: ShownSession, at: number): ClientSnapshot | undefined {
  const { link, info, activity, state } = session
  if (state === 'closed') return undefined
  const since = link?.effects.pins.since ?? 0
  const { address: localAddress, port: localPort } = session.wire.local
  return {
    id: info.id,
    user: info.user,
    database: info.database,
    state,
    address: info.origin.address,
    tls: info.origin.tls,
    applicationName: info.applicationName,
    localAddress,
    localPort,
    age: at - info.connectedAt,
    request: at - (activity.requestSince || info.connectedAt),
    waited: state === 'waiting' && link !== undefined ? at - link.waitingSince : 0,
    transaction: activity.transactionSince === 0 ? 0 : at - activity.transactionSince,
    running: activity.running,
    prepared: link?.requests.preparedStatements ?? 0,
    closing: session.closing !== 'not',
    replication: info.replication,
    server: link?.server?.id ?? 0,
    pinned: session.pinned,
    pinnedFor: since === 0 ? 0 : at - since,
  }
}

function stateInPool(state: ClientSnapshot['state']): keyof PoolSnapshot['clientStates'] {
  if (state === 'startup' || state === 'login') return 'login'
  return state === 'idle' || state === 'waiting' ? state : 'active'
}

/** Requests that the connections there are have answered, by the key of the host. */
function answeredByHost(router: Router): Map<string, number> {
  const answered = new Map<string, number>()
  for (const pool of router.pools()) {
    for (const server of pool.servers()) {
      const key = hostPort(server.identity.target)
      answered.set(key, (answered.get(key) ?? 0) + server.answered)
    }
  }
  return answered
}

function hostSnapshot(host: HostState, at: number): Omit<HostSnapshot, 'connections' | 'answered' | 'lag'> {
  const { role } = host
  return {
    host: host.address.host,
    port: host.address.port,
    up: host.up,
    role: role === undefined ? 'unknown' : role.standby ? 'standby' : 'primary',
    latency: host.latencyMs ?? 0,
    lastError: host.lastError,
    failed: host.failedAt === 0 ? 0 : at - host.failedAt,
  }
}

/** @param told its clients' times are counted apart from those of others */
function poolSnapshot(pool: Pool, at: number, told: boolean): PoolSnapshot {
  const first = pool.waiters.first
  const counters = { ...pool.counters }
  let cancels = 0
  for (const server of pool.servers()) {
    // Those that are gone have been added.
    counters.serverParses += server.statements.parsed
    cancels += server.cancels
  }
  return {
    database: pool.database,
    user: pool.user,
    mode: pool.settings.mode,
    reads: pool.target.reads,
    size: pool.settings.size,
    sessionState: pool.settings.sessionState,
    clients: pool.clients,
    clientStates: { idle: 0, active: 0, waiting: 0, login: 0 },
    cancels,
    replication: pool.dedicated.clients,
    pinned: pool.pins.now,
    pinCounts: { ...pool.pins.counts },
    pipelining: pool.pipelines.counts(pool.settings.pipelines && pool.settings.mode !== 'session'),
    waiting: pool.waiters.size,
    maxWait: first ? at - first.waitingSince : 0,
    servers: {
      idle: pool.count('idle'),
      active: pool.count('active'),
      busy: pool.count('busy'),
      draining: pool.count('draining'),
      beingCanceled: pool.count('beingCanceled'),
    },
    opening: pool.opening,
    balance: pool.target.hosts.length > 1 ? pool.target.balance : '',
    counters,
    durations: told ? pool.durations.counts() : null,
  }
}

function* serversOf(pool: Pool, at: number): Generator<ServerSnapshot> {
  for (const server of [...pool.servers(), ...pool.dedicated.servers()]) {
    if (server.state !== 'closed') yield serverSnapshot(server, server.state, pool, at)
  }
}

function serverSnapshot(
  server: ServerConnection,
  state: ServerSnapshot['state'],
  { user, database }: Pool,
  at: number,
): ServerSnapshot {
  const { identity, wire } = server
  const { address: localAddress, port: localPort } = wire.local
  return {
    id: server.id,
    user,
    database,
    state,
    address: identity.address,
    host: identity.target.address ?? identity.target.host,
    port: identity.target.port,
    localAddress,
    localPort,
    prepared: server.statements.size,
    applicationName: server.settings.get('application_name') ?? '',
    closing: server.closeReason ?? '',
    pid: identity.pid,
    tls: identity.tls,
    replication: identity.replication,
    age: at - server.openedAt,
    idle: at - server.usedAt,
  }
}
