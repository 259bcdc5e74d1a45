/**
 * The metrics of pgbouncer_exporter under its names, so that dashboards and alerts go on working: what the exporter reads
 * from the console is read here from the same SHOW topics, which have PgBouncer's numbers.
 */

import { DATABASES, LISTS, POOLS } from '../admin/show/pools.ts'
import { CONFIG, VERSION } from '../admin/show/settings.ts'
import { STATS_TOTALS } from '../admin/show/stats.ts'
import type { Topic, View } from '../admin/view.ts'
import type { Cell } from '../client/lifecycle/console-backend.ts'
import { CONSOLE_NAMES } from '../config/console-names.ts'
import { type Labels, type MetricFamily, mergeSamples, type Sample, single } from '../observe/metric.ts'
import { OTHER_DATABASES } from '../pool/counters.ts'

/** One column of a topic: its name there, the name of the metric behind the topic's, what it means. */
type ColumnRow = readonly [column: string, name: string, help: string]

interface TopicRow {
  readonly topic: Topic
  readonly prefix: string
  readonly type: 'counter' | 'gauge'
  readonly labels: readonly string[]
  readonly columns: readonly ColumnRow[]
  /** What the rows are called that are counted together. */
  fold(labels: Record<string, string>, told: ToldApart): Labels
}

/** What has series of its own: all else is counted together. */
interface ToldApart {
  readonly pools: ReadonlySet<string>
  readonly databases: ReadonlySet<string>
}

/** So many databases are told apart; those that are forgotten come first, because their counts stay. */
const DATABASE_LIMIT = 1000

const TOPICS: readonly TopicRow[] = [
  {
    topic: POOLS,
    prefix: 'pgbouncer_pools_',
    type: 'gauge',
    labels: ['database', 'user'],
    columns: [
      ['cl_active', 'client_active_connections', 'Client connections that are linked to a server, or idle'],
      ['cl_active_cancel_req', 'client_active_cancel_connections', 'Cancel requests sent to servers, not answered yet'],
      ['cl_waiting', 'client_waiting_connections', 'Client connections that wait for a server'],
      ['cl_waiting_cancel_req', 'client_waiting_cancel_connections', 'Cancel requests that are not sent yet'],
      ['sv_active', 'server_active_connections', 'Server connections that are linked to a client'],
      ['sv_active_cancel', 'server_active_cancel_connections', 'Server connections that forward a cancel request'],
      [
        'sv_being_canceled',
        'server_being_canceled_connections',
        'Server connections that wait for cancel requests before they are used again',
      ],
      ['sv_idle', 'server_idle_connections', 'Server connections that are free'],
      ['sv_used', 'server_used_connections', 'Server connections that must be checked before use; always 0'],
      ['sv_tested', 'server_testing_connections', 'Server connections that are reset or checked'],
      ['sv_login', 'server_login_connections', 'Server connections that are being opened'],
      ['maxwait', 'client_maxwait_seconds', 'How long the client at the head of the queue has waited'],
    ],
    fold: (labels, { pools }) => (pools.has(keyOf(labels.database!, labels.user!)) ? labels : OTHERS),
  },
  {
    topic: DATABASES,
    prefix: 'pgbouncer_databases_',
    type: 'gauge',
    labels: ['name', 'host', 'port', 'database', 'force_user', 'pool_mode'],
    columns: [
      ['pool_size', 'pool_size', 'Maximum number of server connections of a pool'],
      ['reserve_pool_size', 'reserve_pool', 'Additional server connections that a pool may open'],
      ['max_connections', 'max_connections', 'Maximum number of server connections; 0 means no limit'],
      ['current_connections', 'current_connections', 'Server connections'],
      ['paused', 'paused', '1 if the database is paused'],
      ['disabled', 'disabled', '1 if the database takes no new clients'],
    ],
    fold: (labels, { databases }) => {
      if (databases.has(labels.name!)) return labels
      return { name: OTHER_DATABASES, host: '', port: '', database: '', force_user: '', pool_mode: '' }
    },
  },
  {
    topic: STATS_TOTALS,
    prefix: 'pgbouncer_stats_',
    type: 'counter',
    labels: ['database'],
    columns: [
      ['query_count', 'queries_pooled_total', 'Queries'],
      ['query_time', 'queries_duration_seconds_total', 'Time in which queries ran'],
      ['bytes_received', 'received_bytes_total', 'Bytes received from clients'],
      ['bytes_sent', 'sent_bytes_total', 'Bytes sent to clients'],
      ['wait_time', 'client_wait_seconds_total', 'Time that clients waited for a server'],
      ['xact_count', 'sql_transactions_pooled_total', 'Transactions'],
      ['xact_time', 'server_in_transaction_seconds_total', 'Time that transactions took, idle times included'],
      ['client_parse_count', 'client_parses_total', 'Named statements that clients prepared'],
      ['server_parse_count', 'server_parses_total', 'Named statements that were prepared on servers'],
      ['bind_count', 'binds_total', 'Uses of named prepared statements'],
    ],
    fold: ({ database }, { databases }) => ({ database: databases.has(database!) ? database! : OTHER_DATABASES }),
  },
]

