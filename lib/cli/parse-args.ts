/**
 * The arguments of the command line -> what is asked for. Every mistake is a UsageError (exit code 2).
 *
 * yargs splits the arguments and prints the help; names and values are checked here, because it lets unknown names
 * and a switch with a wrong value (`--log-connections=maybe`) pass. Pure.
 */
import yargs from 'yargs'
import { convertValue } from '../config/convert.ts'
import { nearestName } from '../config/nearest-name.ts'
import { OPTION_NAMES, type OptionName, optionRow } from '../config/options.ts'
import { ConfigError, formatProblem, type RawValue } from '../config/raw-value.ts'
import { parseServerArgument } from '../config/server-url.ts'
import { suggestOption } from '../config/suggest-option.ts'
import type { OptionRow } from '../config/types.ts'
import { SECTIONS } from '../config/types.ts'
import { formatDuration } from '../config/units.ts'
import { COMMANDS, type Command, FLAGS, type Flag, type FlagName, flagName } from './flags.ts'

/** What the command line asks for. */
export interface CliRequest {
  command: Command
  /** Values of options, for resolveConfig. */
  values: RawValue[]
  configFile: string | undefined
  env: boolean
  dryRun: boolean
  daemon: boolean
  embedded: boolean
  json: boolean
}

/** A mistake on the command line. The message may have several lines. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

interface Known {
  /** The option of the table, or the flag. */
  option?: OptionName
  flag?: FlagName
  takesValue: boolean
}

/** Every long name and every letter. */
const KNOWN = knownNames()

/** Parse the arguments after the program's name. Throws UsageError. */
export function parseArgs(argv: readonly string[]): CliRequest {
  const parsed = createParser([...checkNames(argv)]).parseSync() as Record<string, unknown>
  const positionals = (parsed._ as (string | number)[]).map(String)
  const flags = (name: FlagName) => parsed[name] === true

  const command = flags('help') ? 'help' : flags('version') ? 'version' : takeCommand(positionals)
  const values: RawValue[] = []
  for (const [name, value] of Object.entries(parsed)) {
    const option = name === '_' ? undefined : KNOWN.get(name)?.option
    if (option) addValue(values, option, value, `--${name}`)
  }
  if (flags('verbose')) addValue(values, 'log_level', 'debug', '--verbose')
  if (flags('quiet')) addValue(values, 'log_level', 'error', '--quiet')
  addServer(values, command, positionals)

  for (const { name, value, source } of values) {
    const converted = convertValue(name, value, source.kind)
    if ('message' in converted) throw new UsageError(`${source.where}: ${converted.message}`)
  }
  if (flags('json') && command !== 'config') throw new UsageError('--json belongs to the command "pgbun config"')
  if (flags('embedded')) {
    const server = values.find(({ name }) => name === 'server_host' || name === 'server_port')
    if (server)
      throw new UsageError(`--embedded brings its own server, so ${server.source.where} cannot be used with it`)
  }
  if (Array.isArray(parsed.config)) throw new UsageError('--config is given more than once')
  return {
    command,
    values,
    configFile: parsed.config as string | undefined,
    env: flags('env'),
    dryRun: flags('dry-run'),
    daemon: flags('daemon'),
    embedded: flags('embedded'),
    json: flags('json'),
  }
}

/** The text of `pgbun --help`, `width` columns wide. */
export async function helpText(width = 100): Promise<string> {
  let parser = createParser([]).wrap(Math.max(60, width))
  for (const [name, doc] of Object.entries(COMMANDS)) parser = parser.command(name, doc)
  return `${await parser.getHelp()}\n`
}

/**
 * Throws at the first argument that looks like an option and is none, and yields the arguments with switches that
 * carry a value (`--log-connections=off`) in the two forms yargs reads rightly.
 */
function* checkNames(argv: readonly string[]): Generator<string> {
  for (const [index, argument] of argv.entries()) {
    if (argument === '--') return yield* argv.slice(index)
    if (!/^-./.test(argument) || /^-\d/.test(argument)) {
      yield argument
      continue
    }
    if (!argument.startsWith('--')) {
      checkLetters(argument)
      yield argument
      continue
    }
    const [name, value] = splitOnce(argument.slice(2))
    const known = KNOWN.get(name)
    const negated = name.startsWith('no-') ? KNOWN.get(name.slice(3)) : undefined
    if (known?.takesValue || (known && value === undefined)) yield argument
    else if (known) yield switchOf(name, value!)
    else if (negated?.option && !negated.takesValue && value === undefined) yield argument
    else throw new UsageError(unknownOption(name, negated !== undefined))
  }
}

function checkLetters(argument: string): void {
  for (const letter of argument.slice(1)) {
    const known = KNOWN.get(letter)
    if (!known) throw new UsageError(`Unknown option -${letter}. "pgbun --help" lists all options`)
    // The rest of the argument is its value: -p6433.
    if (known.takesValue) return
  }
}

function switchOf(name: string, value: string): string {
  const { option } = KNOWN.get(name)!
  const converted = convertValue(option ?? 'log_connections', value, 'command line')
  if (!('value' in converted)) throw new UsageError(`--${name}: Invalid value '${value}'. Must be true or false`)
  return converted.value ? `--${name}` : `--no-${name}`
}

