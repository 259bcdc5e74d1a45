/**
 * Errors as a program meets them that uses the library: all that is wrong with its options, or with the files they name,
 * is a ConfigError, and options are called as in the program, in camelCase. Called by the entry of the library.
 */
import { OPTION_NAMES, type OptionName } from './options.ts'
import { ConfigError, type Problem } from './raw-value.ts'
import { camelCase } from './types.ts'

/** What startDaemon and its reload throw because of a configuration, by what it has: an option, a path, problems. */
interface FileFault extends Error {
  /** Of a certificate or key: the option at fault. */
  option?: string
  /** Of a user list: one for each line. */
  problems?: readonly string[]
  /** Of the file system. */
  path?: string
}

/** `error` as the library throws it. */
export function libraryError(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  if (error instanceof ConfigError) return new ConfigError(error.problems.map(inCamelCase))
  const { name, message, option, problems, path } = error as FileFault
  if (name === 'TlsConfigError') return asConfigError([{ where: camelCase(option ?? ''), message }], error)
  if (name === 'UserlistError') {
    return asConfigError(
      (problems ?? [message]).map((problem) => ({ where: 'authFile', message: problem })),
      error,
    )
  }
  if (name === 'ListenError') error.message = spellInCamelCase(message)
  // A file that was there when the options were checked.
  else if (path !== undefined) return asConfigError([{ where: '', message: `Cannot be read: ${message}` }], error)
  return error
}

/** Options that cannot change while the pooler runs. */
export function needsRestart(names: readonly OptionName[]): ConfigError {
  const message = 'Cannot change while the pooler runs: close it, and start another'
  return new ConfigError(names.map((name) => ({ where: camelCase(name), message })))
}

function asConfigError(problems: Problem[], cause: Error): ConfigError {
  return new ConfigError(problems.map(inCamelCase), { cause })
}

function inCamelCase({ where, message }: Problem): Problem {
  return { where, message: spellInCamelCase(message) }
}

/** Names of options as words of a sentence: neither quoted nor part of a path. */
const NAMES = new RegExp(
  `(?<![\\w/.'"=-])(?:${OPTION_NAMES.filter((name) => name.includes('_')).join('|')})(?![\\w/'"=-]|\\.\\w)`,
  'g',
)

function spellInCamelCase(message: string): string {
  return message.replace(NAMES, camelCase)
}
