/**
 * The catalogue of every error pgbun itself raises towards a client: one row per error.
 *
 * A row fixes the SQLSTATE, the severity, the message and the level it is logged with. Message texts are those of
 * PgBouncer where it has the same error, because people grep for them; SQLSTATEs are the ones PostgreSQL would use,
 * so that drivers and retry loops react rightly (PgBouncer says 08P01 for everything).
 *
 * `{name}` in a message is replaced by the caller's argument of that name. Nothing secret may be passed as one.
 */

/** ERROR leaves the client connected; FATAL is followed by the end of its connection. */
export type Severity = 'ERROR' | 'FATAL' | 'PANIC' | 'WARNING' | 'NOTICE'

/** The fields of an ErrorResponse or NoticeResponse pgbun sends (protocol chapter "Error and Notice Message Fields"). */
export interface ErrorFields {
  severity: Severity
  sqlstate: string
  message: string
  detail?: string
  hint?: string
  /** Source file and routine: some drivers decide on the latter whether to prepare a statement anew. */
  file?: string
  routine?: string
  /** The row it was made of, for the log; no part of the message. */
  name?: ErrorName
}

interface ErrorRow {
  severity: Severity
  sqlstate: string
  message: string
  level: 'debug' | 'info' | 'warn' | 'error'
  /** Where PostgreSQL raises the same error. */
  file?: string
  routine?: string
  /** What the log says happened, where the message alone says too little. */
  happened?: string
  /** What an operator can do about it, for the log. */
  remedy?: string
}

