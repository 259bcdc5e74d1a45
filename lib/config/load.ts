/**
 * Every source of configuration -> the one frozen Config, or every problem at once.
 *
 * Precedence, highest first: the library's options, the command line, the environment, the TOML file, defaults. A
 * value that is overridden is still checked: a mistake that hides until a flag is dropped is worse.
 * Called at start, for `pgbun config` and `--dry-run`, at every reload, and by the library.
 */
import { readFileSync } from 'node:fs'
import { atOnce, inTurns, type Steps } from '../util/steps.ts'
import { systemErrorText } from '../util/system-error.ts'
import { checkConfig } from './checks.ts'
import { convertValue } from './convert.ts'
import { readEnvironment } from './env.ts'
import { expandVariables } from './expand-variables.ts'
import {
  type Config,
  findOption,
  findScoped,
  OPTION_NAMES,
  type OptionName,
  optionRow,
  SCOPED_GROUPS,
  type ScopedGroup,
  type SettingName,
  settingRow,
} from './options.ts'
import type { PoolerOptions } from './pooler-options.ts'
import {
  ConfigError,
  formatProblem,
  type Problem,
  type RawScope,
  type RawValue,
  type RawValues,
  type ScopedSource,
  type ScopedSources,
  type Source,
} from './raw-value.ts'
import { scopedKeyProblem } from './scoped-key-problem.ts'
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
  /** Where the sections of databases and users are, and each value in them. */
  scopedSources: ScopedSources
  /** For the log. */
  warnings: string[]
}

const DEFAULT_SOURCE: Source = Object.freeze({ kind: 'default', where: '' })

/** Merge and check all sources. Throws ConfigError with every problem found. Reads the file and checks others exist. */
export function resolveConfig(input: ConfigInput): ResolvedConfig {
  return atOnce(resolving(input))
}

/** The same in turn with what else the process does: for a reload, whose clients are not to notice it. */
export function resolveConfigInTurns(input: ConfigInput): Promise<ResolvedConfig> {
  return inTurns(resolving(input))
}

function* resolving({ options, cli, env, file }: ConfigInput): Steps<ResolvedConfig> {
  const ofFile = file === undefined ? undefined : yield* expandVariables(yield* readConfigFile(file), env ?? {})
  const layers: RawValues[] = [
    ...(ofFile === undefined ? [] : [ofFile]),
    ...(env ? [readEnvironment(env)] : []),
    ...(cli ? [{ values: [...cli], problems: [], warnings: [] }] : []),
    ...(options ? [readOptions(options)] : []),
  ]
  const problems = layers.flatMap((layer) => layer.problems)
  const warnings = layers.flatMap((layer) => layer.warnings)

  const values = new Map<OptionName, OptionValue>(OPTION_NAMES.map((name) => [name, optionRow(name).default]))
  const sources = Object.fromEntries(OPTION_NAMES.map((name) => [name, DEFAULT_SOURCE])) as Record<OptionName, Source>
  for (const { name, value, source } of layers.flatMap((layer) => layer.values)) {
    const converted = convertValue(name, value, source.kind)
    if ('message' in converted) {
      problems.push({ where: source.where, message: converted.message })
      continue
    }
    values.set(name, converted.value)
    sources[name] = source
    const doubt = doubtfulUnit(name, value)
    if (doubt && source.kind !== 'library') warnings.push({ where: source.where, message: doubt })
  }
  const scopes = yield* resolveScopes(
    layers.flatMap((layer) => layer.scopes ?? []),
    problems,
    warnings,
  )
  if (sources.auth_type.kind === 'default' && values.get('auth_file') !== '') values.set('auth_type', 'scram-sha-256')

  const config = Object.freeze({
    ...Object.fromEntries(OPTION_NAMES.map((name) => [camelCase(name), values.get(name)])),
    ...scopes.values,
  }) as unknown as Config
  const checked = yield* checkConfig(config, sources, scopes.sources)
  problems.push(...checked.problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    config,
    sources: Object.freeze(sources),
    scopedSources: scopes.sources,
    warnings: [...warnings, ...checked.warnings].map(formatProblem),
  }
}

/** The values of databases and users, converted. */
function* resolveScopes(
  scopes: readonly RawScope[],
  problems: Problem[],
  warnings: Problem[],
): Steps<{ values: Record<ScopedGroup, Map<string, object>>; sources: ScopedSources }> {
  const values = { databases: new Map<string, object>(), users: new Map<string, object>() }
  const sources = { databases: new Map<string, ScopedSource>(), users: new Map<string, ScopedSource>() }
  for (const { group, target, source: section, values: raw } of scopes) {
    yield
    const found: Record<string, OptionValue | object> = {}
    const places = new Map<SettingName, Source>()
    for (const { name, value, source } of raw) {
      const asked = name === 'password' && typeof value === 'function' && source.kind === 'library'
      const converted = asked ? { value } : convertValue(name, value, source.kind)
      if ('message' in converted) {
        problems.push({ where: source.where, message: converted.message })
        continue
      }
      found[camelCase(name)] = converted.value
      places.set(name, source)
      const doubt = doubtfulUnit(name, value)
      if (doubt && source.kind !== 'library') warnings.push({ where: source.where, message: doubt })
    }
    values[group].set(target, Object.freeze(found))
    sources[group].set(target, { section, values: places })
  }
  return { values, sources }
}

function* readConfigFile(path: string): Steps<RawValues> {
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
  return yield* readToml(text, path)
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
  found.scopes ??= []
  for (const [target, table] of Object.entries(tables ?? {})) {
    const section = `${group}.${target}`
    const scope: RawScope = { group, target, source: { kind: 'library', where: section }, values: [] }
    found.scopes.push(scope)
    for (const [key, value] of Object.entries(table ?? {})) {
      if (value === undefined) continue
      const where = `${section}.${key}`
      const snake = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
      const name = findScoped(group, snake)
      if (name !== undefined && camelCase(name) === key) {
        scope.values.push({ name, value, source: { kind: 'library', where } })
      } else {
        const message =
          name === undefined
            ? scopedKeyProblem(group, snake, section, camelCase)
            : `Unknown option. Write ${camelCase(name)}`
        found.problems.push({ where, message })
      }
    }
  }
}

/** PgBouncer's plain numbers are seconds: "query_wait_timeout = 120" is probably not meant to be 120 milliseconds. */
function doubtfulUnit(name: SettingName, value: unknown): string | undefined {
  if (settingRow(name).kind !== 'duration') return undefined
  const plain = typeof value === 'number' ? value : /^\d+$/.test(String(value)) ? Number(value) : 0
  if (!(plain > 0 && plain < 1000)) return undefined
  return `${name} is ${plain} milliseconds. If that is meant, write "${plain}ms", otherwise "${formatDuration(plain * 1000)}"`
}
