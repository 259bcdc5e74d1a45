/** The completion of zsh: a function for its _arguments. Pure. */
import { COMMANDS, type Command } from '../flags.ts'
import { SHELLS } from './shells.ts'
import {
  COMMAND_WORDS,
  goesWith,
  OPTION_WORDS,
  type OptionWord,
  PHRASES,
  SECOND_WORDS,
  TAKING_VALUES,
  VERBS,
} from './words.ts'

const MANUAL = `#compdef pgbun
# Completion of pgbun for zsh. Keep it in a directory of fpath:  pgbun completion zsh >"\${fpath[1]}/_pgbun"
# or load it behind compinit:  source <(pgbun completion zsh)`

export function zshScript(): string {
  const names = Object.keys(COMMANDS) as Command[]
  const all = OPTION_WORDS.filter((option) => names.every((command) => goesWith(option, command))).flatMap(specsOf)
  const some = names.map((command) => {
    const own = OPTION_WORDS.filter((option) => goesWith(option, command) && option.commands !== undefined)
    return `    ${command}) specs+=(${own.flatMap(specsOf).join(' ')}) ;;`
  })
  const seconds = [...SECOND_WORDS].filter(([, words]) => words.length > 0)
  return `${MANUAL}

_pgbun_statement() {
  local -a verbs phrases
  verbs=(${VERBS.join(' ')})
  phrases=(${PHRASES.map(quoted).join(' ')})
  if (( $# == 0 )); then
    _alternative "statements:statement:compadd -M 'm:{a-z}={A-Z}' -a verbs" "phrases:statement:compadd -M 'm:{a-z}={A-Z}' -a phrases"
    return
  fi
  (( $# == 1 )) || return
  case \${(U)1} in
${seconds.map(([verb, words]) => `    ${verb}) compadd -M 'm:{a-z}={A-Z}' -- ${words.join(' ')} ;;`).join('\n')}
  esac
}

_pgbun() {
  local curcontext=$curcontext state line command word skip=
  local -a specs commands typed
  typeset -A opt_args
  commands=(
${COMMAND_WORDS.map(([name, doc]) => `    ${quoted(`${name}:${doc}`)}`).join('\n')}
  )
  # The words before this one, without options and their values.
  for word in \${words[2,CURRENT-1]}; do
    if [[ -n $skip ]]; then skip=; continue; fi
    case $word in
      ${TAKING_VALUES.join('|')}) skip=1 ;;
      -*) ;;
      *) typed+=($word) ;;
    esac
  done
  command=$typed[1]
  if [[ -z $skip && $words[CURRENT] != -* ]]; then
    case $command in
      ctl) _pgbun_statement $typed[2,-1]; return ;;
      completion) (( $#typed == 1 )) && compadd -- ${SHELLS.join(' ')}; return ;;
    esac
  fi
  specs=(
${all.map((spec) => `    ${spec}`).join('\n')}
  )
  case \${command:-start} in
${some.join('\n')}
  esac
  _arguments -C -s $specs '1: :->command' '*: :->rest'
  [[ $state = command ]] && _describe -t commands command commands
}

if [ "$funcstack[1]" = _pgbun ]; then
  _pgbun "$@"
else
  compdef _pgbun pgbun
fi
`
}

function specsOf({ long, short, doc, value, off }: OptionWord): string[] {
  const described = `[${doc.replace(/[[\]\\:]/g, '\\$&')}]`
  const behind = value === undefined ? '' : `:${action(value)}`
  const specs = [quoted(`${long}${value === undefined ? '' : '='}${described}${behind}`)]
  if (short !== undefined) specs.push(quoted(`${short}${value === undefined ? '' : '+'}${described}${behind}`))
  if (off !== undefined) specs.push(quoted(`${off}${described}`))
  return specs
}

function action(value: NonNullable<OptionWord['value']>): string {
  if (value.kind === 'words') return `value:(${value.words.join(' ')})`
  if (value.kind === 'file') return 'file:_files'
  return value.kind === 'directory' ? 'directory:_files -/' : 'value: '
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}
