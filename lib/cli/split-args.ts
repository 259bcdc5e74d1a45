/**
 * The arguments of the command line -> options, flags and words, in their order. Values are not judged here.
 *
 * `--name value`, `--name=value`, `-p6433`, `-p=6433`, `-p 6433`; a switch is on without a value, takes one of the words
 * for true and false (`--log-connections off`), and is turned off by `--no-`. Behind `--` everything is a word. Pure.
 */
import { parseBoolean } from '../config/convert.ts'
import { nearestNames } from '../config/nearest-name.ts'
import { OPTION_NAMES, type OptionName, optionRow } from '../config/options.ts'
import { suggestOption } from '../config/suggest-option.ts'
import { FLAGS, type Flag, type FlagName, flagName } from './flags.ts'

/** A mistake on the command line. The message may have several lines. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** One part of the command line. `where` is the long name, for messages. */
export type Argument =
  | { kind: 'option'; option: OptionName; value: string | boolean; where: string }
  | { kind: 'flag'; flag: FlagName; value: string | boolean; where: string }
  /** `behind` is the switch in front of the word, which the word may have been meant for. */
  | { kind: 'word'; text: string; behind: string | undefined }

interface Known {
  where: string
  takesValue: boolean
  target: { kind: 'option'; option: OptionName } | { kind: 'flag'; flag: FlagName }
}

/** What to do instead of a password on the command line. */
export const PASSWORD_REMEDY =
  'A password on the command line is seen in the list of processes and in the history of the shell: ' +
  '"pgbun hash-password USER" asks for it, or reads it from standard input'

/** Every long name and every letter. */
const KNOWN = knownNames()

/** Split the arguments after the program's name. Throws UsageError. */
export function splitArgs(argv: readonly string[]): Argument[] {
  const found: Argument[] = []
  const add = ({ target, where }: Known, value: string | boolean) => void found.push({ ...target, value, where })
  let behind: string | undefined
  let index = 0

  /** The value in the next argument, for an option that needs one. */
  const takeValue = (name: string): string => {
    const next = argv[index]
    if (next === undefined || (next.startsWith('-') && !/^-\d/.test(next))) {
      const form = name.startsWith('--') ? `${name}=VALUE` : `${name}VALUE`
      throw new UsageError(`${name} needs a value. Where the value begins with a dash, write ${form}`)
    }
    index++
    return next
  }
  /** What a switch without "=" is: on, or what the next argument says, where that is a word for true or false. */
  const takeSwitch = (known: Known): void => {
    const on = parseBoolean(argv[index])
    if (on === undefined) behind = known.where
    else index++
    add(known, on ?? true)
  }
  const readLetters = (argument: string): void => {
    for (let at = 1; at < argument.length; at++) {
      const letter = argument[at]!
      const known = KNOWN.get(letter)
      if (!known) throw new UsageError(unknownLetter(letter))
      const rest = argument.slice(at + 1)
      if (known.takesValue) add(known, rest === '' ? takeValue(`-${letter}`) : rest.replace(/^=/, ''))
      else if (rest.startsWith('=')) add(known, switchValue(known, rest.slice(1)))
      else if (rest === '') takeSwitch(known)
      else add(known, true)
      if (known.takesValue || rest.startsWith('=')) return
    }
  }
  const readLong = (argument: string): void => {
    const [name, value] = splitOnce(argument.slice(2))
    const known = KNOWN.get(name.length > 1 ? name : '')
    const negated = known || !name.startsWith('no-') ? undefined : KNOWN.get(name.slice(3))
    if (known?.takesValue) add(known, value ?? takeValue(`--${name}`))
    else if (known) value === undefined ? takeSwitch(known) : add(known, switchValue(known, value))
    else if (!negated) throw new UsageError(unknownOption(name))
    else if (negated.takesValue) throw new UsageError(`--${name}: only switches can be turned off with --no-`)
    else if (value !== undefined) throw new UsageError(`--${name} takes no value. Write ${negated.where}=VALUE`)
    else {
      add(negated, false)
      behind = `--${name}`
    }
  }

  while (index < argv.length) {
    const argument = argv[index++]!
    if (argument === '--') {
      for (const text of argv.slice(index)) found.push({ kind: 'word', text, behind: undefined })
      break
    }
    if (!/^-./.test(argument)) {
      found.push({ kind: 'word', text: argument, behind })
      behind = undefined
      continue
    }
    behind = undefined
    if (argument.startsWith('--')) readLong(argument)
    else readLetters(argument)
  }
  return found
}

function switchValue({ where }: Known, value: string): boolean {
  const on = parseBoolean(value)
  if (on === undefined) throw new UsageError(`${where}: Invalid value '${printable(value)}'. Must be true or false`)
  return on
}

function unknownLetter(letter: string): string {
  const remedy = letter === 'V' ? 'Did you mean --version?' : '"pgbun --help" lists all options'
  return `Unknown option -${printable(letter)}. ${remedy}`
}

function unknownOption(name: string): string {
  const base = name.replace(/^no-/, '')
  if (/^(pass(word|wd|phrase)?|pw)$/.test(base)) return `Unknown option --${name}. ${PASSWORD_REMEDY}`
  const prefix = base === name ? '--' : '--no-'
  const option = suggestOption(base.replaceAll('-', '_'), (near) => `${prefix}${flagName(near)}`, '')
  const flags = nearestNames(base, Object.keys(FLAGS)).map((flag) => `--${flag}`)
  const flag = flags.length > 0 ? `Did you mean ${flags.join(' or ')}?` : '"pgbun --help" lists all options'
  return `Unknown option --${printable(name)}. ${option || flag}`
}

/** Text of the command line as it may be shown on a terminal. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '?').slice(0, 60)
}

function knownNames(): Map<string, Known> {
  const known = new Map<string, Known>()
  for (const [name, { short, value }] of Object.entries<Flag>(FLAGS)) {
    const target = { kind: 'flag', flag: name as FlagName } as const
    const entry = { target, takesValue: value !== undefined, where: `--${name}` }
    for (const key of [name, short]) if (key !== undefined) known.set(key, entry)
  }
  for (const option of OPTION_NAMES) {
    const { aliases = [], short, kind } = optionRow(option)
    const entry = (name: string): Known => ({
      target: { kind: 'option', option },
      takesValue: kind !== 'bool',
      where: `--${flagName(name)}`,
    })
    for (const name of [option, ...aliases]) known.set(flagName(name), entry(name))
    if (short !== undefined) known.set(short, entry(option))
  }
  return known
}

function splitOnce(text: string): [string, string | undefined] {
  const at = text.indexOf('=')
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)]
}