/** All errors by name. */
export const ERRORS = {
  admin_disconnect: row('FATAL', '57P01', 'admin forced disconnect', 'info', {
    happened: 'an operator ended it by the console (KILL, KILL_CLIENT)',
  }),
  admin_shutdown: row('FATAL', '57P01', 'terminating connection due to administrator command', 'info', {
    happened: 'pgbun is shutting down',
  }),
  auth_failed: row('FATAL', '28P01', 'password authentication failed for user "{user}"', 'warn'),
  auth_required: row('FATAL', '28000', 'no authentication method is available for user "{user}"', 'warn'),
  auth_unverified: row('FATAL', '28000', 'connection rejected: user "{user}" cannot be authenticated', 'warn'),
  canceled: row('ERROR', '57014', 'canceling statement due to user request', 'debug'),
  changed_result: {
    // Drivers prepare a statement anew by these words, or by the routine.
    ...row('ERROR', '0A000', 'cached plan must not change result type', 'debug'),
    file: 'plancache.c',
    routine: 'RevalidateCachedQuery',
  },
  client_certificate_required: row('FATAL', '28000', 'connection requires a valid client certificate', 'info'),
  client_idle_timeout: row('FATAL', '57P05', 'client_idle_timeout', 'info', {
    happened: 'the client sent nothing for longer than client_idle_timeout',
  }),
  client_login_timeout: row('FATAL', '57014', 'client_login_timeout', 'info', {
    happened: 'the client did not log in within client_login_timeout',
  }),
  client_stalled: row('FATAL', '57014', 'client_stall_timeout: the client stopped reading its results', 'warn', {
    remedy: 'read results to their end, or raise client_stall_timeout',
  }),
  cleartext_refused: row('FATAL', '28000', 'a cleartext password is only accepted over TLS', 'warn'),
  console_database: row('FATAL', '3D000', 'the console takes no replication connections', 'warn'),
  // PgBouncer's own errors have its SQLSTATE, which programs know it by.
  console_denied: row('ERROR', '08P01', 'admin access needed', 'debug'),
  console_invalid: row('ERROR', '08P01', '{what}', 'debug'),
  console_login: row('FATAL', '42501', 'user "{user}" may not use the console', 'warn', {
    happened: 'the user is neither in admin_users nor in stats_users',
    remedy: 'add the user to admin_users (all commands) or stats_users (SHOW)',
  }),
  console_no_database: row('ERROR', '08P01', 'no such database: {database}', 'debug'),
  console_no_parameters: row('ERROR', '42P02', 'there is no parameter $1', 'debug'),
  console_no_portal: row('ERROR', '34000', 'portal "{name}" does not exist', 'debug'),
  console_no_statement: row('ERROR', '26000', 'prepared statement "{name}" does not exist', 'debug'),
  console_one_statement: row('ERROR', '42601', 'cannot insert multiple commands into a prepared statement', 'debug'),
  console_reload: row('ERROR', 'F0000', 'RELOAD failed, see logs for additional details', 'debug'),
  console_set: row('ERROR', '08P01', 'SET failed', 'debug'),
  console_state: row('ERROR', '08P01', '{what}', 'debug'),
  console_statement_exists: row('ERROR', '42P05', 'prepared statement "{name}" already exists', 'debug'),
  console_syntax: row('ERROR', '42601', '{what}', 'debug'),
  console_too_long: row('ERROR', '54000', 'the statement is too long for the console', 'debug'),
  console_too_many: row('ERROR', '53400', 'a client may keep {limit} statements and portals at the console', 'debug'),
  console_unknown: row('ERROR', '42703', '{what}', 'debug'),
  console_unsupported: row('ERROR', '0A000', 'the console does not take {what}', 'debug'),
  console_value: row('ERROR', '22023', '{what}', 'debug'),
  database_disabled: row('FATAL', '57P03', 'database "{database}" is disabled', 'info', {
    happened: 'an operator lets in no clients of the database (DISABLE)',
    remedy: 'ENABLE it at the console',
  }),
  idle_transaction_timeout: row('FATAL', '25P03', 'idle transaction timeout', 'warn', {
    happened: 'the client left a transaction open and idle for longer than idle_transaction_timeout',
    remedy: 'end transactions as soon as their work is done, or raise idle_transaction_timeout',
  }),
  internal_error: row('FATAL', 'XX000', 'internal error of the connection pooler', 'error'),
  no_such_database: row('FATAL', '3D000', 'no such database: {database}', 'warn', {
    happened: 'the client asked for a database that is not in [databases]',
    remedy: 'add a section [databases.NAME], or [databases."*"] for all that have none',
  }),
  no_user: row('FATAL', '28000', 'no PostgreSQL user name specified in startup packet', 'warn'),
  pin_idle_timeout: row(
    'FATAL',
    '57P05',
    'pin_idle_timeout: the client is idle and keeps a server connection ({what})',
    'warn',
  ),
  pool_closed: row('FATAL', '57P01', 'the connection pooler is shutting down', 'info'),
  prepared_statement_memory: row(
    'ERROR',
    '53400',
    'prepared statements of all clients take more than {limit} bytes (max_prepared_statement_memory)',
    'warn',
  ),
  prepared_statement_share: row(
    'ERROR',
    '53400',
    'prepared statements of this user take more than is left free of {limit} bytes (max_prepared_statement_memory)',
    'warn',
  ),
  protocol_violation: row('FATAL', '08P01', '{what}', 'warn'),
  query_timeout: row('FATAL', '57014', 'query_timeout', 'warn', {
    happened: 'its query ran for longer than query_timeout',
    remedy: 'make the query faster, or raise query_timeout',
  }),
  query_wait_notify: row(
    'NOTICE',
    '00000',
    'No server connection available in postgres backend, client being queued',
    'debug',
  ),
  query_wait_timeout: row('FATAL', '53300', 'query_wait_timeout', 'warn', {
    happened: 'no server connection became free within query_wait_timeout',
    remedy: 'raise pool_size, or look for what keeps its server connections: long transactions, pins',
  }),
  replication_invalid: row('FATAL', '22023', 'invalid value for parameter "replication": "{value}"', 'warn'),
  server_connect_failed: row('FATAL', '57P03', '{what}', 'warn'),
  server_fast_close: row('FATAL', '57P01', 'server connection is to be closed (server_fast_close)', 'info'),
  server_lost: row('FATAL', '08006', 'server closed the connection unexpectedly', 'warn'),
  server_protocol: row('FATAL', '08006', 'lost synchronization with the server, connection closed', 'error'),
  session_state_left: row(
    'FATAL',
    '0A000',
    'session state is not allowed to outlive a transaction (session_state = error): {what}',
    'warn',
  ),
  session_state_refused: row('ERROR', '0A000', '{what} is not allowed (session_state = error)', 'warn'),
  statement_mode_transaction: row('FATAL', '0A000', 'transaction blocks not allowed in statement pooling mode', 'warn'),
  pqexec_disallowed: row('FATAL', '08P01', 'PQexec disallowed', 'warn', {
    happened: 'disable_pqexec refuses Query messages, with which several statements can be sent as one text',
    remedy: 'use the extended protocol (parameters, prepared statements), or unset disable_pqexec',
  }),
  suspend_timeout: row('FATAL', '57014', 'suspend_timeout: the client did not read its results', 'warn'),
  tls_required: row('FATAL', '28000', 'SSL required', 'warn', {
    happened: 'client_tls_mode demands TLS, and the client connected without',
    remedy: 'connect with sslmode=require or stronger',
  }),
  too_many_prepared_statements: row(
    'ERROR',
    '53400',
    'a client may keep {limit} prepared statements (max_client_prepared_statements)',
    'warn',
  ),
  too_many_clients: row('FATAL', '53300', 'no more connections allowed (max_client_conn)', 'warn', {
    remedy: 'raise max_client_conn, or have the applications keep fewer connections',
  }),
  too_many_clients_of_database: row(
    'FATAL',
    '53300',
    'client connections exceeded (max_db_client_connections)',
    'warn',
    { remedy: 'raise max_db_client_connections, or have the applications keep fewer connections' },
  ),
  too_many_clients_of_user: row('FATAL', '53300', 'client connections exceeded (max_user_client_connections)', 'warn', {
    remedy: 'raise max_user_client_connections, or have the applications keep fewer connections',
  }),
  transaction_timeout: row('FATAL', '25P04', 'transaction timeout', 'warn', {
    happened: 'its transaction took longer than transaction_timeout',
    remedy: 'make transactions shorter, or raise transaction_timeout',
  }),
  unsupported_protocol: row(
    'FATAL',
    '0A000',
    'unsupported frontend protocol {version}: the pooler supports 3.0 and later minor versions of 3',
    'warn',
  ),
} as const satisfies Record<string, ErrorRow>

