/**
 * THE option table (R12). TOML files, environment variables, command line flags, `pgbun config`, CONFIG.md and CLI.md
 * all follow from it; tests fail where the documents differ.
 *
 * The name is the TOML key; the environment variable is PGBUN_<NAME>, the flag is --kebab-case, the key of `Config`
 * and of the library's options is camelCase. Names and defaults are PgBouncer's where it has the setting, except that
 * plain numbers are milliseconds.
 */
import { DATABASE_ROWS } from './database-options.ts'
import { type HostAddress, parseHosts } from './hosts.ts'
import { HTTP_ROWS } from './http-options.ts'
import { MOST_PEERS } from './peers.ts'
import { SERVER_ROWS } from './server-options.ts'
import { TIMEOUT_ROWS } from './timeout-options.ts'
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

const server = section('server', SERVER_ROWS)

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
  ignore_startup_parameters: list(
    [],
    'Startup parameters of clients that are ignored; others are judged by PostgreSQL.',
    { scope: 'client', pgbouncer: '=' },
  ),
  disable_pqexec: bool(
    false,
    'End clients that send a Query message, in which an injected text can hold several statements; replication is exempt.',
    { scope: 'client', pgbouncer: '=' },
  ),
  application_name_add_host: bool(false, 'Add the address of the client to application_name at its login.', {
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
  max_db_client_connections: int(0, 'Maximum number of client connections to one database; 0 means no limit.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  max_user_client_connections: int(0, 'Maximum number of client connections of one user; 0 means no limit.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  max_server_connections: int(
    0,
    'Maximum number of server connections to one host, over all databases and users, without replication connections. ' +
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
    aliases: ['reserve_pool'],
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
  server_reset_query_always: bool(
    false,
    'Run server_reset_query at the end of each transaction or statement, too; not needed, because pgbun resets what it must.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  server_fast_close: bool(
    false,
    'In session mode, end a client between two transactions if its server connection is not to be used again, for ' +
      'instance because a reload has changed its database.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  connect_query: text('', 'Query that is run on each new server connection before it is used; empty means none.', {
    scope: 'pool',
    pgbouncer: '=',
  }),
  server_check_query: text(
    '',
    'Query that checks a server connection after server_check_delay without use; ' +
      'empty sends an empty query, "none" skips the check.',
    { scope: 'pool', pgbouncer: '=' },
  ),
  server_pipelining: choice(
    ['auto', 'off'],
    'auto',
    'Whether short statements outside of transactions are sent behind those of other clients on the same server connection, ' +
      'while these still run, in transaction and statement mode: auto where it is certain that they only read and leave nothing behind.',
    { scope: 'pool' },
  ),
  server_pipelining_budget: duration(
    1,
    'With server_pipelining, how long the statements under way on one server connection may be expected to take in all.',
    { scope: 'pool', min: 1 },
  ),
  server_pipelining_max_wait: duration(
    50,
    'With server_pipelining, how long one statement may keep those behind it waiting: then it is canceled and run again alone.',
    { scope: 'pool', min: 1 },
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
  log_file: text(
    '',
    'File for the log instead of standard error, which gets it too if it is a terminal; each reload opens it anew.',
    { pgbouncer: 'logfile' },
  ),
  log_min_duration: int(
    -1,
    'Log statements that ran at least so many milliseconds, without their literals; 0 logs all, -1 none.',
    { min: -1, max: 2 ** 31 - 1, scope: 'client' },
  ),
  log_parameters: bool(false, 'Log statements of log_min_duration as they were sent: with literals and parameters.', {
    scope: 'client',
  }),
  query_stats_max: int(
    5000,
    'Statements of which statistics are kept, by database and user (SHOW QUERIES); 0 keeps none, and reads no text for it.',
    { max: 100_000 },
  ),
  stats_show_queries: bool(false, 'Show users of stats_users the texts of SHOW QUERIES, which have no literals, too.'),
  stats_period: duration(60_000, 'Interval between lines of statistics, omitted if nothing happened; 0 means never.', {
    pgbouncer: '=',
  }),
})

const timeouts = section('timeouts', TIMEOUT_ROWS)

const auth = section('auth', {
  auth_type: choice(
    ['passthrough', 'trust', 'plain', 'md5', 'scram-sha-256'],
    'passthrough',
    'How clients authenticate; the default is passthrough, or scram-sha-256 if auth_file is set.',
    { scope: 'client', pgbouncer: '=' },
  ),
  auth_file: file("File of users and their secrets in PgBouncer's format.", { scope: 'client', pgbouncer: '=' }),
  admin_users: list([], 'Users that may do everything at the console (databases pgbouncer and pgbun).', {
    scope: 'client',
    pgbouncer: '=',
  }),
  stats_users: list([], 'Users that may SHOW everything at the console but what others have sent.', {
    scope: 'client',
    pgbouncer: '=',
  }),
  peer_id: int(
    0,
    'Number of this process among its peers, which is a part of the cancel keys of its clients; 0 is none.',
    {
      max: MOST_PEERS,
      scope: 'client',
      pgbouncer: '=',
    },
  ),
  peers: list(
    [],
    'Other pgbuns behind the same address, which cancel requests are passed on to: id=host:port, or the name of a host ' +
      'whose addresses are all peers.',
    { scope: 'client', pgbouncer: '[peers]' },
  ),
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

const http = section('http', HTTP_ROWS)

const processOptions = section('process', {
  reload_on_change: bool(
    false,
    'Read the configuration again when its file, or one that it names, has changed, as SIGHUP does.',
    { reload: false },
  ),
  pid_file: text('', 'File that holds the process id while pgbun runs; empty means none.', {
    reload: false,
    pgbouncer: 'pidfile',
  }),
  run_as_user: text('', 'User that pgbun becomes once it listens, if root has started it; empty means none.', {
    reload: false,
    pgbouncer: 'user',
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
  ...http,
  ...processOptions,
})

type Options = typeof OPTIONS

/** The snake_case name of an option. */
export type OptionName = keyof Options

/** All names in the order of the table. */
export const OPTION_NAMES = Object.keys(OPTIONS) as OptionName[]

/** Where a value for one database or user is set: `[databases.NAME]` and `[users.NAME]`. */
export const SCOPED_GROUPS = ['databases', 'users'] as const

export type ScopedGroup = (typeof SCOPED_GROUPS)[number]

/** General options that can also be set for one database or one user, which then counts instead. */
export const SCOPED_OPTIONS = {
  databases: [
    'pool_mode',
    'session_state',
    'server_pipelining',
    'pool_size',
    'min_pool_size',
    'reserve_pool_size',
    'max_db_connections',
    'max_db_client_connections',
    'connect_query',
    'load_balance_hosts',
    'load_balance_weights',
    'target_session_attrs',
    'route_reads',
    'read_after_write',
    'max_replica_lag',
    'outage_grace',
    'server_lifetime',
    'query_wait_timeout',
    'query_timeout',
    'transaction_timeout',
    'idle_transaction_timeout',
    'client_idle_timeout',
    'log_min_duration',
    'server_tls_mode',
    'server_tls_key_file',
    'server_tls_cert_file',
    'server_tls_ca_file',
    'server_tls_negotiation',
    'server_tls_protocols',
    'server_tls_ciphers',
  ],
  users: [
    'pool_mode',
    'session_state',
    'server_pipelining',
    'pool_size',
    'reserve_pool_size',
    'max_user_connections',
    'max_user_client_connections',
    'query_wait_timeout',
    'query_timeout',
    'transaction_timeout',
    'idle_transaction_timeout',
    'client_idle_timeout',
    'log_min_duration',
  ],
} as const satisfies Record<ScopedGroup, readonly OptionName[]>

/** A general option that can be set for one database, or for one user. */
export type ScopedName<G extends ScopedGroup = ScopedGroup> = (typeof SCOPED_OPTIONS)[G][number]

/** The name of a value that only a database has. */
export type DatabaseName = keyof typeof DATABASE_ROWS

/** The name of anything that can be set. */
export type SettingName = OptionName | DatabaseName

type Scoped<G extends ScopedGroup> = { readonly [K in ScopedName<G> as Camel<K>]?: ValueOf<Options[K]> }

/** The value of every general option. */
export type OptionValues = { readonly [K in OptionName as Camel<K>]: ValueOf<Options[K]> }

/** A password that a program gets from elsewhere: asked for again when `password_lifetime` is over. */
export type PasswordFunction = () => string | Promise<string>

/** What is set for one database. */
export type DatabaseValues = Scoped<'databases'> & {
  readonly [K in Exclude<DatabaseName, 'password'> as Camel<K>]?: ValueOf<(typeof DATABASE_ROWS)[K]>
} & { readonly password?: string | PasswordFunction }

/** What is set for one user. */
export type UserValues = Scoped<'users'>

/** The effective configuration: frozen, camelCase, durations in milliseconds, sizes in bytes, unset texts ''. */
export type Config = OptionValues & {
  readonly databases: ReadonlyMap<string, DatabaseValues>
  readonly users: ReadonlyMap<string, UserValues>
}

/** The name under which `[databases]` has what counts for databases that it does not name. */
export const ANY_DATABASE = '*'

/** What is set for `database`; undefined where nothing is, which is an unknown database if others are named. */
export function databaseValues({ databases }: Config, database: string): DatabaseValues | undefined {
  return databases.get(database) ?? databases.get(ANY_DATABASE)
}

/** The hosts of a database with these values; of one without any, those of `server_host`. */
export function hostsOf({ serverHost, serverPort }: Config, { host, port }: DatabaseValues = {}): HostAddress[] {
  return parseHosts(host || serverHost, port ?? serverPort)
}

/** The value of a scoped option for `user` in `database`: the user's, the database's, or the general one. */
export function scopedValue<K extends Camel<ScopedName>>(
  config: Config,
  key: K,
  database: string,
  user: string,
): Config[K] {
  const ofUser = config.users.get(user) as Partial<Config> | undefined
  return ofUser?.[key] ?? (databaseValues(config, database) as Partial<Config> | undefined)?.[key] ?? config[key]
}

/** True for a setting that also counts for everything. */
export function isGeneral(name: SettingName): name is OptionName {
  return Object.hasOwn(OPTIONS, name)
}

/** The names that can be set in a section of `group`, the database's own first. */
export function scopedNames(group: ScopedGroup): readonly SettingName[] {
  return SCOPED_NAMES[group]
}

const SCOPED_NAMES: Readonly<Record<ScopedGroup, readonly SettingName[]>> = {
  databases: [...(Object.keys(DATABASE_ROWS) as DatabaseName[]), ...SCOPED_OPTIONS.databases],
  users: SCOPED_OPTIONS.users,
}

/** The setting that a key in a section of `group` stands for, if there is one. */
export function findScoped(group: ScopedGroup, key: string): SettingName | undefined {
  const name = Object.hasOwn(DATABASE_ROWS, key) ? (key as DatabaseName) : findOption(key)
  return name !== undefined && scopedNames(group).includes(name) ? name : undefined
}

/** The row of an option. */
export function optionRow(name: OptionName): OptionRow {
  return OPTIONS[name]
}

/** The row of anything that can be set. */
export function settingRow(name: SettingName): Row {
  return Object.hasOwn(DATABASE_ROWS, name) ? DATABASE_ROWS[name as DatabaseName] : OPTIONS[name as OptionName]
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