function unknownOption(name: string, isNegation: boolean): string {
  if (isNegation) return `--${name}: only switches can be turned off with --no-`
  const base = name.replace(/^no-/, '')
  const prefix = base === name ? '--' : '--no-'
  const flag = nearestName(base, Object.keys(FLAGS))
  const option = suggestOption(base.replaceAll('-', '_'), (near) => `${prefix}${flagName(near)}`)
  const remedy = option.startsWith('"')
    ? flag
      ? `Did you mean --${flag}?`
      : '"pgbun --help" lists all options'
    : option
  return `Unknown option --${name.slice(0, 60)}. ${remedy}`
}

function takeCommand(positionals: string[]): Command {
  const first = positionals[0]
  if (first === undefined) return 'start'
  if (Object.hasOwn(COMMANDS, first)) return positionals.shift() as Command
  // A lone word may be a host, but is more likely a mistyped command.
  const near = /^[a-z]+$/.test(first) ? nearestName(first, Object.keys(COMMANDS)) : undefined
  if (near) {
    throw new UsageError(
      `Unknown command '${first}'. Did you mean ${near}? A server of that name: --server-host ${first}`,
    )
  }
  return 'start'
}

function addServer(values: RawValue[], command: Command, positionals: string[]): void {
  const [server, extra] = positionals
  if (server === undefined || command === 'help') return
  if (extra !== undefined || command === 'version') {
    // Not repeated: what is unexpected may be a password.
    throw new UsageError(`Unexpected argument after ${command}. Usage: pgbun [command] [server] [options]`)
  }
  try {
    for (const { name, value, source } of parseServerArgument(server)) addValue(values, name, value, source.where)
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.problems.map(formatProblem).join('\n'))
    throw error
  }
}

function addValue(values: RawValue[], name: OptionName, value: unknown, where: string): void {
  const single = Array.isArray(value) && optionRow(name).kind === 'bool' ? value.at(-1) : value
  if (Array.isArray(single) && optionRow(name).kind !== 'list') throw new UsageError(`${where} is given more than once`)
  const other = values.find((earlier) => earlier.name === name)
  if (other) throw new UsageError(`${other.source.where} and ${where} both set ${name}. Give one of them`)
  values.push({ name, value: single, source: { kind: 'command line', where } })
}

function createParser(argv: string[]) {
  let parser = yargs(argv)
    .scriptName('pgbun')
    .locale('en')
    .usage(
      [
        'Usage: pgbun [command] [server] [options]',
        '',
        'Pools connections to PostgreSQL. The server is a host, host:port, postgres://host:port',
        'or the directory of a unix socket; without one it is localhost:5432.',
      ].join('\n'),
    )
    .epilogue('Every option can also be set in the TOML file and as an environment variable; see --env and CONFIG.md.')
    .parserConfiguration({
      'boolean-negation': true,
      'camel-case-expansion': false,
      'dot-notation': false,
      'duplicate-arguments-array': true,
      'parse-numbers': false,
      'parse-positional-numbers': false,
      'strip-aliased': true,
    })
    .help(false)
    .version(false)
    .exitProcess(false)
    .fail((message: string | null, error: Error | undefined) => {
      throw new UsageError(missingValue(message) ?? error?.message ?? 'Invalid command line')
    })
  for (const [name, { doc, short, value }] of Object.entries<Flag>(FLAGS)) {
    parser = parser.option(name, { describe: doc, alias: short, ...valueShape(value), group: 'General:' })
  }
  for (const section of SECTIONS) {
    for (const name of OPTION_NAMES.filter((option) => optionRow(option).section === section)) {
      const row = optionRow(name)
      const shape = valueShape(row.kind === 'bool' ? undefined : row.kind)
      const describe = `${row.doc} ${defaultText(row)}`
      parser = parser.option(flagName(name), { describe, alias: row.short, ...shape, group: `[${section}]:` })
      for (const alias of row.aliases ?? []) parser = parser.option(flagName(alias), { ...shape, hidden: true })
    }
  }
  return parser
}

function valueShape(value: string | undefined) {
  return value === undefined ? ({ type: 'boolean' } as const) : ({ type: 'string', requiresArg: true } as const)
}

function defaultText(row: OptionRow): string {
  const choices = row.kind === 'enum' ? `One of ${row.values.join(', ')}. ` : ''
  if (row.kind === 'bool') return `[${row.default ? 'on' : 'off'}]`
  if (row.kind === 'duration') return `${choices}[${formatDuration(row.default)}]`
  const text = String(row.default)
  return text === '' ? choices.trim() : `${choices}[${text}]`
}

/** yargs: "Not enough arguments following: listen-port" */
function missingValue(message: string | null): string | undefined {
  const name = /^Not enough arguments following: (.+)$/.exec(message ?? '')?.[1]
  if (name === undefined) return message ?? undefined
  const flag = name.length === 1 ? `-${name}` : `--${name}`
  return `${flag} needs a value. Where the value begins with a dash, write ${name.length === 1 ? flag : `${flag}=`}VALUE`
}

function knownNames(): Map<string, Known> {
  const known = new Map<string, Known>()
  for (const [name, { short, value }] of Object.entries<Flag>(FLAGS)) {
    const entry = { flag: name as FlagName, takesValue: value !== undefined }
    for (const key of [name, short]) if (key !== undefined) known.set(key, entry)
  }
  for (const option of OPTION_NAMES) {
    const { aliases = [], short, kind } = optionRow(option)
    const entry = { option, takesValue: kind !== 'bool' }
    for (const key of [option, ...aliases].map(flagName)) known.set(key, entry)
    if (short !== undefined) known.set(short, entry)
  }
  return known
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
