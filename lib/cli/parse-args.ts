/**
 * The arguments of the command line -> what is asked for. Every mistake is a UsageError (exit code 2).
 *
 * Of an option that is given twice the last one counts; every value is checked all the same. A word is a command, or a
 * server that shows by its form that it is one: anything else would make a mistyped command the name of a host. Pure.
 */
import { convertValue } from '../config/convert.ts'
import { nearestNames } from '../config/nearest-name.ts'
import { OPTION_NAMES, type OptionName } from '../config/options.ts'
import { ConfigError, formatProblem, type RawValue } from '../config/raw-value.ts'
import { parseServerArgument } from '../config/server-url.ts'
import { userFault } from '../config/userlist.ts'
import type { Shell } from './completion/shells.ts'
import { checkFlags, checkUrl, readPlace, readSeconds, readShell } from './console-args.ts'
import { COMMANDS, type Command, type FlagName, flagName, OTHER_COMMANDS } from './flags.ts'
import { PASSWORD_REMEDY, printable, splitArgs, UsageError } from './split-args.ts'

export { UsageError } from './split-args.ts'

/** What the command line asks for. */
export interface CliRequest {
  command: Command
  /** The user of `hash-password`, if one is named. */
  user: string | undefined
  /** Values of options, for resolveConfig. */
  values: RawValue[]
  configFile: string | undefined
  env: boolean
  dryRun: boolean
  daemon: boolean
  reboot: boolean
  embedded: boolean
  json: boolean
  /** The statement of `ctl`; empty where none is given. */
  statement: string
  /** The shell of `completion`, if one is named. */
  shell: Shell | undefined
  /** The console to talk to. */
  url: string | undefined
  /** Milliseconds between two looks at it. */
  everyMs: number | undefined
  /** The command line says where pgbun listens, by an option or a file. */
  saysWhere: boolean
}

type Word = { text: string; behind: string | undefined }

/** The arguments as they are taken one after the other. */
class Arguments {
  readonly words: Word[] = []
  readonly #flags = new Map<FlagName, string | boolean>()
  readonly #values = new Map<OptionName, RawValue>()

  /** @throws UsageError */
  constructor(argv: readonly string[]) {
    for (const argument of splitArgs(argv)) {
      if (argument.kind === 'word') this.words.push(argument)
      else if (argument.kind === 'option') this.set(argument.option, argument.value, argument.where)
      else this.#take(argument.flag, argument.value, argument.where)
    }
  }

