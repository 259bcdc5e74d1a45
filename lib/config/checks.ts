/**
 * What is wrong with values that are fine one by one: combinations that cannot work, and files that are not there.
 * Called by load.ts with a configuration whose values are converted. Looks at the file system, changes nothing.
 */
import { readFileSync } from 'node:fs'
import type { Steps } from '../util/steps.ts'
import { checkDatabases, checkUsers } from './check-databases.ts'
import { checkFile } from './check-files.ts'
import { checkHosts, checkReads, checkWeights } from './check-hosts.ts'
import { checkPair, checkServerTls } from './check-tls.ts'
import { type CheckResult, Findings } from './findings.ts'
import { isLoopbackAddress, parseHttpAddress } from './http-address.ts'
import { type Config, hostsOf, OPTION_NAMES, type OptionName, optionRow } from './options.ts'
import { parsePeers } from './peers.ts'
import type { ScopedSources, Source } from './raw-value.ts'
import { camelCase } from './types.ts'
import { parseUserlist } from './userlist.ts'

/** Where the value of each option is. */
type Sources = Readonly<Record<OptionName, Source>>

/** Check `config` as a whole. `sources` only serves to say where a value is. */
export function* checkConfig(config: Config, sources: Sources, scoped: ScopedSources): Steps<CheckResult> {
  const findings = new Findings((name) => sources[name as OptionName].where)
  checkFiles(config, findings)
  checkClientTls(config, findings)
  checkServerTls(config, findings)
  checkAuthentication(config, findings)
  checkAddresses(config, findings, sources.listen_port.kind === 'default' ? 'server_port' : 'listen_port')
  checkHttp(config, findings)
  checkPeers(config, findings)
  if (config.minPoolSize > config.poolSize) {
    findings.problem('min_pool_size', `min_pool_size ${config.minPoolSize} is larger than pool_size ${config.poolSize}`)
  }
  const { problems, warnings } = findings
  for (const check of [checkDatabases(config, scoped.databases), checkUsers(config, scoped.users)]) {
    const found = yield* check
    problems.push(...found.problems)
    warnings.push(...found.warnings)
  }
  return { problems, warnings }
}

function checkFiles(config: Config, findings: Findings): void {
  for (const name of OPTION_NAMES) {
    if (optionRow(name).kind === 'file') checkFile(name, config[camelCase(name) as 'authFile'], findings)
  }
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

function checkHttp(config: Config, { problem, warning }: Findings): void {
  const { httpListen, httpToken, adminUsers, statsUsers } = config
  const address = parseHttpAddress(httpListen)
  if (address === undefined) {
    if (httpToken !== '') warning('http_token', 'http_token is not used without http_listen')
    return
  }
  const { host, port } = address
  if (port > 65535) problem('http_listen', `Invalid http_listen: ${httpListen}. The port must be between 1 and 65535`)
  if (port === config.listenPort && port !== 0) {
    const what = `http_listen and listen_port are both ${port}: HTTP needs a port of its own, such as 6433`
    problem('http_listen', what)
  }
  if (isLoopbackAddress(host)) return
  if (httpToken === '' && adminUsers.length === 0 && statsUsers.length === 0) {
    warning(
      'http_listen',
      `http_listen ${httpListen} is for other machines, too, and nobody may look: only /healthz and /readyz answer. Set ` +
        'http_token, or name stats_users or admin_users, whose passwords are asked for',
    )
    return
  }
  if (config.clientTlsMode === 'disable' || config.clientTlsCertFile === '') {
    warning(
      'http_listen',
      `http_listen ${httpListen} is for other machines, too, and without TLS: who listens on the way sees all of it, ` +
        'http_token included. Set client_tls_cert_file and client_tls_key_file',
    )
  }
}

function checkPeers({ peers, peerId }: Config, { problem, warning }: Findings): void {
  try {
    const found = parsePeers(peers)
    const numbered = found.filter(({ id }) => id > 0)
    if (numbered.length > 0 && peerId === 0)
      warning('peers', 'peers with ids are never asked, because peer_id is not set: keys do not tell whose they are')
  } catch (error) {
    problem('peers', `Invalid peers: ${(error as Error).message}`)
  }
}

/** @param port the option that is most likely wrong where pgbun would forward to itself */
function checkAddresses(config: Config, findings: Findings, port: OptionName): void {
  if (config.listenHost.length === 0 && config.unixSocketDir === '') {
    findings.problem(
      'listen_host',
      'Nothing to listen on: listen_host and unix_socket_dir are both empty. Set one of them',
    )
  }
  // With sections of databases it counts for those that have no host of their own, and is checked there.
  if (config.databases.size > 0) return
  const remedy = 'Change listen_port or server_port'
  checkHosts(config, hostsOf(config), { hosts: 'server_host', itself: port, remedy }, findings)
  checkReads(config, hostsOf(config), findings)
  checkWeights(config, hostsOf(config), findings)
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
