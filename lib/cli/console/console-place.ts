/**
 * Where the console is, and who logs in there: the URL, otherwise the environment as libpq has it (PGHOST, PGPORT),
 * otherwise where the configuration says that pgbun listens. What none of them says is taken from PGUSER, PGPASSWORD,
 * PGSSLMODE and so on, whichever of them named the host.
 *
 * On the unix socket of its owner pgbun lets the user `pgbun` in without a password (CONSOLE.md).
 */
import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import type { Config } from '../../config/options.ts'
import type { DialTarget } from '../../net/dial-error.ts'
import type { TlsMode, TlsSettings } from '../../net/tls-context.ts'
import { isUnixDirectory, unixSocketPath } from '../../net/unix-path.ts'
import { whereToAsk } from '../health.ts'
import {
  type ConsoleSettings,
  ConsoleUrlError,
  DEFAULT_PORT,
  type ParameterName,
  pairHosts,
  parseConsoleUrl,
} from './console-url.ts'
import { readPassword } from './password-file.ts'

/** The variables of libpq, by the parameter that they are for. */
const VARIABLES: Readonly<Record<ParameterName, string>> = {
  user: 'PGUSER',
  password: 'PGPASSWORD',
  passfile: 'PGPASSFILE',
  dbname: 'PGDATABASE',
  sslmode: 'PGSSLMODE',
  sslrootcert: 'PGSSLROOTCERT',
  sslcert: 'PGSSLCERT',
  sslkey: 'PGSSLKEY',
  sslnegotiation: 'PGSSLNEGOTIATION',
  connect_timeout: 'PGCONNECT_TIMEOUT',
  application_name: 'PGAPPNAME',
}

const MODES = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const satisfies TlsMode[]

/** Everything that a login needs but the password. */
export interface ConsolePlace {
  /** Tried one after the other. */
  targets: DialTarget[]
  /** Where the address comes from, for messages. */
  source: 'URL' | 'environment' | 'configuration'
  user: string
  database: string
  applicationName: string
  tls: TlsSettings
  negotiation: 'postgres' | 'direct'
  timeoutMs: number
  allowCleartext: boolean
  /** The password at one of the targets; undefined where none is known. */
  passwordFor(target: DialTarget): string | undefined
}

/** What a place is made of. */
export interface PlaceInput {
  url: string | undefined
  env: NodeJS.ProcessEnv
  config: Config
  /** The command line says itself where pgbun listens: the environment is not asked. */
  configured: boolean
  /** `application_name` where nobody names one. */
  name: string
  warn(message: string): void
}

/** Longest wait for a connection and login where nobody says how long. */
const PATIENCE_MS = 5000

/** @throws ConsoleUrlError */
export function findConsole(input: PlaceInput): ConsolePlace {
  const { url, env, config } = input
  const fromUrl: ConsoleSettings = url === undefined ? {} : parseConsoleUrl(url)
  const of = (name: ParameterName): string => fromUrl[name] || env[VARIABLES[name]] || ''
  const byEnvironment = url === undefined && !input.configured && (env.PGHOST || env.PGPORT) !== undefined
  const source = url !== undefined ? 'URL' : byEnvironment ? 'environment' : 'configuration'
  const targets =
    source === 'configuration'
      ? [localAddress(config)]
      : pairHosts(
          fromUrl.host ?? (source === 'URL' ? '' : (env.PGHOST ?? '')),
          fromUrl.port ?? ((source === 'URL' ? '' : env.PGPORT) || String(DEFAULT_PORT)),
        )
  const user = of('user') || defaultUser(targets[0]!, source === 'configuration' ? config : undefined)
  // PGDATABASE is the database of applications, which is none of the console.
  const database = fromUrl.dbname ?? 'pgbouncer'
  const password = of('password')
  const file = of('passfile') || path.join(homedir(), '.pgpass')
  return {
    targets,
    source,
    user,
    database,
    applicationName: of('application_name') || input.name,
    tls: tlsOf(of),
    negotiation: choose('sslnegotiation', of('sslnegotiation') || 'postgres', ['postgres', 'direct']),
    timeoutMs: timeoutOf(of('connect_timeout')),
    allowCleartext: config.allowCleartextPassword,
    passwordFor: ({ host, port }) => password || readPassword(file, { host, port, database, user }, input.warn),
  }
}

/** Where a pgbun of this configuration listens: on its unix socket, if that is there. */
function localAddress(config: Config): DialTarget {
  const { unixSocketDir, listenPort } = config
  if (unixSocketDir !== '' && socketMode(unixSocketDir, listenPort) !== undefined) {
    return { host: unixSocketDir, port: listenPort }
  }
  return whereToAsk(config)
}

/** The permissions of a socket; 0o777 for one without, undefined where there is none. */
function socketMode(directory: string, port: number): number | undefined {
  const { path: file, abstract } = unixSocketPath(directory, port, 'unix_socket_dir')
  if (abstract) return 0o777
  const found = statSync(file, { throwIfNoEntry: false })
  return found?.isSocket() === true ? found.mode & 0o777 : undefined
}

/** The owner's socket needs no user of the configuration; otherwise the first who may use the console. */
function defaultUser({ host, port }: DialTarget, config: Config | undefined): string {
  const listed = config?.adminUsers[0] ?? config?.statsUsers[0]
  if (listed === undefined || !isUnixDirectory(host)) return listed ?? 'pgbun'
  return ((socketMode(host, port) ?? 0o777) & 0o022) === 0 ? 'pgbun' : listed
}

function tlsOf(of: (name: ParameterName) => string): TlsSettings {
  const mode = choose('sslmode', of('sslmode') || 'prefer', MODES)
  const root = of('sslrootcert')
  // libpq's word for the authorities of the system, which are meant where no file is named.
  const caFile = root === 'system' ? '' : root
  return { mode, caFile, certFile: of('sslcert'), keyFile: of('sslkey'), protocols: 'secure', ciphers: 'default' }
}

function choose<T extends string>(name: string, value: string, values: readonly T[]): T {
  if ((values as readonly string[]).includes(value)) return value as T
  throw new ConsoleUrlError(`${name} must be one of ${values.join(', ')}`)
}

/** Seconds, as libpq's connect_timeout. */
function timeoutOf(text: string): number {
  if (text === '') return PATIENCE_MS
  const seconds = Number(text)
  if (!/^\d{1,6}$/.test(text) || seconds === 0) {
    throw new ConsoleUrlError('connect_timeout must be a number of seconds from 1 to 999999')
  }
  return seconds * 1000
}
