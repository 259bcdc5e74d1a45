/** The rows of the option table about time: options.ts puts them into it. */

import { duration } from './types.ts'

/** The section `timeouts`. */
export const TIMEOUT_ROWS = {
  server_connect_timeout: duration(15_000, 'Maximum time to connect and log in to PostgreSQL.', {
    min: 1000,
    scope: 'server',
    pgbouncer: '=',
  }),
  client_login_timeout: duration(60_000, 'Maximum time for a login.', { scope: 'client', pgbouncer: '=' }),
  server_idle_timeout: duration(600_000, 'Time after which an unused server connection is closed.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_lifetime: duration(3_600_000, 'Age after which a server connection is closed when it is unused.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_login_retry: duration(15_000, 'Maximum pause between two attempts to reach a server that fails.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  outage_grace: duration(0, 'Time that clients wait while no host can be used, before they are refused.', {
    scope: 'server',
  }),
  health_check_interval: duration(
    0,
    'Interval at which each host is asked for a sign of life; 0 means only hosts that have failed.',
    { scope: 'server' },
  ),
  health_check_timeout: duration(2000, 'Time that a host has to give a sign of life.', { min: 10, scope: 'server' }),
  dns_max_ttl: duration(15_000, 'Time for which the addresses of a host are used without asking again.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  dns_nxdomain_ttl: duration(15_000, 'Time for which it is remembered that there is no such host.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_check_delay: duration(30_000, 'Idle time after which a server connection is checked; 0 means always.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  client_idle_timeout: duration(0, 'Time after which a client that sends nothing is disconnected.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  pin_idle_timeout: duration(
    0,
    'Time after which an idle client that keeps its server connection because of session state is disconnected (transaction mode).',
    {
      scope: 'client',
    },
  ),
  query_wait_timeout: duration(120_000, 'Maximum wait of a client for a server connection.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  query_wait_notify: duration(
    5000,
    'Wait of a client for a server connection after which it is sent a notice; 0 means none.',
    { scope: 'client', pgbouncer: '=' },
  ),
  query_timeout: duration(
    0,
    'Maximum duration of a query; then the query is ended and its client disconnected. Not for replication.',
    {
      scope: 'client',
      pgbouncer: '=',
    },
  ),
  idle_transaction_timeout: duration(0, 'Maximum idle time in a transaction; then the client is disconnected.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  transaction_timeout: duration(
    0,
    'Maximum duration of a transaction; then the client is disconnected. Not for replication.',
    {
      scope: 'client',
      pgbouncer: '=',
    },
  ),
  cancel_wait_timeout: duration(10_000, 'Maximum time until a cancel request reaches PostgreSQL.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  suspend_timeout: duration(
    10_000,
    'Time after SUSPEND at which clients that do not read their results are disconnected.',
    {
      pgbouncer: '=',
    },
  ),
  client_stall_timeout: duration(
    300_000,
    'Time after which a client that stops reading its results is disconnected. Not for replication.',
    {
      scope: 'client',
    },
  ),
  shutdown_timeout: duration(
    30_000,
    'Time that running work may take after SIGTERM or SIGINT; after SIGTERM, clients are disconnected one after the other ' +
      'within two thirds of it.',
  ),
  shutdown_delay: duration(
    0,
    'Time after SIGTERM in which pgbun still accepts clients but is not ready any more, so that load balancers notice.',
  ),
  upgrade_timeout: duration(
    3_600_000,
    'Time that clients may stay when another pgbun has taken over (-R); then they are disconnected as after SIGTERM.',
  ),
} as const
