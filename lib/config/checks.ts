/**
 * What is wrong with values that are fine one by one: combinations that cannot work, and files that are not there.
 * Called by load.ts with a configuration whose values are converted. Looks at the file system, changes nothing.
 */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { systemErrorText } from '../util/system-error.ts'
import { type Config, OPTION_NAMES, type OptionName, optionRow } from './options.ts'
import type { Problem, Source } from './raw-value.ts'
import { camelCase } from './types.ts'
import { parseUserlist } from './userlist.ts'

/** What was found: problems stop the start, warnings are logged. */
export interface CheckResult {
  problems: Problem[]
  warnings: Problem[]
}

/** Takes down what is wrong with an option. */
class Findings implements CheckResult {
  readonly problems: Problem[] = []
  readonly warnings: Problem[] = []
  readonly #sources: Sources

  constructor(sources: Sources) {
    this.#sources = sources
  }

  readonly problem = (name: OptionName, message: string): void => {
    this.problems.push({ where: this.#sources[name].where, message })
  }

  readonly warning = (name: OptionName, message: string): void => {
    this.warnings.push({ where: this.#sources[name].where, message })
  }
}

/** Where the value of each option is. */
type Sources = Readonly<Record<OptionName, Source>>

/** Check `config` as a whole. `sources` only serves to say where a value is. */
export function checkConfig(config: Config, sources: Sources): CheckResult {
  const findings = new Findings(sources)
  checkFiles(config, findings)
  checkClientTls(config, findings)
  checkServerTls(config, findings)
  checkAuthentication(config, findings)
  checkAddresses(config, findings, sources.listen_port.kind === 'default' ? 'server_port' : 'listen_port')
  if (config.minPoolSize > config.poolSize) {
    findings.problem('min_pool_size', `min_pool_size ${config.minPoolSize} is larger than pool_size ${config.poolSize}`)
  }
  const { problems, warnings } = findings
  return { problems, warnings }
}

/** Files are there, and those with secrets are for pgbun's eyes alone. */
function checkFiles(config: Config, { problem, warning }: Findings): void {
  for (const name of OPTION_NAMES) {
    if (optionRow(name).kind !== 'file') continue
    const path = config[camelCase(name) as 'authFile']
    const fault = path === '' ? undefined : fileFault(path)
    const exposure = path === '' || fault ? undefined : exposureOf(path, SECRET_FILES.has(name))
    if (fault) problem(name, `${name} ${fault}`)
    else if (exposure) warning(name, `${name} ${exposure}`)
  }
}

/** A certificate and its key: both or neither. */
function checkPair(config: Config, side: 'client' | 'server', why: string, { problem }: Findings): void {
  const names = [`${side}_tls_key_file`, `${side}_tls_cert_file`] as const
  const [key, cert] = [config[`${side}TlsKeyFile`], config[`${side}TlsCertFile`]]
  if ((key === '') === (cert === '')) return
  const [given, missing] = key === '' ? [names[1], names[0]] : names
  problem(given, `${given} is set, but ${missing} is not. ${why}`)
}

function checkClientTls(config: Config, findings: Findings): void {
  const { problem, warning } = findings
  const clientTls = config.clientTlsMode !== 'disable'
  if (config.clientTlsMode === 'auto') checkPair(config, 'client', 'A certificate needs its key', findings)
  else if (clientTls && (config.clientTlsKeyFile === '' || config.clientTlsCertFile === '')) {
    problem(
      'client_tls_mode',
      'TLS mode is enabled, but key/cert files are not configured. ' +
        'Set client_tls_key_file and client_tls_cert_file, or client_tls_mode to disable',
    )
  }
  if (config.clientTlsMode.startsWith('verify-') && config.clientTlsCaFile === '') {
    problem('client_tls_mode', `client_tls_mode ${config.clientTlsMode} needs client_tls_ca_file to check clients with`)
  }
  if (!clientTls && (config.clientTlsKeyFile !== '' || config.clientTlsCertFile !== '')) {
    const name = config.clientTlsKeyFile !== '' ? 'client_tls_key_file' : 'client_tls_cert_file'
    warning(name, `${name} is not used while client_tls_mode is disable`)
  }
}

function checkServerTls(config: Config, findings: Findings): void {
  checkPair(config, 'server', 'A client certificate needs both', findings)
  if (
    config.serverTlsNegotiation === 'direct' &&
    !['require', 'verify-ca', 'verify-full'].includes(config.serverTlsMode)
  ) {
    findings.problem(
      'server_tls_negotiation',
      `server_tls_negotiation direct cannot fall back to plain connections. Set server_tls_mode to require, verify-ca or verify-full, not ${config.serverTlsMode}`,
    )
  }
}

function checkAuthentication(config: Config, { problem, warning }: Findings): void {
  if (config.authFile === '' && ['plain', 'md5', 'scram-sha-256'].includes(config.authType)) {
    problem('auth_type', `auth_type ${config.authType} needs auth_file, the file of users and secrets`)
  }
  if (config.authFile !== '' && config.authType === 'passthrough') {
    warning('auth_file', 'auth_file is not used with auth_type passthrough')
  }

  if (config.authType === 'passthrough' && config.allowUnprovenLocalClients) {
    warning(
      'allow_unproven_local_clients',
      'allow_unproven_local_clients: where PostgreSQL asks pgbun for no password, every account of this machine, ' +
        'and whoever reaches pgbun through a forwarder on it, gets in as any user',
    )
  }
  if (config.authType === 'trust' && holdsSecrets(config.authFile)) {
    warning(
      'auth_type',
      'auth_type trust asks nobody for a password, although auth_file has some: whoever reaches pgbun is let in as any user of it. ' +
        'Remove auth_type to have them checked, or write "" instead of the passwords',
    )
  }
}

/** @param port the option that is most likely wrong where pgbun would forward to itself */
function checkAddresses(config: Config, { problem }: Findings, port: OptionName): void {
  if (config.listenHost.length === 0 && config.unixSocketDir === '') {
    problem('listen_host', 'Nothing to listen on: listen_host and unix_socket_dir are both empty. Set one of them')
  }
  if (config.serverHost.startsWith('/') && isNoDirectory(config.serverHost)) {
    problem('server_host', `server_host is a file: ${config.serverHost}. Give the directory of PostgreSQL's socket`)
  }
  if (forwardsToItself(config)) {
    problem(
      port,
      `pgbun would forward to itself: server_host ${config.serverHost}, server_port ${config.serverPort} is where it listens. Change listen_port or server_port`,
    )
  }
}

const LOCAL = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::', '*']

function forwardsToItself(config: Config): boolean {
  if (config.listenPort !== config.serverPort) return false
  if (/^[/@]/.test(config.serverHost)) return config.serverHost === config.unixSocketDir
  const { serverHost, listenHost } = config
  return (
    listenHost.includes(serverHost) || (LOCAL.includes(serverHost) && listenHost.some((host) => LOCAL.includes(host)))
  )
}

/** Files that only the account pgbun runs as should be able to read. */
const SECRET_FILES: ReadonlySet<OptionName> = new Set(['auth_file', 'client_tls_key_file', 'server_tls_key_file'])
const OTHERS_READ = 0o004
const OTHERS_WRITE = 0o002
const GROUP_WRITE = 0o020

/** Who else may do what with a file, as the end of a sentence. Its group may read it: that is how accounts share a key. */
function exposureOf(path: string, secret: boolean): string | undefined {
  // There are no such permissions on Windows.
  if (process.platform === 'win32') return undefined
  const mode = statSync(path, { throwIfNoEntry: false })?.mode ?? 0
  const write = (mode & (secret ? OTHERS_WRITE | GROUP_WRITE : OTHERS_WRITE)) !== 0
  const read = secret && (mode & OTHERS_READ) !== 0
  if (!write && !read) return undefined
  const who = (mode & (OTHERS_READ | OTHERS_WRITE)) === 0 ? 'its group' : 'every account of this machine'
  const shown = (mode & 0o777).toString(8).padStart(4, '0')
  const what = write ? (read ? 'read and changed' : 'changed') : 'read'
  return `can be ${what} by ${who} (mode ${shown}): ${path}. Take that away with chmod ${secret ? '600' : 'o-w'}`
}

/** Whether an auth_file has passwords or verifiers; one that cannot be used is reported where it is loaded. */
function holdsSecrets(path: string): boolean {
  if (path === '') return false
  try {
    for (const secret of parseUserlist(readFileSync(path, 'utf8'), path).values()) {
      if (secret.kind !== 'plain' || secret.password !== '') return true
    }
  } catch {}
  return false
}

/** Whether a path leads to something that is not a directory. One that leads nowhere may be there later. */
function isNoDirectory(path: string): boolean {
  try {
    return !statSync(path).isDirectory()
  } catch {
    return false
  }
}

/** What keeps a file from being read, as the end of a sentence that begins with the option's name. */
function fileFault(path: string): string | undefined {
  const shown = path === resolve(path) ? path : `${path} (${resolve(path)})`
  try {
    if (statSync(path).isDirectory()) return `is a directory, not a file: ${shown}`
    accessSync(path, constants.R_OK)
    return undefined
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR'
      ? `names a file that does not exist: ${shown}`
      : `names a file that cannot be read: ${shown}: ${systemErrorText(error)}`
  }
}
