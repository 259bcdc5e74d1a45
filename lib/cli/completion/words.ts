/** What can be typed on the command line, from the tables, in the form that the scripts of all shells need. Pure. */
import { consoleHelp } from '../../admin/topics.ts'
import { OPTION_NAMES, optionRow } from '../../config/options.ts'
import { ASKING, COMMANDS, type Command, FLAGS, type Flag, flagName, START_FLAGS } from '../flags.ts'

/** What an option wants behind it. */
export type Value = { kind: 'words'; words: readonly string[] } | { kind: 'file' | 'directory' | 'other' }

export interface OptionWord {
  /** With its dashes, as all names here. */
  long: string
  short: string | undefined
  doc: string
  /** undefined for a switch. */
  value: Value | undefined
  /** The name that turns a switch off. */
  off: string | undefined
  /** Commands that it goes with; undefined for all. */
  commands: readonly Command[] | undefined
}

export const COMMAND_WORDS: readonly (readonly [string, string])[] = Object.entries(COMMANDS)

const DOERS = (Object.keys(COMMANDS) as Command[]).filter((command) => !ASKING.has(command))

/** Flags and options, in the order of the tables. */
export const OPTION_WORDS: readonly OptionWord[] = [
  ...Object.entries<Flag>(FLAGS).map(([name, { doc, short, value, commands }]): OptionWord => {
    const ofStart = (START_FLAGS as readonly string[]).includes(name)
    return {
      long: `--${name}`,
      short: short && `-${short}`,
      doc,
      value: value === undefined ? undefined : { kind: value === 'file' ? 'file' : 'other' },
      off: undefined,
      commands: commands ?? (ofStart ? DOERS : undefined),
    }
  }),
  ...OPTION_NAMES.map((name): OptionWord => {
    const { doc, short, kind } = optionRow(name)
    const long = `--${flagName(name)}`
    const off = kind === 'bool' ? `--no-${flagName(name)}` : undefined
    return { long, short: short && `-${short}`, doc, value: valueBehind(name), off, commands: undefined }
  }),
]

function valueBehind(name: (typeof OPTION_NAMES)[number]): Value | undefined {
  const row = optionRow(name)
  if (row.kind === 'bool') return undefined
  if (row.kind === 'enum') return { kind: 'words', words: row.values }
  if (row.kind === 'file' || name.endsWith('_file')) return { kind: 'file' }
  return { kind: name.endsWith('_dir') ? 'directory' : 'other' }
}

/** Names of what takes a value in the next word. */
export const TAKING_VALUES: readonly string[] = OPTION_WORDS.filter(({ value }) => value !== undefined).flatMap(
  ({ long, short }) => (short === undefined ? [long] : [short, long]),
)

/** Whether the option goes with the command. */
export function goesWith({ commands }: OptionWord, command: Command): boolean {
  return commands === undefined || commands.includes(command)
}

/** The console's commands as they are typed: what is only a placeholder in its help is left out. */
const STATEMENTS = consoleHelp()
  .map(([command]) => command.split(' ').filter((word) => /^[A-Z_]+$/.test(word)))
  .filter((words) => words.join(' ') !== 'SHOW WHERE ORDER BY LIMIT')

/** First words of statements. */
export const VERBS: readonly string[] = [...new Set(STATEMENTS.map(([verb]) => verb!))]

/** Second words, by the first. */
export const SECOND_WORDS: ReadonlyMap<string, readonly string[]> = new Map([
  ...VERBS.map((verb): [string, string[]] => [
    verb,
    STATEMENTS.flatMap(([first, second]) => (first === verb && second !== undefined ? [second] : [])),
  ]),
  ['SET', OPTION_NAMES.filter((name) => optionRow(name).reload)],
])

/** Statements of one and two words, for who types them in quotes. */
export const PHRASES: readonly string[] = [...new Set(STATEMENTS.map((words) => words.join(' ')))]
