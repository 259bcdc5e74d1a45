/**
 * The arguments of the commands that talk to a console. A mistake is a UsageError. Pure.
 */

import { isShell, SHELLS, type Shell } from './completion/shells.ts'
import { ConsoleUrlError, pairHosts, parseConsoleUrl } from './console/console-url.ts'
import { ASKING, type Command, FLAGS, type Flag, type FlagName, START_FLAGS } from './flags.ts'
import { printable, UsageError } from './split-args.ts'

/** @throws UsageError where a flag does not go with the command */
export function checkFlags(command: Command, isGiven: (flag: FlagName) => boolean): void {
  if (command === 'help') return
  for (const [flag, { commands }] of Object.entries<Flag>(FLAGS)) {
    if (commands === undefined || commands.includes(command) || !isGiven(flag as FlagName)) continue
    const names = commands.map((name) => `"pgbun ${name}"`)
    const last = names.pop()!
    const which = names.length === 0 ? `command ${last}` : `commands ${names.join(', ')} and ${last}`
    throw new UsageError(`--${flag} belongs to the ${which}`)
  }
  if (!ASKING.has(command)) return
  for (const flag of START_FLAGS) {
    if (isGiven(flag)) throw new UsageError(`--${flag} belongs to "pgbun start", not to "pgbun ${command}"`)
  }
}

/** The URL of `top`, as a word or behind --url. @throws UsageError where there are two */
export function readPlace([first, extra]: readonly { text: string }[], url: string | undefined): string | undefined {
  // Not repeated: what is unexpected may be a password.
  if (extra !== undefined || (first !== undefined && url !== undefined))
    throw new UsageError('Unexpected argument after top. Usage: pgbun top [URL]')
  return first?.text ?? url
}

/** The URL of a console as it is given. @throws UsageError where it cannot be one */
export function checkUrl(url: string): string {
  try {
    const { host = '', port = '' } = parseConsoleUrl(url)
    pairHosts(host, port)
    return url
  } catch (error) {
    if (error instanceof ConsoleUrlError) throw new UsageError(error.message)
    throw error
  }
}

const SHORTEST = 0.1
const LONGEST = 86_400

/** Seconds -> milliseconds. @throws UsageError */
export function readSeconds(flag: FlagName, text: string): number {
  const seconds = /^\d{1,5}(?:\.\d{1,3})?s?$/.test(text) ? Number.parseFloat(text) : Number.NaN
  if (seconds >= SHORTEST && seconds <= LONGEST) return seconds * 1000
  throw new UsageError(`--${flag}: Invalid value '${printable(text)}'. Must be ${SHORTEST} to ${LONGEST} seconds`)
}

/** The shell that `completion` is for. @throws UsageError */
export function readShell(words: readonly { text: string }[]): Shell | undefined {
  const [first, extra] = words
  if (extra !== undefined) throw new UsageError('Unexpected argument after completion. Usage: pgbun completion [shell]')
  if (first === undefined) return undefined
  if (isShell(first.text)) return first.text
  throw new UsageError(`completion: Unknown shell '${printable(first.text)}'. Must be one of: ${SHELLS.join(', ')}`)
}
