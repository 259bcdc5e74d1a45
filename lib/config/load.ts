/**
 * Every source of configuration -> the one frozen Config, or every problem at once.
 *
 * Precedence, highest first: the library's options, the command line, the environment, the TOML file, defaults. A
 * value that is overridden is still checked: a mistake that hides until a flag is dropped is worse.
 * Called at start, for `pgbun config` and `--dry-run`, at every reload, and by the library.
 */
import { readFileSync } from 'node:fs'
import { systemErrorText } from '../util/system-error.ts'
import { checkConfig } from './checks.ts'
import { convertValue } from './convert.ts'
import { readEnvironment } from './env.ts'
import {
  type Config,
  findOption,
  OPTION_NAMES,
  type OptionName,
  optionRow,
  SCOPED_GROUPS,
  SCOPED_OPTIONS,
  type ScopedGroup,
  type ScopedValues,
} from './options.ts'
import type { PoolerOptions } from './pooler-options.ts'
import { ConfigError, formatProblem, type RawValue, type RawValues, type Source } from './raw-value.ts'
import { suggestOption } from './suggest-option.ts'
import { readToml } from './toml.ts'
import { camelCase, type OptionValue } from './types.ts'
import { formatDuration } from './units.ts'

/** Where to look for values; what is absent is not looked at. */
export interface ConfigInput {
  /** Options given in code. */
  options?: PoolerOptions
  /** Values of flags and of the server argument. */
  cli?: readonly RawValue[]
  /** Environment variables; only PGBUN_* are looked at. */
  env?: Readonly<Record<string, string | undefined>>
  /** Path of a TOML file. */
  file?: string
}

/** The effective configuration and where each value of it comes from. */
export interface ResolvedConfig {
  config: Config
  sources: Readonly<Record<OptionName, Source>>
  /** For the log. */
  warnings: string[]
}

const DEFAULT_SOURCE: Source = Object.freeze({ kind: 'default', where: '' })

/** Merge and check all sources. Throws ConfigError with every problem found. Reads the file and checks others exist. */
export function resolveConfig({ options, cli, env, file }: ConfigInput): ResolvedConfig {
  const layers: RawValues[] = [
    ...(file === undefined ? [] : [readConfigFile(file)]),
    ...(env ? [readEnvironment(env)] : []),
    ...(cli ? [{ values: [...cli], problems: [], warnings: [] }] : []),
    ...(options ? [readOptions(options)] : []),
  ]
  const problems = layers.flatMap((layer) => layer.problems)
  const warnings = layers.flatMap((layer) => layer.warnings)

  const values = new Map<OptionName, OptionValue>(OPTION_NAMES.map((name) => [name, optionRow(name).default]))
  const sources = Object.fromEntries(OPTION_NAMES.map((name) => [name, DEFAULT_SOURCE])) as Record<OptionName, Source>
  const scoped: Record<ScopedGroup, Map<string, ScopedValues>> = { databases: new Map(), users: new Map() }
  for (const { name, value, source, scope } of layers.flatMap((layer) => layer.values)) {
    const converted = convertValue(name, value, source.kind)
    if ('message' in converted) {
      problems.push({ where: source.where, message: converted.message })
      continue
    }
    if (scope) {
      const before = scoped[scope.group].get(scope.target)
      scoped[scope.group].set(scope.target, Object.freeze({ ...before, [camelCase(name)]: converted.value }))
      continue
    }
    values.set(name, converted.value)
    sources[name] = source
    const doubt = doubtfulUnit(name, value)
    if (doubt && source.kind !== 'library') warnings.push({ where: source.where, message: doubt })
  }
  if (sources.auth_type.kind === 'default' && values.get('auth_file') !== '') values.set('auth_type', 'scram-sha-256')

  const config = Object.freeze({
    ...Object.fromEntries(OPTION_NAMES.map((name) => [camelCase(name), values.get(name)])),
    ...scoped,
  }) as unknown as Config
  const checked = checkConfig(config, sources)
  problems.push(...checked.problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return { config, sources: Object.freeze(sources), warnings: [...warnings, ...checked.warnings].map(formatProblem) }
}

function readConfigFile(path: string): RawValues {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const message =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? `Configuration file not found: ${path}`
        : `Configuration file cannot be read: ${path}: ${systemErrorText(error)}`
    // Nothing else can be said about a configuration whose file is missing.
    throw new ConfigError([{ where: '', message }])
  }
  return readToml(text, path)
}

function readOptions(options: PoolerOptions): RawValues {
  const found: RawValues = { values: [], problems: [], warnings: [] }
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined) continue
    if ((SCOPED_GROUPS as readonly string[]).includes(key)) {
      readScopedOptions(key as ScopedGroup, value as PoolerOptions[ScopedGroup], found)
      continue
    }
    const name = OPTION_NAMES.find((candidate) => camelCase(candidate) === key)
    if (name) {
      found.values.push({ name, value, source: { kind: 'library', where: key } })
      continue
    }
    const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
    const known = findOption(snake)
    const remedy = known ? `Write ${camelCase(known)}` : suggestOption(snake, camelCase)
    found.problems.push({ where: key, message: `Unknown option. ${remedy}` })
  }
  return found
}

function readScopedOptions(group: ScopedGroup, tables: PoolerOptions[ScopedGroup], found: RawValues): void {
  for (const [target, table] of Object.entries(tables ?? {})) {
    for (const [key, value] of Object.entries(table ?? {})) {
      if (value === undefined) continue
      const where = `${group}.${target}.${key}`
      const name = SCOPED_OPTIONS.find((candidate) => camelCase(candidate) === key)
      if (name) found.values.push({ name, value, source: { kind: 'library', where }, scope: { group, target } })
      else {
        const known = SCOPED_OPTIONS.map(camelCase).join(', ')
        found.problems.push({ where, message: `Not an option of one database or user. Only ${known} can be set there` })
      }
    }
  }
}

/** PgBouncer's plain numbers are seconds: "query_wait_timeout = 120" is probably not meant to be 120 milliseconds. */
function doubtfulUnit(name: OptionName, value: unknown): string | undefined {
  if (optionRow(name).kind !== 'duration') return undefined
  const plain = typeof value === 'number' ? value : /^\d+$/.test(String(value)) ? Number(value) : 0
  if (!(plain > 0 && plain < 1000)) return undefined
  return `${name} is ${plain} milliseconds. If that is meant, write "${plain}ms", otherwise "${formatDuration(plain * 1000)}"`
}