/** Name of a row of the catalogue. */
export type ErrorName = keyof typeof ERRORS

function row(
  severity: Severity,
  sqlstate: string,
  message: string,
  level: ErrorRow['level'],
  log: Pick<ErrorRow, 'happened' | 'remedy'> = {},
): ErrorRow {
  return { severity, sqlstate, message, level, ...log }
}

/** Arguments of a row's message, and what may be said beyond it. */
export interface ErrorArgs {
  args?: Record<string, string>
  detail?: string
  hint?: string
}

/** The wire fields of one error of the catalogue. */
export function errorFields(name: ErrorName, { args = {}, detail, hint }: ErrorArgs = {}): ErrorFields {
  const { severity, sqlstate, message, file, routine }: ErrorRow = ERRORS[name]
  return {
    severity,
    sqlstate,
    message: message.replace(/\{(\w+)\}/g, (_, key: string) => args[key] ?? ''),
    detail,
    hint,
    file,
    routine,
    name,
  }
}

/** What the log says of an error that a client is sent: what happened, how grave it is, what can be done. */
export function errorInLog({ name, message }: ErrorFields): Pick<ErrorRow, 'level' | 'remedy'> & { happened: string } {
  if (name === undefined) return { level: 'warn', happened: message }
  const { level, happened = message, remedy }: ErrorRow = ERRORS[name]
  return { level, happened, remedy }
}
