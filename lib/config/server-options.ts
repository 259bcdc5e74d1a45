/** The rows of the option table about where pgbun listens and where it forwards to: options.ts puts them into it. */

import { HOSTS, HOSTS_EXPECTED, WEIGHTS, WEIGHTS_EXPECTED } from './hosts.ts'
import { bool, bytes, choice, duration, int, list, text } from './types.ts'

/** The section `server`. */
export const SERVER_ROWS = {
  listen_port: int(6432, 'TCP port for clients; also the suffix of the unix socket name.', {
    min: 1,
    max: 65535,
    zeroMeansAny: true,
    scope: 'listener',
    reload: false,
    pgbouncer: '=',
    short: 'p',
  }),
  listen_host: list(['0.0.0.0'], 'Addresses to listen on, separated by commas; * means all, empty means no TCP.', {
    scope: 'listener',
    reload: false,
    pgbouncer: 'listen_addr',
  }),
  listen_backlog: int(4096, 'Connections that the kernel queues until pgbun accepts them; on Bun always 512.', {
    min: 1,
    max: 65535,
    scope: 'listener',
    reload: false,
    pgbouncer: '=',
  }),
  unix_socket_dir: text('', 'Directory for the socket .s.PGSQL.<port>; @name is an abstract socket, empty is none.', {
    scope: 'listener',
    reload: false,
    pgbouncer: '=',
  }),
  unix_socket_mode: text('0777', 'Permissions of the unix socket, in octal.', {
    pattern: /^0?[0-7]{3}$/,
    expects: 'three octal digits such as "0777"',
    scope: 'listener',
    reload: false,
    pgbouncer: '=',
  }),
  server_host: text(
    'localhost',
    'Host of PostgreSQL, or several separated by commas; a value that begins with / or @ is a unix socket directory.',
    {
      pattern: HOSTS,
      expects: HOSTS_EXPECTED,
      scope: 'server',
      pgbouncer: 'host=',
    },
  ),
  server_port: int(5432, 'Port of PostgreSQL.', {
    min: 1,
    max: 65535,
    scope: 'server',
    pgbouncer: 'port=',
  }),
  load_balance_hosts: choice(
    ['round-robin', 'least-connections', 'disable'],
    'round-robin',
    'Which of several hosts the next server connection leads to; disable takes the first that can be used.',
    { scope: 'server', pgbouncer: '=' },
  ),
  load_balance_weights: text(
    '',
    'Weights of the hosts for round-robin and least-connections, in their order, separated by commas; empty means the same for all.',
    { pattern: WEIGHTS, expects: WEIGHTS_EXPECTED, scope: 'server' },
  ),
  target_session_attrs: choice(
    ['any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'],
    'any',
    'What a host must be to be used, as in libpq.',
    { scope: 'server' },
  ),
  health_check_query: text(
    '',
    'Query that a host must answer for a health check, and not with false; empty asks for a sign of life without a login.',
    { scope: 'server' },
  ),
  health_check_failures: int(1, 'Health checks that fail one after the other until a host is not used any more.', {
    min: 1,
    scope: 'server',
  }),
  health_check_successes: int(1, 'Health checks that succeed one after the other until a failed host is used again.', {
    min: 1,
    scope: 'server',
  }),
  route_reads: choice(
    ['off', 'replicas'],
    'off',
    'Where single statements that certainly only read are run in transaction and statement mode: replicas sends them to ' +
      'standbys of the list of hosts, and all else to the primary.',
    { scope: 'pool' },
  ),
  read_after_write: duration(
    0,
    'With route_reads, time after a write of a client during which its reads go to the primary; longer, until a standby ' +
      'has replayed the write.',
    { scope: 'pool' },
  ),
  max_replica_lag: duration(10_000, 'With route_reads, age of the data beyond which a standby is not read from.', {
    min: 1000,
    scope: 'pool',
  }),
  tcp_keepalive: bool(
    true,
    'Let the kernel probe silent TCP connections to servers and to clients on other machines.',
    {
      scope: 'listener',
      pgbouncer: '=',
    },
  ),
  tcp_keepidle: duration(60_000, 'Idle time before the first keepalive probe.', { scope: 'listener', pgbouncer: '=' }),
  max_packet_size: bytes(2 ** 30 - 1, 'Largest protocol message that pgbun forwards in either direction.', {
    min: 1024,
    scope: 'client',
    pgbouncer: '=',
  }),
} as const
