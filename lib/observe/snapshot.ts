/**
 * What is shown of a running pgbun (R13): plain data, so that several processes can be added up, and so that whatever
 * is drawn from it is a pure function.
 */

import type { ClientState } from '../client/lifecycle/client-state.ts'
import type { EndCounts } from '../client/lifecycle/ending.ts'
import { addCounters, type Counters } from '../pool/counters.ts'
import type { PoolMode, PoolSettings } from '../pool/settings.ts'
import type { ReplicationMode } from '../protocol/replication-mode.ts'
import type { ServerState } from '../server/ports.ts'
import type { PinCounts } from '../sql/state-kinds.ts'

/** One pool. */
export interface PoolSnapshot {
  database: string
  user: string
  mode: PoolMode
  /** `pool_size`. */
  size: number
  /** `session_state`: what becomes of session state that cannot follow a client. */
  sessionState: PoolSettings['sessionState']
  clients: number
  /** Replication connections, each of one client and one server. Neither of them is counted elsewhere in the pool. */
  replication: number
  /** Clients that keep a server between transactions because of session state. */
  pinned: number
  /** How often clients began to keep a server because of each kind of session state. */
  pinCounts: PinCounts
  /** Clients waiting for a server, and for how long the first of them has (ms). */
  waiting: number
  maxWait: number
  /** Server connections by state. */
  servers: { idle: number; active: number; busy: number; draining: number; beingCanceled: number }
  counters: Counters
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
  age: number
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
  /** Of the last attempt that failed, and how long ago that was; '' and 0 where none did. */
  lastError: string
  failed: number
}

/** A running pgbun. */
export interface Snapshot {
  version: string
  /** Milliseconds since it started. */
  uptime: number
  /** Clients logged in or logging in. */
  clientCount: number
  pools: PoolSnapshot[]
  /** What pools had counted that nobody used any more and that were forgotten. */
  forgotten: Counters
  /** How many sessions have ended, by reason, since the process began; reasons that did not occur are missing. */
  ends: EndCounts
  clients: ClientSnapshot[]
  servers: ServerSnapshot[]
  /** Hosts that connections lead to, or were to lead to. */
  hosts: HostSnapshot[]
}

/** The sums of all pools since the start: they never go down. */
export function totals(snapshot: Snapshot): Counters {
  const sum = { ...snapshot.forgotten }
  for (const { counters } of snapshot.pools) addCounters(sum, counters)
  return sum
}
