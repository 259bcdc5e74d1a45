/** The metrics of pgbouncer_exporter: names and labels are its own, pools beyond those told apart are counted together. */
import t from 'tap'
import { pgbouncerMetrics } from '../../../lib/http/pgbouncer-metrics.ts'
import type { MetricFamily } from '../../../lib/observe/metric.ts'
import type { PoolSnapshot } from '../../../lib/observe/snapshot.ts'
import { createCounters } from '../../../lib/pool/counters.ts'
import { Durations } from '../../../lib/pool/durations.ts'
import { createPinCounts } from '../../../lib/sql/state-kinds.ts'
import { view } from '../admin/sample-console.ts'

function pool(user: string, more: Partial<PoolSnapshot> = {}): PoolSnapshot {
  return {
    ...{ database: 'app', user, mode: 'transaction', reads: false, size: 20, sessionState: 'pin', clients: 3 },
    clientStates: { idle: 1, active: 2, waiting: 0, login: 0 },
    ...{ cancels: 0, replication: 0, pinned: 0, pinCounts: createPinCounts(), waiting: 4, maxWait: 1500 },
    pipelining: { on: true, servers: 1, requests: 3, deepest: 7, texts: 2 },
    servers: { idle: 5, active: 2, busy: 1, draining: 0, beingCanceled: 0 },
    ...{ opening: 1, balance: '', counters: { ...createCounters(), logins: 1, queries: 2, queryTime: 500 } },
    durations: new Durations().counts(),
    ...more,
  }
}

function metrics(pools: PoolSnapshot[]): Map<string, MetricFamily> {
  const families = pgbouncerMetrics({ ...view, snapshot: { ...view.snapshot, pools } })
  return new Map([...families].map((family) => [family.name, family]))
}

function samples(families: ReadonlyMap<string, MetricFamily>, name: string) {
  const family = families.get(name)!
  return 'samples' in family ? family.samples : []
}

/** What dashboards of pgbouncer_exporter ask for. */
const EXPORTED =
  'up version_info databases users pools free_clients used_clients login_clients free_servers used_servers cached_dns_names ' +
  'cached_dns_zones in_flight_dns_queries config_max_client_connections config_max_user_connections ' +
  'pools_client_active_connections pools_client_active_cancel_connections pools_client_waiting_connections ' +
  'pools_client_waiting_cancel_connections pools_server_active_connections pools_server_active_cancel_connections ' +
  'pools_server_being_canceled_connections pools_server_idle_connections pools_server_used_connections ' +
  'pools_server_testing_connections pools_server_login_connections pools_client_maxwait_seconds databases_pool_size ' +
  'databases_reserve_pool databases_max_connections databases_current_connections databases_paused databases_disabled ' +
  'stats_queries_pooled_total stats_queries_duration_seconds_total stats_received_bytes_total stats_sent_bytes_total ' +
  'stats_client_wait_seconds_total stats_sql_transactions_pooled_total stats_server_in_transaction_seconds_total ' +
  'stats_client_parses_total stats_server_parses_total stats_binds_total'

t.test('all of them are there, under the names of the exporter', async (t) => {
  t.same(
    [...metrics([]).keys()].sort(),
    EXPORTED.split(' ')
      .map((name) => `pgbouncer_${name}`)
      .sort(),
  )
})

t.test('numbers are those of the console, in seconds', async (t) => {
  const families = metrics([pool('u')])
  const of = (name: string): number =>
    samples(families, `pgbouncer_pools_${name}`).find(({ labels }) => labels.user === 'u')!.value
  t.equal(of('client_active_connections'), 3)
  t.equal(of('client_waiting_connections'), 4)
  t.equal(of('server_idle_connections'), 5)
  t.equal(of('server_testing_connections'), 1)
  t.equal(of('server_login_connections'), 1)
  t.equal(of('client_maxwait_seconds'), 1.5)
  // The forgotten ones of the sample are counted, too.
  t.match(samples(families, 'pgbouncer_stats_queries_duration_seconds_total'), [
    { labels: { database: 'app' }, value: 0.58 },
    { labels: { database: 'pgbouncer' }, value: 0 },
  ])
})

t.test('pools beyond those told apart are one series, standbys belong to their pool', async (t) => {
  const families = metrics([
    pool('u'),
    pool('u', { reads: true, durations: null, maxWait: 9000 }),
    pool('v', { durations: null }),
    pool('w', { durations: null, maxWait: 100 }),
  ])
  const idle = samples(families, 'pgbouncer_pools_server_idle_connections')
  t.same(
    idle.map(({ labels, value }) => [labels.database, labels.user, value]),
    [
      ['app', 'u', 10],
      ['(others)', '(others)', 10],
      ['pgbouncer', 'pgbouncer', 0],
    ],
  )
  const maxWait = samples(families, 'pgbouncer_pools_client_maxwait_seconds')
  t.same(
    maxWait.map(({ value }) => value),
    [9, 1.5, 0],
    'of several, the longest',
  )
})
