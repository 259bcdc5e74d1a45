/** The completion of bash, from 3.2 on, which macOS has. Pure. */
import { COMMANDS, type Command } from '../flags.ts'
import { SHELLS } from './shells.ts'
import { COMMAND_WORDS, goesWith, OPTION_WORDS, PHRASES, SECOND_WORDS, TAKING_VALUES, VERBS } from './words.ts'

const MANUAL = `# Completion of pgbun for bash. Load it with:  source <(pgbun completion bash)
# or keep it:  pgbun completion bash >/etc/bash_completion.d/pgbun`

/** All words are known: letters, digits, dashes, underscores. They need no quotes. */
export function bashScript(): string {
  const values = OPTION_WORDS.flatMap(({ long, short, value }) => {
    if (value === undefined) return []
    const pattern = short === undefined ? long : `${short}|${long}`
    if (value.kind === 'words') return [`    ${pattern}) _pgbun_words '${value.words.join(' ')}' "$cur"; return ;;`]
    if (value.kind === 'other') return [`    ${pattern}) return ;;`]
    return [`    ${pattern}) _pgbun_files -${value.kind === 'file' ? 'f' : 'd'} "$cur"; return ;;`]
  })
  const options = (Object.keys(COMMANDS) as Command[]).map((command) => {
    const names = OPTION_WORDS.filter((option) => goesWith(option, command)).flatMap(({ long, off }) => [long, off])
    return `      ${command}) _pgbun_words '${names.filter((name) => name !== undefined).join(' ')}' "$cur" ;;`
  })
  const seconds = [...SECOND_WORDS].map(
    ([verb, words]) => `        ${verb}) _pgbun_words '${words.join(' ')}' "$typed" ;;`,
  )
  return `${MANUAL}

_pgbun_words() {
  local IFS=$' \\t\\n'
  COMPREPLY=( $(compgen -W "$1" -- "$2") )
}

_pgbun_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=( $(compgen "$1" -- "$2") )
}

# Whole statements, whose spaces are part of one word: the quote is there already.
_pgbun_phrases() {
  local IFS=$'\\n'
  COMPREPLY=( $(compgen -W "$1" -- "$2") )
}

_pgbun() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} command= first= typed word i
  COMPREPLY=()
  # bash takes --name=value for three words.
  if [ "$cur" = '=' ]; then
    cur=
  elif [ "$prev" = '=' ] && [ "$COMP_CWORD" -gt 2 ]; then
    prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  case $prev in
${values.join('\n')}
  esac
  for (( i = 1; i < COMP_CWORD; i++ )); do
    word=\${COMP_WORDS[i]}
    case $word in
      ${TAKING_VALUES.join('|')})
        i=$(( i + 1 ))
        [ "\${COMP_WORDS[i]}" = '=' ] && i=$(( i + 1 ))
        ;;
      -*) ;;
      *)
        if [ -z "$command" ]; then command=$word; elif [ -z "$first" ]; then first=$word; else first="$first "; fi
        ;;
    esac
  done
  case $cur in
    -*)
      case \${command:-start} in
${options.map((line) => `  ${line}`).join('\n')}
      esac
      return
      ;;
  esac
  case $command in
    '') _pgbun_words '${COMMAND_WORDS.map(([name]) => name).join(' ')}' "$cur" ;;
    completion) [ -z "$first" ] && _pgbun_words '${SHELLS.join(' ')}' "$cur" ;;
    ctl)
      typed=$(printf %s "$cur" | tr '[:lower:]' '[:upper:]')
      first=$(printf %s "$first" | tr '[:lower:]' '[:upper:]')
      case $first:$typed in
        :[\\'\\"]*) _pgbun_phrases '${PHRASES.join('\n')}' "\${typed#?}" ;;
        :*) _pgbun_words '${VERBS.join(' ')}' "$typed" ;;
        SET:*) typed=$cur ;;
      esac
      case $first in
${seconds.join('\n')}
      esac
      ;;
  esac
}

complete -F _pgbun pgbun
`
}
