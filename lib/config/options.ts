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
  listen_port: int(6432, 'TCP port clients connect to, and the suffix of the unix socket name.', {
    min: 1,
    max: 65535,
    zeroMeansAny: true,
    scope: 'listener',
    reload: false,
    pgbouncer: '=',
    short: 'p',
  }),
  listen_host: list(['0.0.0.0'], 'Addresses to listen on, separated by commas; * is all of them, empty is no TCP.', {
    scope: 'listener',
    reload: false,
    pgbouncer: 'listen_addr',
  }),
  listen_backlog: int(4096, 'Connections the kernel keeps waiting until they are accepted; Bun has it keep 512.', {
    min: 1,
    max: 65535,
    scope: 'listener',
    reload: false,
    pgbouncer: '=',
  }),
  unix_socket_dir: text('', 'Directory for the socket .s.PGSQL.<port>; @name is an abstract socket; empty is none.', {
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
    'Let the kernel probe silent TCP connections, of servers and of clients on other machines.',
    {
      scope: 'listener',
      pgbouncer: '=',
    },
  ),
  tcp_keepidle: duration(60_000, 'Silence before the first keepalive probe.', { scope: 'listener', pgbouncer: '=' }),
  max_packet_size: bytes(2 ** 30 - 1, 'Largest protocol message that is passed on, either way.', {
    min: 1024,
    scope: 'client',
    pgbouncer: '=',
  }),
})

