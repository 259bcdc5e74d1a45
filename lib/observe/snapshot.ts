/**
 * What is shown of a running pgbun (R13): plain data, so that several processes can be added up, and so that whatever
 * is drawn from it is a pure function.
 */

import type { ClientState } from '../client/lifecycle/client-state.ts'
import type { EndCounts } from '../client/lifecycle/ending.ts'
import { addCounters, type Counters } from '../pool/counters.ts'
import type { DurationCounts } from '../pool/durations.ts'
import type { PipelineCounts } from '../pool/pipelines.ts'
import type { PoolMode, PoolSettings } from '../pool/settings.ts'
import type { ReplicationMode } from '../protocol/replication-mode.ts'
import type { ServerState } from '../server/ports.ts'
import type { PinCounts } from '../sql/state-kinds.ts'

/** One pool. */
export interface PoolSnapshot {
  database: string
  user: string
  mode: PoolMode
  /** Its connections lead to standbys, for reads of the clients of the pool of the same database and user (`route_reads`). */
  reads: boolean
  /** `pool_size`. */
  size: number
  /** `session_state`: what becomes of session state that cannot follow a client. */
  sessionState: PoolSettings['sessionState']
  clients: number
  /** Clients that are logged in, by what they do; a client of another pool's servers (`reads`) is counted in its own. */
  clientStates: { idle: number; active: number; waiting: number; login: number }
  /** Cancel requests under way to servers of the pool. */
  cancels: number
  /** Replication connections, each of one client and one server. Neither of them is counted elsewhere in the pool. */
  replication: number
  /** Clients that keep a server between transactions because of session state. */
  pinned: number
  /** How often clients began to keep a server because of each kind of session state. */
  pinCounts: PinCounts
  /** Requests of several clients on one server (`server_pipelining`). */
  pipelining: PipelineCounts
  /** Clients waiting for a server, and for how long the first of them has (ms). */
  waiting: number
  maxWait: number
  /** Server connections by state. */
  servers: { idle: number; active: number; busy: number; draining: number; beingCanceled: number }
  /** Connections being opened. */
  opening: number
  /** `load_balance_hosts`, where the database has several hosts; '' where it has one. */
  balance: string
  counters: Counters
  /**
   * How long what its clients do takes; null where that is counted elsewhere: of standbys' connections (`reads`) in the pool of
   * the same database and user, of pools beyond those that are told apart in `otherDurations`.
   */
  durations: DurationCounts | null
}

/** One client. Ages in milliseconds. */
export interface ClientSnapshot {
  id: number
  user: string
  database: string
  state: Exclude<ClientState, 'closed'>
  /** `10.0.0.5:50082`, or `unix`. */
  address: string
  /** Version and cipher, `TLSv1.3/TLS_AES_256_GCM_SHA384`; '' without TLS. */
  tls: string
  applicationName: string
  /** Address and port that the client connected to; '' and 0 on a unix socket. */
  localAddress: string
  localPort: number
  age: number
  /** Since its last request began; its age where it has sent none. */
  request: number
  /** How long it has waited for a server; 0 where it does not. */
  waited: number
  /** The transaction under way, since it began; 0 outside of one. */
  transaction: number
  /** A request runs. */
  running: boolean
  /** Named prepared statements. */
  prepared: number
  /** It is ended at the end of its transaction. */
  closing: boolean
  /** Id of the server it holds, 0 for none. */
  server: number
  replication: ReplicationMode
  /** Why it keeps its server between transactions; '' where it does not. */
  pinned: string
  /** How long it has kept it for that reason; 0 where it does not. */
  pinnedFor: number
}

/** One server connection. Ages in milliseconds. */
export interface ServerSnapshot {
  id: number
  user: string
  database: string
  state: Exclude<ServerState, 'closed'>
  /** `db.example.com (10.0.0.1), port 5432`, or a socket. */
  address: string
  /** Where it leads. */
  host: string
  port: number
  /** pgbun's own end; '' and 0 on a unix socket. */
  localAddress: string
  localPort: number
  /** Named prepared statements of clients that it has. */
  prepared: number
  /** application_name of its session. */
  applicationName: string
  /** Why it is not used again when it comes back; '' where it is. */
  closing: string
  /** Process id of the backend. */
  pid: number
  /** Version and cipher, as of a client. */
  tls: string
  /** Other than `none`, it belongs to its one client and not to the pool. */
  replication: ReplicationMode
  age: number
  /** Since it was lent or given back. */
  idle: number
}

