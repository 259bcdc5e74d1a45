/**
 * What every way of configuring pgbun delivers: values as they were written, each with the place it was written at.
 * toml.ts, env.ts, server-url.ts and the command line produce them, resolve.ts converts and merges them.
 */
import type { OptionName, ScopedGroup, SettingName } from './options.ts'

/** Where a value comes from. `where` is what a person would search for: a path with its line, a variable, a flag. */
export interface Source {
  kind: 'default' | 'file' | 'environment' | 'command line' | 'library'
  where: string
  /** The value is that of an environment variable that is named there. */
  expanded?: boolean
}

/** A source as people would search for it. */
export function sourceText({ kind, where }: Source): string {
  if (kind === 'default') return 'default'
  return kind === 'file' || kind === 'library' ? where : `${kind} ${where}`
}

/** One value of a general option as written. */
export interface RawValue {
  name: OptionName
  value: unknown
  source: Source
}

/** One database or user with values of its own, which may be none. */
export interface RawScope {
  group: ScopedGroup
  /** Name of the database or user. */
  target: string
  source: Source
  values: { name: SettingName; value: unknown; source: Source }[]
}

/** Where the section of a database or user is, and each of its values. */
export interface ScopedSource {
  section: Source
  values: ReadonlyMap<SettingName, Source>
}

/** The same of all of them, by group and name. */
export type ScopedSources = Readonly<Record<ScopedGroup, ReadonlyMap<string, ScopedSource>>>

/** What is wrong with the configuration: where, and what with its remedy. */
export interface Problem {
  /** What a person would search for: a path with its line, a variable, a flag, an option; '' where there is no such place. */
  where: string
  message: string
}

/** The outcome of reading one source. */
export interface RawValues {
  values: RawValue[]
  /** In the order they are written in. */
  scopes?: RawScope[]
  problems: Problem[]
  warnings: Problem[]
}

/** One line for people. */
export function formatProblem({ where, message }: Problem): string {
  return where === '' ? message : `${where}: ${message}`
}

/** Thrown where the configuration cannot be used; carries every problem found, not only the first. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** The same for all of them; what is wrong is in `problems`. */
  readonly code = 'ERR_PGBUN_CONFIG'
  readonly problems: readonly Problem[]

  constructor(problems: readonly Problem[], options?: ErrorOptions) {
    super(problems.map(formatProblem).join('\n'), options)
    this.problems = problems
  }
}
