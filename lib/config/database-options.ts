/**
 * What can be set for one database and nowhere else: where it is found on its server, and as whom pgbun logs in there.
 * The names are those of PgBouncer's connection strings.
 */

import { HOSTS, HOSTS_EXPECTED } from './hosts.ts'
import { duration, file, int, text } from './types.ts'

/** Rows by name; an empty value is one that is not set. */
export const DATABASE_ROWS = {
  host: text(
    '',
    'Host of PostgreSQL, or several separated by commas, each with :port if it differs; default server_host.',
    {
      pattern: HOSTS,
      expects: HOSTS_EXPECTED,
      scope: 'server',
      pgbouncer: '=',
    },
  ),
  port: int(0, 'Port of PostgreSQL; default server_port.', { min: 1, max: 65535, scope: 'server', pgbouncer: '=' }),
  dbname: text('', 'Name of the database in PostgreSQL; default the name that clients use.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  user: text('', 'User that pgbun logs in to PostgreSQL as, for all clients; default the user of the client.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  password: text('', 'Password of user.', { scope: 'server', pgbouncer: '=', secret: true }),
  password_file: file('File whose first line is the password of user; it is read for each login.', { scope: 'server' }),
  password_command: text('', 'Shell command whose first line of output is the password of user.', { scope: 'server' }),
  password_lifetime: duration(
    600_000,
    'Time after which password_command is run again; it is also run when PostgreSQL refuses the password.',
    {
      min: 1000,
      scope: 'server',
    },
  ),
  application_name: text('', 'application_name of the sessions of clients that set none.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  client_encoding: text('', 'client_encoding of the sessions of clients that set none.', {
    scope: 'server',
    pgbouncer: '=',
  }),
  datestyle: text('', 'DateStyle of the sessions of clients that set none.', { scope: 'server', pgbouncer: '=' }),
  timezone: text('', 'TimeZone of the sessions of clients that set none.', { scope: 'server', pgbouncer: '=' }),
} as const