/** A database that the configuration names, or that has pools. */
export interface DatabaseSnapshot {
  name: string
  /** Its hosts as written in the configuration. */
  host: string
  port: number
  /** Its name in PostgreSQL. */
  dbname: string
  /** The user that all clients are logged in as; '' where each has its own. */
  forceUser: string
  poolSize: number
  minPoolSize: number
  reservePoolSize: number
  /** Milliseconds. */
  serverLifetime: number
  poolMode: PoolMode
  /** The database has a `pool_mode` of its own. */
  ownPoolMode: boolean
  balance: string
  /** Limits; 0 for none. */
  maxConnections: number
  maxClients: number
  connections: number
  clients: number
  paused: boolean
  disabled: boolean
}

/** A user that the configuration names, or that has pools or clients. */
export interface UserSnapshot {
  name: string
  /** Of its own; null where it has none. */
  poolSize: number | null
  reservePoolSize: number | null
  poolMode: PoolMode | null
  /** Limits; 0 for none. */
  maxConnections: number
  maxClients: number
  connections: number
  clients: number
}

/** Another pgbun, or a name for several. */
export interface PeerSnapshot {
  /** 0 for a name whose addresses are all peers. */
  id: number
  host: string
  port: number
  /** So many cancel requests may be on their way there. */
  poolSize: number
  active: number
  waiting: number
}

/** One host that PostgreSQL is on. Ages and times in milliseconds. */
export interface HostSnapshot {
  host: string
  port: number
  /** It answers, as far as is known. */
  up: boolean
  role: 'primary' | 'standby' | 'unknown'
  /** Connections to it, those being opened or closed included. */
  connections: number
  /** How long the last login or sign of life took; 0 where there was none. */
  latency: number
  /** Requests of clients that it has answered. */
  answered: number
  /** Age of the data there, where that is watched (`route_reads`); null elsewhere, and where it is not known. */
  lag: number | null
  /** Of the last attempt that failed, and how long ago that was; '' and 0 where none did. */
  lastError: string
  failed: number
}

/** A running pgbun. */
export interface Snapshot {
  version: string
  /** When it was taken: milliseconds since 1970. */
  at: number
  /** Milliseconds since it started. */
  uptime: number
  /** Clients logged in or logging in. */
  clientCount: number
  pools: PoolSnapshot[]
  /** What pools had counted that nobody used any more and that were forgotten: all of it, and by database. */
  forgotten: Counters
  forgottenByDatabase: { database: string; counters: Counters }[]
  /** How often clients of those pools began to keep a server because of each kind of session state. */
  forgottenPins: PinCounts
  /** How long what clients of pools that are not told apart do takes. */
  otherDurations: DurationCounts
  /** How many sessions have ended, by reason, since the process began; reasons that did not occur are missing. */
  ends: EndCounts
  /** Errors that PostgreSQL has answered clients with, by database and SQLSTATE. */
  errors: { database: string; sqlstate: string; count: number }[]
  clients: ClientSnapshot[]
  servers: ServerSnapshot[]
  /** Hosts that connections lead to, or were to lead to. */
  hosts: HostSnapshot[]
  /** Other processes that cancel requests are passed on to. */
  peers: PeerSnapshot[]
  databases: DatabaseSnapshot[]
  users: UserSnapshot[]
  /** Names of servers that are remembered with their addresses. */
  dns: { name: string; addresses: readonly string[]; ttl: number }[]
}

/** What is counted of it. */
export type CountSnapshot = Pick<Snapshot, 'clientCount' | 'pools' | 'forgotten' | 'forgottenByDatabase' | 'servers'>

/** Connections to servers that a pool has. */
export function connectionsOf({ servers }: PoolSnapshot): number {
  return servers.idle + servers.active + servers.busy + servers.draining + servers.beingCanceled
}

/** The sums of all pools since the start: they never go down. */
export function totals(snapshot: CountSnapshot): Counters {
  const sum = { ...snapshot.forgotten }
  for (const { counters } of snapshot.pools) addCounters(sum, counters)
  return sum
}
