/** The completion of fish. Pure. */
import { COMMANDS } from '../flags.ts'
import { SHELLS } from './shells.ts'
import { COMMAND_WORDS, OPTION_WORDS, type OptionWord, PHRASES, SECOND_WORDS, TAKING_VALUES, VERBS } from './words.ts'

const MANUAL = `# Completion of pgbun for fish. Keep it:  pgbun completion fish >~/.config/fish/completions/pgbun.fish
# or load it:  pgbun completion fish | source`

export function fishScript(): string {
  const commands = Object.keys(COMMANDS).join(' ')
  const seconds = [...SECOND_WORDS].filter(([, words]) => words.length > 0)
  return `${MANUAL}

# The words before the one that is typed, without options.
function __pgbun_words
    set -l found
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip -eq 1
            set skip 0
        else if contains -- $word ${TAKING_VALUES.join(' ')}
            set skip 1
        else if not string match -q -- '-*' $word
            set -a found $word
        end
    end
    printf '%s\\n' $found
end

# The command is $argv[1], and $argv[2] words of it are there; $argv[3] is the first of them, if it is given.
function __pgbun_at
    set -l words (__pgbun_words)
    test (count $words) -eq (math $argv[2] + 1); or return 1
    test "$words[1]" = $argv[1]; or return 1
    test -z "$argv[3]"; or test (string upper -- "$words[2]") = $argv[3]
end

complete -c pgbun -f
${COMMAND_WORDS.map(([name, doc]) => `complete -c pgbun -n 'not __fish_seen_subcommand_from ${commands}' -a ${name} -d ${quoted(doc)}`).join('\n')}
${OPTION_WORDS.flatMap(linesOf).join('\n')}
complete -c pgbun -n '__pgbun_at completion 0' -a '${SHELLS.join(' ')}'
complete -c pgbun -n '__pgbun_at ctl 0' -a '${[...VERBS, ...PHRASES.filter((phrase) => phrase.includes(' ')).map((phrase) => phrase.replace(' ', '\\ '))].join(' ')}'
${seconds.map(([verb, words]) => `complete -c pgbun -n '__pgbun_at ctl 1 ${verb}' -a '${words.join(' ')}'`).join('\n')}
`
}

function linesOf({ long, short, doc, value, off, commands }: OptionWord): string[] {
  const where = commands === undefined ? '' : ` -n '__fish_seen_subcommand_from ${commands.join(' ')}'`
  const start = commands?.includes('start') ? ` -n 'not __fish_seen_subcommand_from ${others(commands)}'` : where
  const letter = short === undefined ? '' : ` -s ${short.slice(1)}`
  const line = `complete -c pgbun${start} -l ${long.slice(2)}${letter}${behind(value)} -d ${quoted(doc)}`
  return off === undefined ? [line] : [line, `complete -c pgbun${start} -l ${off.slice(2)} -d ${quoted(doc)}`]
}

/** Without a command it is `start`, which nobody types. */
function others(commands: readonly string[]): string {
  return Object.keys(COMMANDS)
    .filter((command) => !commands.includes(command))
    .join(' ')
}

function behind(value: OptionWord['value']): string {
  if (value === undefined) return ''
  if (value.kind === 'words') return ` -x -a '${value.words.join(' ')}'`
  if (value.kind === 'file') return ' -r -F'
  return value.kind === 'directory' ? " -x -a '(__fish_complete_directories)'" : ' -x'
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
