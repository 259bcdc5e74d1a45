/** The metrics that are pgbun's own (`pgbun_*`, and `process_*` as every program has them), of a snapshot. Pure. */

import { ERRORS } from '../errors.ts'
import type { Counters } from '../pool/counters.ts'
import { OTHER_DATABASES } from '../pool/counters.ts'
import { DURATION_NAMES, type DurationName } from '../pool/durations.ts'
import { addPinCounts } from '../sql/state-kinds.ts'
import type { HistogramCounts } from '../util/histogram.ts'
import { countersByDatabase } from './averages.ts'
import {
  type Distribution,
  type Labels,
  type MetricFamily,
  mergeSamples,
  type Sample,
  seriesKey,
  single,
} from './metric.ts'
import { connectionsOf, type PoolSnapshot, type Snapshot } from './snapshot.ts'

/** What is no part of a snapshot, because it is the process's. */
export interface ProcessView {
  /** `node` or `bun`, and its version. */
  readonly runtime: string
  readonly runtimeVersion: string
  /** Seconds of processor time since the start. */
  readonly cpu: number
  /** How much later than it should have the event loop began a turn. */
  readonly lag: HistogramCounts
  /** Bytes by what they are used for. */
  readonly memory: readonly { readonly name: string; readonly bytes: number }[]
  readonly prepared: { readonly texts: number; readonly names: number }
  /** When the certificates expire, in milliseconds since 1970. */
  readonly certificates: readonly { readonly side: string; readonly notAfter: number }[]
  readonly paused: boolean
  readonly suspended: boolean
  readonly draining: boolean
  /** The last reload has put a configuration into force. */
  readonly reloaded: boolean
}

const DURATIONS: Readonly<Record<DurationName, readonly [name: string, help: string]>> = {
  query: ['query', 'Time from the first message of a request to its ReadyForQuery'],
  transaction: ['transaction', 'Time of transactions, idle times in them included'],
  wait: ['wait', 'Time that clients waited for a server, of those that had to wait'],
  connect: ['connect', 'Time that opening a server connection took, the login included'],
}

const COUNTERS: readonly (readonly [name: keyof Counters, metric: string, help: string, factor?: number])[] = [
  ['logins', 'logins', 'Clients that have logged in'],
  ['opened', 'server_connections_opened', 'Server connections that were opened'],
  ['openFailures', 'server_connection_failures', 'Attempts to open a server connection that failed'],
  ['leases', 'server_assignments', 'Times a server was lent to a client'],
  ['leaseTime', 'server_assigned_seconds', 'Time that servers were lent to clients', 1e-3],
  ['pinTime', 'pinned_seconds', 'Time that clients kept a server because of session state', 1e-3],
  ['pinIdleTimeouts', 'pin_idle_timeouts', 'Clients disconnected by pin_idle_timeout'],
  ['stateRefusals', 'state_refusals', 'Statements refused by session_state = error'],
  ['stateDiscards', 'state_discards', 'Transactions whose session state was discarded by session_state = reset'],
  ['sharedRequests', 'pipelined_requests', 'Requests sent behind those of other clients (server_pipelining)'],
  ['sharedReruns', 'pipelined_reruns', 'Requests of those that were run again'],
  ['expelledTexts', 'pipelining_expelled_statements', 'Statements that had shown to be short, and were not'],
  ['wrongGuesses', 'pipelining_wrong_guesses', 'Statements that did what they were certain not to do'],
]

type Add = (a: number, b: number) => number
const add: Add = (a, b) => a + b

/** All of them. */
export function* ownMetrics(snapshot: Snapshot, process: ProcessView): Generator<MetricFamily> {
  yield* processMetrics(snapshot, process)
  yield* poolMetrics(snapshot)
  yield* countedMetrics(snapshot)
  yield* hostMetrics(snapshot)
}

