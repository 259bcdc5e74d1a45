/** The text of `pgbun --help`, laid out by yargs. Loaded for the help alone: yargs takes a fifth of the time of a start. */
import yargs from 'yargs'
import { OPTION_NAMES, optionRow } from '../config/options.ts'
import { type OptionRow, SECTIONS } from '../config/types.ts'
import { formatDuration } from '../config/units.ts'
import { COMMANDS, FLAGS, type Flag, flagName } from './flags.ts'

/** The text, `width` columns wide. */
export async function helpText(width = 100): Promise<string> {
  let parser = createParser().wrap(Math.max(60, width))
  for (const [name, doc] of Object.entries(COMMANDS)) parser = parser.command(name, doc)
  return `${await parser.getHelp()}\n`
}

function createParser() {
  let parser = yargs([])
    .scriptName('pgbun')
    .locale('en')
    .usage(
      [
        'Usage: pgbun [command] [server] [options]',
        '',
        'Pools connections to PostgreSQL. The server is host:port, postgres://host:port, a host name',
        'with a dot or the directory of a unix socket; without one it is localhost:5432.',
      ].join('\n'),
    )
    .epilogue('Every option can also be set in the TOML file and as an environment variable; see --env and CONFIG.md.')
    .help(false)
    .version(false)
    .exitProcess(false)
  for (const [name, { doc, short, value }] of Object.entries<Flag>(FLAGS)) {
    parser = parser.option(name, { describe: doc, alias: short, ...valueShape(value), group: 'General:' })
  }
  for (const section of SECTIONS) {
    for (const name of OPTION_NAMES.filter((option) => optionRow(option).section === section)) {
      const row = optionRow(name)
      const shape = valueShape(row.kind === 'bool' ? undefined : row.kind)
      const describe = `${row.doc} ${defaultText(row)}`
      parser = parser.option(flagName(name), { describe, alias: row.short, ...shape, group: `[${section}]:` })
    }
  }
  return parser
}

function valueShape(value: string | undefined) {
  return { type: value === undefined ? 'boolean' : 'string' } as const
}

function defaultText(row: OptionRow): string {
  const choices = row.kind === 'enum' ? `One of ${row.values.join(', ')}. ` : ''
  if (row.kind === 'bool') return `[${row.default ? 'on' : 'off'}]`
  if (row.kind === 'duration') return `${choices}[${formatDuration(row.default)}]`
  const text = String(row.default)
  return text === '' ? choices.trim() : `${choices}[${text}]`
}