const pool = section('pool', {
  pool_mode: choice(
    ['session', 'transaction', 'statement'],
    'session',
    'When a server connection goes back into the pool: at the end of the session, transaction or statement.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  session_state: choice(
    ['pin', 'error', 'reset'],
    'pin',
    'What becomes of session state that cannot follow its client in transaction and statement mode: ' +
      'pin keeps the client on its server, error refuses such statements, reset ends the state with the transaction.',
    { scope: 'pool' },
  ),
  check_functions: bool(
    true,
    'Ask PostgreSQL, in transaction and statement mode, which functions of the database may leave session state unseen, ' +
      'and treat statements that lead to one with care; off leaves such state to the next client.',
    { scope: 'pool' },
  ),
  max_client_conn: int(100, 'Client connections in all; further ones are refused.', {
    min: 1,
    scope: 'client',
    pgbouncer: '=',
  }),
  max_silent_connections: int(
    0,
    'Connections that have not sent their startup packet; with one more the oldest goes. 0 is max_client_conn, at least 100.',
    { scope: 'client' },
  ),
  pool_size: int(25, 'Server connections per database and user; replication connections come on top.', {
    min: 1,
    scope: 'pool',
    pgbouncer: 'default_pool_size',
    aliases: ['default_pool_size'],
  }),
  max_server_connections: int(
    0,
    'Server connections in all; replication connections come on top. ' +
      '0 is 90, or pool_size and reserve_pool_size together where they are more.',
    { scope: 'server' },
  ),
  max_db_connections: int(0, 'Server connections to one database, of all users; 0 is no limit.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  max_user_connections: int(0, 'Server connections of one user, in all databases; 0 is no limit.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  min_pool_size: int(0, 'Server connections a pool in use keeps open at least.', { scope: 'pool', pgbouncer: '=' }),
  reserve_pool_size: int(0, 'Further server connections a pool may open when clients wait too long.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  reserve_pool_timeout: duration(5000, 'How long a client waits before the reserve is used; 0 never uses it.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  max_prepared_statements: int(
    200,
    'Named prepared statements kept on each server connection in transaction and statement mode; 0 keeps a client that prepares one on its server.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  max_client_prepared_statements: int(
    10_000,
    'Named prepared statements one client may keep in transaction and statement mode; one more is refused (53400). 0 is no limit.',
  ),
  max_prepared_statement_memory: bytes(
    256 * 1024 * 1024,
    'Memory for the named prepared statements of all clients together in transaction and statement mode; one more is refused (53400). ' +
      'Of one database user, they may take as much as is left free: half of it where it is alone. 0 is no limit.',
  ),
  server_reset_query: text('DISCARD ALL', 'Sent to a server connection between two sessions; empty is none.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  server_check_query: text(
    '',
    'Sent to a server connection that was unused for server_check_delay before it is used again; ' +
      'empty sends an empty query, "none" skips the check.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  server_round_robin: bool(false, 'Use server connections in turn; off prefers the one used last.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
})

const logging = section('logging', {
  log_connections: bool(true, 'Log each login.', { pgbouncer: '=' }),
  log_disconnections: bool(true, 'Log each disconnection and its reason.', { pgbouncer: '=' }),
  log_pooler_errors: bool(true, 'Log the errors pgbun itself sends to clients.', { pgbouncer: '=' }),
  log_level: choice(['debug', 'info', 'warn', 'error'], 'info', 'Least important lines that are logged.', {
    pgbouncer: 'verbose',
  }),
  log_format: choice(
    ['auto', 'text', 'json'],
    'auto',
    'Form of the log lines: text for people, json in the shape of the lines of pino; auto is text.',
    { reload: false },
  ),
  stats_period: duration(60_000, 'How often a line of statistics is logged, where anything happened; 0 is never.', {
    pgbouncer: '=',
  }),
})

const timeouts = section('timeouts', {
  server_connect_timeout: duration(15_000, 'Time to connect and log in to PostgreSQL.', {
    min: 1000,
    scope: 'server',
    pgbouncer: '=',
  }),
  client_login_timeout: duration(60_000, 'Time a client has to log in.', { scope: 'client', pgbouncer: '=' }),
  server_idle_timeout: duration(600_000, 'Unused server connections are closed after this.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_lifetime: duration(3_600_000, 'Server connections older than this are closed once they are unused.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_login_retry: duration(15_000, 'Longest pause between two attempts to reach a server that fails.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  server_check_delay: duration(30_000, 'Server connections unused for longer are checked before use; 0 is always.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  client_idle_timeout: duration(0, 'Clients that send nothing for this long are disconnected.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  pin_idle_timeout: duration(
    0,
    'Idle clients of transaction mode that keep a server connection because of session state are disconnected after this.',
    {
      scope: 'client',
    },
  ),
  query_wait_timeout: duration(120_000, 'Longest wait of a client for a server connection.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  query_timeout: duration(
    0,
    'Queries running for longer are ended and their client disconnected; not those of replication.',
    {
      scope: 'client',
      pgbouncer: '=',
    },
  ),
  idle_transaction_timeout: duration(0, 'Clients idle in a transaction for longer are disconnected.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  transaction_timeout: duration(
    0,
    'Clients whose transaction takes longer are disconnected; not those of replication.',
    {
      scope: 'client',
      pgbouncer: '=',
    },
  ),
  cancel_wait_timeout: duration(10_000, 'Longest wait of a cancel request until it reaches the server.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  client_stall_timeout: duration(
    300_000,
    'A client that stops reading its results is disconnected after this; not one of replication.',
    {
      scope: 'client',
    },
  ),
  shutdown_timeout: duration(30_000, 'Grace for running work when pgbun is told to end (SIGTERM, SIGINT).'),
})

const auth = section('auth', {
  auth_type: choice(
    ['passthrough', 'trust', 'plain', 'md5', 'scram-sha-256'],
    'passthrough',
    'How clients prove who they are; without auth_file passthrough is the default, with it scram-sha-256.',
    { scope: 'client', pgbouncer: '=' },
  ),
  auth_file: file("File of users and their secrets, in PgBouncer's format.", { scope: 'client', pgbouncer: '=' }),
  passthrough_ttl: duration(60_000, 'How long a password PostgreSQL has accepted counts before it is tried again.', {
    scope: 'client',
  }),
  allow_cleartext_password: bool(false, 'Ask for cleartext passwords over unencrypted TCP from other hosts too.', {
    scope: 'client',
  }),
  allow_unproven_local_clients: bool(
    false,
    'With auth_type passthrough, let clients of this machine in as any user where PostgreSQL asks pgbun for no password ' +
      'because of the account, host or certificate of pgbun (peer, ident, trust for a host, cert).',
    { scope: 'client' },
  ),
  max_unproven_logins: int(
    16,
    'Logins at PostgreSQL at a time for passwords that are not proven yet (auth_type passthrough); half of them for one address.',
    { min: 1, scope: 'client' },
  ),
  login_failure_delay: duration(
    4000,
    'Longest time until another password of a user is looked at when several from the same address were wrong; 0 is none.',
    { scope: 'client' },
  ),
  scram_salt_secret: text(
    '',
    'Secret that salts of SCRAM logins are made of, so that unknown users keep theirs over a restart; ' +
      'empty is what identifies the machine. Processes of one service need the same.',
    { scope: 'client', reload: false, secret: true },
  ),
  scram_iterations: int(4096, 'Iterations of the SCRAM secret made from a plain password.', {
    min: 1000,
    scope: 'client',
    pgbouncer: '=',
  }),
})

const tls = section('tls', TLS_ROWS)

const processOptions = section('process', {
  pid_file: text('', 'File that holds the process id while pgbun runs; empty is none.', {
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