function* processMetrics(snapshot: Snapshot, process: ProcessView): Generator<MetricFamily> {
  const { version, at, uptime } = snapshot
  const { runtime, runtimeVersion, memory, prepared } = process
  const labels = { version, runtime, runtime_version: runtimeVersion }
  yield gauge('pgbun_build_info', 'Version of pgbun and of what runs it', [{ labels, value: 1 }])
  yield single('gauge', 'process_start_time_seconds', 'When pgbun was started, since 1970', (at - uptime) / 1000)
  yield single('counter', 'process_cpu_seconds_total', 'Processor time of the process', process.cpu)
  const resident = memory.find(({ name }) => name === 'resident')?.bytes ?? 0
  yield single('gauge', 'process_resident_memory_bytes', 'Resident memory of the process', resident)
  const uses = memory.map(({ name, bytes }) => ({ labels: { use: name }, value: bytes }))
  yield gauge('pgbun_memory_bytes', 'Memory by what it is used for; the uses overlap', uses)
  yield {
    ...{ name: 'pgbun_event_loop_lag_seconds', type: 'histogram' },
    help: 'How late timers of the process are, looked at three times a second',
    distributions: [{ labels: {}, counts: process.lag }],
  }
  yield single('gauge', 'pgbun_prepared_statements', 'Texts that clients have prepared under names', prepared.texts)
  yield single('gauge', 'pgbun_prepared_statement_names', 'Names of prepared statements of clients', prepared.names)
  const expiries = process.certificates.map(({ side, notAfter }) => ({ labels: { side }, value: notAfter / 1000 }))
  const expiry = 'When the certificate that pgbun shows to clients or servers expires, since 1970'
  yield gauge('pgbun_certificate_expiry_timestamp_seconds', expiry, mergeSamples(expiries, Math.min))
  yield single('gauge', 'pgbun_client_connections', 'Clients that count towards max_client_conn', snapshot.clientCount)
  yield single('gauge', 'pgbun_paused', '1 after PAUSE of all databases', Number(process.paused))
  yield single('gauge', 'pgbun_suspended', '1 after SUSPEND', Number(process.suspended))
  yield single('gauge', 'pgbun_draining', '1 from the beginning of a shutdown on', Number(process.draining))
  const reloaded = '1 if the last reload has succeeded, or there was none'
  yield single('gauge', 'pgbun_config_last_reload_successful', reloaded, Number(process.reloaded))
}

function* poolMetrics({ pools, otherDurations }: Snapshot): Generator<MetricFamily> {
  for (const name of DURATION_NAMES) {
    const [metric, help] = DURATIONS[name]
    const distributions: Distribution[] = []
    for (const { database, user, durations } of pools) {
      if (durations !== null) distributions.push({ labels: { database, user }, counts: durations[name] })
    }
    distributions.push({ labels: OTHERS, counts: otherDurations[name] })
    // Most pools are idle, and a series costs whoever keeps it.
    const used = distributions.filter(({ counts }) => counts.buckets.some((count) => count > 0))
    yield { name: `pgbun_${metric}_duration_seconds`, help, type: 'histogram', distributions: uniqueOf(used) }
  }
  yield perPool('pgbun_pools_size', 'Server connections that the pool may have (pool_size)', pools, ({ size }) => size)
  const servers = 'Server connections of the pool, replication connections not included'
  yield perPool('pgbun_pools_server_connections', servers, pools, connectionsOf)
  const pinned = 'Clients that keep a server because of session state'
  yield perPool('pgbun_pools_pinned_clients', pinned, pools, (pool) => pool.pinned)
  const pipelined = 'Requests under way on server connections that several clients may use (server_pipelining)'
  yield perPool('pgbun_pools_pipelined_requests', pipelined, pools, (pool) => pool.pipelining.requests)
  const replication = 'Replication connections, each of one client and one server'
  yield perPool('pgbun_pools_replication_connections', replication, pools, (pool) => pool.replication)
}

const OTHERS: Labels = { database: OTHER_DATABASES, user: OTHER_DATABASES }

/** Pools of standbys are counted with those of their database and user. */
function perPool(
  name: string,
  help: string,
  pools: readonly PoolSnapshot[],
  value: (pool: PoolSnapshot) => number,
): MetricFamily {
  const told = new Set(pools.filter(({ durations }) => durations !== null).map(keyOf))
  const samples = pools.map((pool): Sample => {
    const { database, user } = pool
    return { labels: told.has(keyOf(pool)) ? { database, user } : OTHERS, value: value(pool) }
  })
  return gauge(name, help, mergeSamples(samples, add))
}