  #take(flag: FlagName, value: string | boolean, where: string): void {
    if (flag !== 'verbose' && flag !== 'quiet') this.#flags.set(flag, value)
    else if (value) this.set('log_level', flag === 'verbose' ? 'debug' : 'error', where)
    else if (this.get('log_level')?.source.where === where) this.#values.delete('log_level')
  }

  set(name: OptionName, value: string | boolean, where: string): void {
    const converted = convertValue(name, value, 'command line')
    if ('message' in converted) throw new UsageError(`${where}: ${converted.message}`)
    this.#values.set(name, { name, value, source: { kind: 'command line', where } })
  }

  /** An option that was given. */
  get(name: OptionName): RawValue | undefined {
    return this.#values.get(name)
  }

  on(name: FlagName): boolean {
    return this.#flags.get(name) === true
  }

  /** Whether it was given; a switch, whether it is on. */
  isGiven(name: FlagName): boolean {
    return (this.#flags.get(name) ?? false) !== false
  }

  /** The value of a flag that takes one. */
  text(name: FlagName): string | undefined {
    return this.#flags.get(name) as string | undefined
  }

  get configFile(): string | undefined {
    return this.text('config')
  }

  get values(): RawValue[] {
    return [...this.#values.values()]
  }
}

/** Parse the arguments after the program's name. Throws UsageError. */
export function parseArgs(argv: readonly string[]): CliRequest {
  const given = new Arguments(argv)
  const { words } = given
  const command = given.on('help') ? 'help' : given.on('version') ? 'version' : takeCommand(words)
  const user = command === 'hash-password' ? readUser(words) : undefined
  const statement =
    command === 'ctl'
      ? words
          .splice(0)
          .map(({ text }) => text)
          .join(' ')
      : ''
  const place = command === 'top' ? readPlace(words.splice(0), given.text('url')) : given.text('url')
  const shell = command === 'completion' ? readShell(words.splice(0)) : undefined
  if (command !== 'help' && command !== 'hash-password' && words.length > 0) {
    for (const { name, value, source } of readServer(command, words)) {
      const other = given.get(name)
      if (other) throw new UsageError(`${other.source.where} and ${source.where} both set ${name}. Give one of them`)
      given.set(name, value as string, source.where)
    }
  }
  refuseContradictions(command, given)
  const everyFlag = given.text('watch') === undefined ? 'interval' : 'watch'
  const every = given.text(everyFlag)
  return {
    command,
    user,
    values: given.values,
    configFile: given.configFile,
    env: given.on('env'),
    dryRun: given.on('dry-run'),
    daemon: given.on('daemon'),
    reboot: given.on('reboot'),
    embedded: given.on('embedded'),
    json: given.on('json'),
    statement,
    shell,
    url: place === undefined ? undefined : checkUrl(place),
    everyMs: every === undefined ? undefined : readSeconds(everyFlag, every),
    saysWhere: given.configFile !== undefined || WHERE_IT_LISTENS.some((name) => given.get(name) !== undefined),
  }
}

const WHERE_IT_LISTENS = ['listen_host', 'listen_port', 'unix_socket_dir'] as const satisfies OptionName[]

/** @throws UsageError where flags do not go together with what else is given */
function refuseContradictions(command: Command, given: Arguments): void {
  if (given.configFile === '') throw new UsageError('--config needs the name of a file')
  checkFlags(command, (flag) => given.isGiven(flag))
  if (given.on('embedded') && command === 'doctor')
    throw new UsageError(
      '--embedded brings its own server when it starts, so there is none for "pgbun doctor" to check',
    )
  if (given.on('reboot') && given.on('embedded'))
    throw new UsageError('--reboot takes over from a pgbun that runs, and --embedded cannot: its server ends with it')
  const server = given.get('server_host') ?? given.get('server_port')
  if (given.on('embedded') && server) {
    throw new UsageError(`--embedded brings its own server, so ${server.source.where} cannot be used with it`)
  }
}

/** The command, which is the first word; taken out of `words`. A server alone means start. */
function takeCommand(words: Word[]): Command {
  const first = words[0]?.text
  if (first === undefined || !Object.hasOwn(COMMANDS, first)) return 'start'
  words.shift()
  return first as Command
}

/** The user of `hash-password`. Nothing is repeated: it may be a password. @throws UsageError */
function readUser([first, extra]: Word[]): string | undefined {
  if (extra !== undefined) throw new UsageError(`Unexpected argument after the user name. ${PASSWORD_REMEDY}`)
  if (first === undefined) return undefined
  const { text } = first
  if (text.includes(':')) {
    throw new UsageError(
      `A user name with a colon looks like user:password. ${PASSWORD_REMEDY}. ` +
        'If the name has a colon, leave it out and write the line of auth_file around the verifier',
    )
  }
  const fault = userFault(text)
  if (fault !== undefined) throw new UsageError(`hash-password: ${fault}`)
  return text
}

function readServer(command: Command, [first, extra]: Word[]): RawValue[] {
  const { text, behind } = first!
  if (command !== 'version' && !looksLikeServer(text)) throw new UsageError(notAServer(text, behind).join('\n'))
  if (extra !== undefined || command === 'version') {
    // Not repeated: what is unexpected may be a password.
    throw new UsageError(`Unexpected argument after ${command}. Usage: pgbun [command] [server] [options]`)
  }
  try {
    return parseServerArgument(text)
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(error.problems.map(formatProblem).join('\n'))
    throw error
  }
}

/** Whether a word can only be meant as a server: a host of one word without anything else is not taken for one. */
function looksLikeServer(word: string): boolean {
  if (isFileName(word)) return false
  return word === '' || /[./:@,]/.test(word) || word.toLowerCase() === 'localhost'
}

/** Whether a word is the name of a configuration file rather than that of a host. */
function isFileName(word: string): boolean {
  return /\.(toml|ini|conf|cfg|json|ya?ml)$/i.test(word) && !/^\w+:\/\//.test(word)
}

/** What is wrong with a word that is neither a command nor a server, in lines. */
function notAServer(word: string, behind: string | undefined): string[] {
  const shown = printable(word)
  if (isFileName(word))
    return [`'${shown}' is no server. A configuration file is named with --config: --config ${shown}`]
  const remedy = `Commands: ${Object.keys(COMMANDS).join(', ')}`
  // A name that cannot be a host is not worth a line on how to name a host.
  const host = /^\w[\w-]*$/.test(word) ? `. A server of that name: --server-host ${word} or postgres://${word}` : ''
  return [`${wordFault(word, shown, behind)}`, `${remedy}${host}`]
}

function wordFault(word: string, shown: string, behind: string | undefined): string {
  if (behind?.startsWith('--no-')) return `${behind} takes no value, and '${shown}' is no command`
  if (behind !== undefined && OPTION_NAMES.some((name) => behind === `--${flagName(name)}`)) {
    return `${behind}: Invalid value '${shown}'. Must be true or false`
  }
  const unknown = `Unknown command '${shown}'`
  const lower = word.toLowerCase()
  if (Object.hasOwn(OTHER_COMMANDS, lower)) return `${unknown}. ${OTHER_COMMANDS[lower]}`
  if (/^[\u2010-\u2015\u2212]/.test(word))
    return `${unknown}. It begins with a long dash; options begin with two hyphens: --`
  if (/^\d+$/.test(word))
    return `${unknown}. A port of localhost is written :${shown}; the port to listen on, -p ${shown}`
  const setting = /^(\w+)=/.exec(word)?.[1]
  if (setting !== undefined) return `${unknown}. Options begin with two hyphens: --${flagName(setting)}=VALUE`
  const near = nearestNames(word, Object.keys(COMMANDS))
  return near.length > 0 ? `${unknown}. Did you mean ${near.join(' or ')}?` : unknown
}
