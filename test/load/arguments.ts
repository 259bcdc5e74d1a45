/** The command line and the environment of the load scripts. Pure. */
import { parseArgs } from 'node:util'
import { parseDuration } from '../../lib/config/units.ts'
import { POOL_MODES, type PoolMode, type Scenario } from './scenario.ts'

/** What is wrong with the arguments: the message names the option, its value and what is allowed. */
export class UsageError extends Error {}

/** Where pgbun listens, and who logs in there. */
export interface Address {
  host: string
  port: number
  user: string
  password: string | undefined
  database: string
}

export interface LoadArguments {
  mode: PoolMode
  scenario: string
  concurrency: number
  durationMs: number
  /** Of the pgbun that the script starts itself. */
  poolSize: number
  /** Undefined: the script starts PostgreSQL and pgbun itself. */
  address: Address | undefined
  help: boolean
}

/** One of the two scripts. */
export interface LoadTest {
  name: string
  /** The first that can be run in a mode is its default. */
  scenarios: Readonly<Record<string, Scenario>>
}

const LONGEST_MS = 24 * 3_600_000
const NAMES = ['mode', 'scenario', 'concurrency', 'duration', 'pool-size', 'help'] as const

/** The text of --help. */
export function usage({ name, scenarios }: LoadTest): string {
  const lines = Object.entries(scenarios).map(([scenario, { says }]) => `    ${scenario.padEnd(10)} ${says}`)
  return `npm run ${name} -- [options]

  --mode=MODE         pool mode: ${POOL_MODES.join(', ')} [transaction]
  --concurrency=N     clients at the same time, 1 to 200 [20]
  --duration=TIME     seconds, or a number with a unit: ms, s, min [60s]
  --scenario=NAME     what the clients do [the first that the mode can do]:
${lines.join('\n')}
  --pool-size=N       server connections of the pgbun that the script starts [10]
  --help              print this

With PGHOST the load goes to the pgbun there; PGPORT [6432], PGUSER [postgres], PGPASSWORD and PGDATABASE [the user's
name] say the rest, and PGBUN_LOG names a file with its log (log_format = "json"), from which its counters are read.
Without PGHOST the script starts a PostgreSQL and a pgbun of its own.

The result is one JSON document on standard output. Exit code: 0, 1 for any error or mix-up, 2 for a mistake in the
arguments, 130 after an interrupt.
`
}

/** @throws UsageError */
export function readArguments(test: LoadTest, args: readonly string[], env: NodeJS.ProcessEnv): LoadArguments {
  const values = readValues(args)
  const mode = oneOf('--mode', values.mode ?? 'transaction', POOL_MODES)
  const address = readAddress(env)
  if (address && values['pool-size'] !== undefined) {
    throw new UsageError(
      `--pool-size ${values['pool-size']}: is for the pgbun that the script starts; with PGHOST=${address.host} there is one`,
    )
  }
  return {
    mode,
    scenario: readScenario(test, values.scenario, mode),
    concurrency: whole('--concurrency', values.concurrency ?? '20', 1, 200),
    durationMs: readDuration(values.duration ?? '60s'),
    // 0 is for pgbun itself to refuse.
    poolSize: whole('--pool-size', values['pool-size'] ?? '10', 0, 500),
    address,
    help: values.help !== undefined,
  }
}

function readValues(args: readonly string[]): Partial<Record<(typeof NAMES)[number], string>> {
  const string = { type: 'string' } as const
  const { tokens } = parseArgs({
    args: [...args],
    options: { ...Object.fromEntries(NAMES.map((name) => [name, string])), help: { type: 'boolean', short: 'h' } },
    strict: false,
    tokens: true,
  })
  const values: Partial<Record<(typeof NAMES)[number], string>> = {}
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') throw new UsageError(`${token.value}: not understood. ${options()}`)
    const name = NAMES.find((known) => known === token.name)
    if (name === undefined) throw new UsageError(`${token.rawName}: unknown option. ${options()}`)
    if (name === 'help') {
      if (token.value !== undefined) throw new UsageError(`--help ${token.value}: takes no value`)
      values.help = ''
    } else if (token.value === undefined || (token.value.startsWith('--') && !token.inlineValue)) {
      throw new UsageError(`--${name}: a value is missing`)
    } else values[name] = token.value
  }
  return values
}

function options(): string {
  return `The options are: ${NAMES.map((name) => `--${name}`).join(', ')}`
}

function readScenario({ scenarios }: LoadTest, wanted: string | undefined, mode: PoolMode): string {
  const names = Object.keys(scenarios)
  const able = names.filter((name) => scenarios[name]!.modes.includes(mode))
  if (wanted === undefined) return able[0]!
  const name = oneOf('--scenario', wanted, names)
  if (able.includes(name)) return name
  const { modes, because } = scenarios[name]!
  throw new UsageError(
    `--scenario ${name} with --mode ${mode}: ${because}. It needs --mode ${modes.join(' or ')}; ` +
      `with --mode ${mode} there is: ${able.join(', ')}`,
  )
}

function readDuration(text: string): number {
  // A plain number is seconds here, other than in pgbun's configuration.
  const ms = parseDuration(/^\d+(\.\d+)?$/.test(text) ? `${text}s` : text)
  if (ms !== undefined && ms >= 1 && ms <= LONGEST_MS) return ms
  throw new UsageError(
    `--duration ${text || '(empty)'}: a number of seconds, or a number with a unit (ms, s, min), is needed, above 0 and up to 24h`,
  )
}

function readAddress(env: NodeJS.ProcessEnv): Address | undefined {
  const { PGHOST: host = '', PGPORT: port, PGUSER, PGPASSWORD, PGDATABASE } = env
  if (host === '') return undefined
  const user = PGUSER || 'postgres'
  return {
    host,
    port: whole('PGPORT', port || '6432', 1, 65_535),
    user,
    password: PGPASSWORD,
    database: PGDATABASE || user,
  }
}

function whole(option: string, text: string, low: number, high: number): number {
  const value = Number(text)
  if (/^\d+$/.test(text) && value >= low && value <= high) return value
  throw new UsageError(`${option} ${text || '(empty)'}: a whole number from ${low} to ${high} is needed`)
}

function oneOf<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw new UsageError(`${option} ${text || '(empty)'}: must be one of ${choices.join(', ')}`)
  return choice
}