function keyOf({ database, user }: PoolSnapshot): string {
  return `${database}\0${user}`
}

/** Of those with the same labels the first: two names of strangers may be written alike. */
function uniqueOf(distributions: readonly Distribution[]): Distribution[] {
  const byLabels = new Map<string, Distribution>()
  for (const one of distributions) {
    const key = seriesKey(one.labels)
    if (!byLabels.has(key)) byLabels.set(key, one)
  }
  return [...byLabels.values()]
}

function* countedMetrics(snapshot: Snapshot): Generator<MetricFamily> {
  const sums = [...countersByDatabase(snapshot)].filter(([, { logins, opened }]) => logins > 0 || opened > 0)
  for (const [name, metric, help, factor = 1] of COUNTERS) {
    const samples = sums.map(([database, counters]) => ({ labels: { database }, value: counters[name] * factor }))
    yield counter(`pgbun_${metric}_total`, help, bounded(samples))
  }
  const errors = snapshot.errors.map(({ database, sqlstate, count }) => {
    return { labels: { database, sqlstate }, value: count }
  })
  yield counter('pgbun_errors_total', 'Errors that PostgreSQL has answered clients with', mergeSamples(errors, add))
  const ends = Object.entries(snapshot.ends).map(([reason, value]) => {
    const sqlstate = Object.hasOwn(ERRORS, reason) ? ERRORS[reason as keyof typeof ERRORS].sqlstate : ''
    return { labels: { reason, sqlstate }, value }
  })
  yield counter('pgbun_session_ends_total', 'Sessions that have ended, by reason', ends)
  const pins = { ...snapshot.forgottenPins }
  for (const { pinCounts } of snapshot.pools) addPinCounts(pins, pinCounts)
  const kinds = Object.entries(pins).map(([kind, value]) => ({ labels: { kind }, value }))
  const pinned = 'Times clients began to keep a server because of session state'
  yield counter('pgbun_pins_total', pinned, kinds)
}

/** So many databases are told apart; the first are those that are forgotten, whose counts stay. */
const DATABASE_LIMIT = 1000

function bounded(samples: readonly Sample[]): Sample[] {
  const folded = samples.map((sample, i) => {
    return i < DATABASE_LIMIT ? sample : { labels: { database: OTHER_DATABASES }, value: sample.value }
  })
  return mergeSamples(folded, add)
}

function* hostMetrics({ hosts }: Snapshot): Generator<MetricFamily> {
  const each = (name: string, help: string, value: (host: (typeof hosts)[number]) => number | null): MetricFamily => {
    const samples = hosts.flatMap((host): Sample[] => {
      const found = value(host)
      if (found === null || !Number.isFinite(found)) return []
      return [{ labels: { host: host.host, port: String(host.port) }, value: found }]
    })
    return gauge(name, help, samples)
  }
  yield each('pgbun_host_up', '1 if the host of PostgreSQL answers, as far as is known', ({ up }) => Number(up))
  const standby = '1 if the host is a standby, 0 if it is a primary'
  yield each('pgbun_host_standby', standby, ({ role }) => (role === 'unknown' ? null : Number(role === 'standby')))
  yield each('pgbun_host_connections', 'Connections to the host', ({ connections }) => connections)
  const latency = 'Time that the last login or sign of life of the host took'
  yield each('pgbun_host_latency_seconds', latency, (host) => (host.latency === 0 ? null : host.latency / 1000))
  const lag = 'Age of the data on the host, where that is watched (route_reads)'
  yield each('pgbun_host_replication_lag_seconds', lag, (host) => (host.lag === null ? null : host.lag / 1000))
  const answered = hosts.map(({ host, port, answered }) => ({ labels: { host, port: String(port) }, value: answered }))
  yield counter('pgbun_host_requests_total', 'Requests of clients that the host has answered', answered)
}

function gauge(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { name, help, type: 'gauge', samples }
}

function counter(name: string, help: string, samples: readonly Sample[]): MetricFamily {
  return { name, help, type: 'counter', samples }
}
