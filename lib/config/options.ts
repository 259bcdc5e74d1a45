/**
 * THE option table (R12). TOML files, environment variables, command line flags, `pgbun config`, CONFIG.md and CLI.md
 * all follow from it; tests fail where the documents differ.
 *
 * The name is the TOML key; the environment variable is PGBUN_<NAME>, the flag is --kebab-case, the key of `Config`
 * and of the library's options is camelCase. Names and defaults are PgBouncer's where it has the setting, except that
 * plain numbers are milliseconds.
 */
import { TLS_ROWS } from './tls-options.ts'
import {
  bool,
  bytes,
  type Camel,
  choice,
  duration,
  file,
  int,
  list,
  type OptionRow,
  type Row,
  type Section,
  text,
  type ValueOf,
} from './types.ts'

const server = section('server', {
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
  server_host: text('localhost', 'Host of PostgreSQL; a value that begins with / or @ is a unix socket directory.', {
    pattern: /^([/@].*|[\p{L}\p{N}_][\p{L}\p{N}._-]*|[0-9a-f]*:[0-9a-f.:]*:[0-9a-f.]*(%[\w.-]+)?)$/iu,
    expects: 'one host name, address or socket directory; the port goes into server_port',
    scope: 'server',
    reload: false,
    pgbouncer: 'host=',
  }),
  server_port: int(5432, 'Port of PostgreSQL.', {
    min: 1,
    max: 65535,
    scope: 'server',
    reload: false,
    pgbouncer: 'port=',
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
})

const pool = section('pool', {
  pool_mode: choice(
    ['session', 'transaction', 'statement'],
    'session',
    'When a server connection returns to the pool: at the end of the session, transaction or statement.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  session_state: choice(
    ['pin', 'error', 'reset'],
    'pin',
    'How transaction and statement mode treat session state that cannot follow its client: pin keeps the client on its ' +
      'server connection, error refuses such statements, reset discards the state at the end of the transaction.',
    { scope: 'pool' },
  ),
  check_functions: bool(
    true,
    'In transaction and statement mode, ask PostgreSQL which functions may change the session unseen, and check the ' +
      'session after statements that may call one; off lets such state reach the next client.',
    { scope: 'pool' },
  ),
  max_client_conn: int(100, 'Maximum number of client connections; further ones are refused.', {
    min: 1,
    scope: 'client',
    pgbouncer: '=',
  }),
  max_silent_connections: int(
    0,
    'Maximum number of connections without a startup packet; one more closes the oldest. 0 means max_client_conn, at least 100.',
    { scope: 'client' },
  ),
  pool_size: int(25, 'Maximum number of server connections per database and user, without replication connections.', {
    min: 1,
    scope: 'pool',
    pgbouncer: 'default_pool_size',
    aliases: ['default_pool_size'],
  }),
  max_server_connections: int(
    0,
    'Maximum number of server connections, without replication connections. ' +
      '0 means 90, or the sum of pool_size and reserve_pool_size if that is more.',
    { scope: 'server' },
  ),
  max_db_connections: int(0, 'Maximum number of server connections to one database; 0 means no limit.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  max_user_connections: int(0, 'Maximum number of server connections of one user; 0 means no limit.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  min_pool_size: int(0, 'Minimum number of server connections that a pool in use keeps open.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  reserve_pool_size: int(0, 'Additional server connections that a pool may open after reserve_pool_timeout.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  reserve_pool_timeout: duration(5000, 'Wait of a client after which the pool uses its reserve; 0 means never.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  max_prepared_statements: int(
    200,
    'Named prepared statements kept on each server connection in transaction and statement mode; ' +
      '0 keeps a client that prepares one on its server connection.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  max_client_prepared_statements: int(
    10_000,
    'Maximum number of named prepared statements of one client in transaction and statement mode; one more is refused (53400). 0 means no limit.',
  ),
  max_prepared_statement_memory: bytes(
    256 * 1024 * 1024,
    'Memory for the named prepared statements of all clients in transaction and statement mode; one more is refused (53400). ' +
      'One user may take at most as much as stays free: half of it if no other user has any. 0 means no limit.',
  ),
  server_reset_query: text('DISCARD ALL', 'Query sent to a server connection between two sessions; empty means none.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  server_check_query: text(
    '',
    'Query that checks a server connection after server_check_delay without use; ' +
      'empty sends an empty query, "none" skips the check.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  server_round_robin: bool(false, 'Use server connections in turn; off prefers the one that was used last.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
})

const logging = section('logging', {
  log_connections: bool(true, 'Log each login.', { pgbouncer: '=' }),
  log_disconnections: bool(true, 'Log each disconnection and its reason.', { pgbouncer: '=' }),
  log_pooler_errors: bool(true, 'Log errors that pgbun itself sends to clients.', { pgbouncer: '=' }),
  log_level: choice(['debug', 'info', 'warn', 'error'], 'info', 'Lowest level that is logged.', {
    pgbouncer: 'verbose',
  }),
  log_format: choice(
    ['auto', 'text', 'json'],
    'auto',
    'Format of the log lines: text, or json in the format of pino; auto means text.',
    { reload: false },
  ),
  stats_period: duration(60_000, 'Interval between lines of statistics, omitted if nothing happened; 0 means never.', {
    pgbouncer: '=',
  }),
})

const timeouts = section('timeouts', {
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
  client_stall_timeout: duration(
    300_000,
    'Time after which a client that stops reading its results is disconnected. Not for replication.',
    {
      scope: 'client',
    },
  ),
  shutdown_timeout: duration(30_000, 'Time that running work may take after SIGTERM or SIGINT.'),
})

const auth = section('auth', {
  auth_type: choice(
    ['passthrough', 'trust', 'plain', 'md5', 'scram-sha-256'],
    'passthrough',
    'How clients authenticate; the default is passthrough, or scram-sha-256 if auth_file is set.',
    { scope: 'client', pgbouncer: '=' },
  ),
  auth_file: file("File of users and their secrets in PgBouncer's format.", { scope: 'client', pgbouncer: '=' }),
  passthrough_ttl: duration(60_000, 'Time after which a password that PostgreSQL has accepted is verified again.', {
    scope: 'client',
  }),
  allow_cleartext_password: bool(false, 'Also ask clients of other machines for cleartext passwords without TLS.', {
    scope: 'client',
  }),
  allow_unproven_local_clients: bool(
    false,
    'With auth_type passthrough, admit clients of this machine as any user if PostgreSQL admits pgbun without a password ' +
      'because of its account, host or certificate (peer, ident, trust for a host, cert).',
    { scope: 'client' },
  ),
  max_unproven_logins: int(
    16,
    'Maximum number of simultaneous logins to PostgreSQL for unverified passwords (auth_type passthrough); half of them for one address.',
    { min: 1, scope: 'client' },
  ),
  login_failure_delay: duration(
    4000,
    'Maximum delay of the next login after several wrong passwords of a user from one address; 0 means none.',
    { scope: 'client' },
  ),
  scram_salt_secret: text(
    '',
    'Secret from which SCRAM salts are derived, so that those of unknown users survive a restart; ' +
      'empty uses the identity of the machine. All processes of one service need the same secret.',
    { scope: 'client', reload: false, secret: true },
  ),
  scram_iterations: int(4096, 'Iterations of SCRAM secrets that are made from plain passwords.', {
    min: 1000,
    scope: 'client',
    pgbouncer: '=',
  }),
})

const tls = section('tls', TLS_ROWS)

const processOptions = section('process', {
  pid_file: text('', 'File that holds the process id while pgbun runs; empty means none.', {
    reload: false,
    pgbouncer: 'pidfile',
  }),
})

/** Every option by name, in the order it is shown. */
export const OPTIONS = Object.freeze({
  ...server,
  ...pool,
  ...logging,
  ...timeouts,
  ...auth,
  ...tls,
  ...processOptions,
})

type Options = typeof OPTIONS

/** The snake_case name of an option. */
export type OptionName = keyof Options

/** All names in the order of the table. */
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[]

/** Options that can also be set for one database or one user, which then counts instead of the general value. */
export const SCOPED_OPTIONS = ['session_state'] as const satisfies readonly OptionName[]

/** Where they are set: `[databases.NAME]` and `[users.NAME]`. A user's value comes before a database's. */
export const SCOPED_GROUPS = ['databases', 'users'] as const

/** An option that can be set for one database or user. */
export type ScopedName = (typeof SCOPED_OPTIONS)[number]
export type ScopedGroup = (typeof SCOPED_GROUPS)[number]

/** The value of every option. */
export type OptionValues = { readonly [K in OptionName as Camel<K>]: ValueOf<Options[K]> }

/** What is set for one database or user. */
export type ScopedValues = { readonly [K in ScopedName as Camel<K>]?: ValueOf<Options[K]> }

/** The effective configuration: frozen, camelCase, durations in milliseconds, sizes in bytes, unset texts ''. */
export type Config = OptionValues & { readonly [G in ScopedGroup]: ReadonlyMap<string, ScopedValues> }

/** The value of a scoped option for `user` in `database`: the user's, the database's, or the general one. */
export function scopedValue<K extends keyof ScopedValues>(
  config: Config,
  key: K,
  database: string,
  user: string,
): Config[K] {
  return config.users.get(user)?.[key] ?? config.databases.get(database)?.[key] ?? config[key]
}

/** The row of an option. */
export function optionRow(name: OptionName): OptionRow {
  return OPTIONS[name]
}

/** The option a name or alias stands for, if there is one. */
export function findOption(name: string): OptionName | undefined {
  return BY_ANY_NAME.get(name)
}

const BY_ANY_NAME = new Map<string, OptionName>(
  OPTION_NAMES.flatMap((name) => [name, ...(optionRow(name).aliases ?? [])].map((any) => [any, name] as const)),
)

function section<S extends Section, R extends Record<string, Row>>(
  name: S,
  rows: R,
): { [K in keyof R]: R[K] & { section: S } } {
  const entries = Object.entries(rows).map(([key, row]) => [key, Object.freeze({ ...row, section: name })])
  return Object.fromEntries(entries)
}