const OTHERS: Labels = { database: OTHER_DATABASES, user: OTHER_DATABASES }

const LIST_ROWS: Readonly<Record<string, ColumnRow>> = {
  databases: ['databases', 'databases', 'Number of databases'],
  users: ['users', 'users', 'Number of users'],
  pools: ['pools', 'pools', 'Number of pools'],
  free_clients: ['free_clients', 'free_clients', 'Number of free clients; always 0'],
  used_clients: ['used_clients', 'used_clients', 'Number of clients that are logged in'],
  login_clients: ['login_clients', 'login_clients', 'Number of clients that log in'],
  free_servers: ['free_servers', 'free_servers', 'Number of server connections that are free'],
  used_servers: ['used_servers', 'used_servers', 'Number of server connections in use'],
  dns_names: ['dns_names', 'cached_dns_names', 'Number of names whose addresses are remembered'],
  dns_zones: ['dns_zones', 'cached_dns_zones', 'Number of zones that are watched; always 0'],
  dns_queries: ['dns_queries', 'in_flight_dns_queries', 'Number of names that are being looked up; always 0'],
}

const CONFIG_ROWS: readonly ColumnRow[] = [
  ['max_client_conn', 'max_client_connections', 'Maximum number of client connections (max_client_conn)'],
  ['max_user_connections', 'max_user_connections', 'Maximum number of server connections of a user; 0 means no limit'],
]

/** What pgbouncer_exporter shows of what `view` has. */
export function* pgbouncerMetrics(view: View): Generator<MetricFamily> {
  yield single('gauge', 'pgbouncer_up', '1: pgbun answers', 1)
  yield {
    ...{ name: 'pgbouncer_version_info', help: 'Version of PgBouncer that pgbun is like', type: 'gauge' },
    samples: [{ labels: { version: String(VERSION.rows(view)[0]![0]) }, value: 1 }],
  }
  const lists = new Map(LISTS.rows(view).map(([name, items]) => [String(name), Number(items)]))
  for (const [list, name, help] of Object.values(LIST_ROWS)) {
    yield single('gauge', `pgbouncer_${name}`, help, lists.get(list) ?? 0)
  }
  const config = new Map(CONFIG.rows(view).map(([key, value]) => [String(key), Number(value)]))
  for (const [option, name, help] of CONFIG_ROWS) {
    yield single('gauge', `pgbouncer_config_${name}`, help, config.get(option) ?? 0)
  }
  const told = toldApart(view)
  for (const row of TOPICS) yield* topicFamilies(row, view, told)
}

function* topicFamilies(row: TopicRow, view: View, told: ToldApart): Generator<MetricFamily> {
  const { topic, prefix, type, labels, columns } = row
  const place = new Map(topic.columns.map(({ name }, i) => [name, i]))
  const rows = topic.rows(view)
  const labelled = rows.map((cells) => row.fold(labelsOf(cells, labels, place), told))
  for (const [column, name, help] of columns) {
    const at = place.get(column)!
    const unit = /_time$/.test(column) ? 1e-6 : 1
    const samples = rows.map((cells, i): Sample => {
      const micros = column === 'maxwait' ? Number(cells[place.get('maxwait_us')!]) / 1e6 : 0
      return { labels: labelled[i]!, value: Number(cells[at]) * unit + micros }
    })
    const merge = column === 'maxwait' ? Math.max : (a: number, b: number): number => a + b
    yield { name: prefix + name, help, type, samples: mergeSamples(samples, merge) }
  }
}

function labelsOf(
  cells: readonly Cell[],
  labels: readonly string[],
  place: ReadonlyMap<string, number>,
): Record<string, string> {
  return Object.fromEntries(labels.map((label) => [label, String(cells[place.get(label)!] ?? '')]))
}

function toldApart({ snapshot }: View): ToldApart {
  const pools = new Set([keyOf(CONSOLE_NAMES[0], CONSOLE_NAMES[0])])
  for (const { database, user, durations } of snapshot.pools) if (durations !== null) pools.add(keyOf(database, user))
  const databases = new Set([CONSOLE_NAMES[0] as string])
  const names = [
    ...snapshot.forgottenByDatabase.map(({ database }) => database),
    ...snapshot.pools.map(({ database }) => database),
    ...snapshot.databases.map(({ name }) => name),
  ]
  for (const name of names) if (databases.size < DATABASE_LIMIT) databases.add(name)
  return { pools, databases }
}

function keyOf(database: string, user: string): string {
  return `${database}\0${user}`
}
