/**
 * `pgbun doctor`: checks a configuration against the servers that it names. It changes nothing there, sends passwords
 * only as pgbun itself would, ends within a bounded time, and leaves no connection open.
 */

import { hostPort } from '../config/hosts.ts'
import { type ConfigInput, type ResolvedConfig, resolveConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import { ConfigError } from '../config/raw-value.ts'
import { ServerPasswords } from '../daemon/server-passwords.ts'
import { lookupSrv } from '../net/resolve-srv.ts'
import { serverLimits } from '../pool/settings.ts'
import { SrvNames } from '../routing/srv-names.ts'
import { isLoopback } from '../server/own-merit.ts'
import { descriptorWarnings } from './descriptor-limit.ts'
import { checkContents, checkPassword, type FileContents } from './doctor/files.ts'
import { eachAtOnce, Findings, type Report } from './doctor/finding.ts'
import { checkHost, type HostState, judgeOutages } from './doctor/hosts.ts'
import { checkOneUser, checkRoles, describeFacts, type FactsOf, type LoginParts } from './doctor/logins.ts'
import { hostsOf, type Place, placesOf } from './doctor/places.ts'
import { compareSizes, plannedPools } from './doctor/pool-sizes.ts'
import { checkUsers } from './doctor/users.ts'
import { describeHost } from './ready-line.ts'

/** Longest wait for one connection or login. */
const PATIENCE_MS = 5000
/** So many hosts are looked at at once. */
const HOSTS_AT_ONCE = 20

/** Look at everything. Rejects only for an internal error. */
export async function examine(input: ConfigInput): Promise<Report> {
  const report: Report = { findings: [], users: [], moreUsers: 0 }
  const resolved = checkConfiguration(input, report)
  if (resolved === undefined) return report
  const { config } = resolved
  const contents = checkContents(config)
  const timeoutMs = Math.min(PATIENCE_MS, config.serverConnectTimeout)
  const srv = new SrvNames(lookupSrv)
  const names = new Findings('configuration')
  srv.use(await srv.ask(config, (name, { message }) => names.add('problem', name, `no SRV records: ${message}`)))
  report.findings.push(...names.found)
  const places = placesOf(config, srv)
  const tlsOf = contents.tls && ((target: Place['target']) => contents.tls!.of(target))
  const passwords = new ServerPasswords(() => contents.secrets)
  const [states, fetched] = await Promise.all([
    eachAtOnce(hostsOf(places), HOSTS_AT_ONCE, (host) => checkHost(host, tlsOf, timeoutMs)),
    Promise.all(places.map((place) => checkPassword(passwords, place, config.serverConnectTimeout))),
  ])
  judgeOutages(states)
  // Without its password nobody needs to try.
  const able = places.filter((_, index) => fetched[index]!.found.every(({ level }) => level !== 'problem'))
  report.findings.push(...[contents.findings, ...fetched, ...states.map((state) => state.findings)].flatMap(listOf))
  if (tlsOf !== undefined) {
    await checkLogins(places, able, states, { config, tlsOf, passwords, timeoutMs }, contents, report)
  }
  return report
}

function listOf({ found }: Findings): Report['findings'] {
  return found
}

/** The configuration, if it can be used. */
function checkConfiguration(input: ConfigInput, report: Report): ResolvedConfig | undefined {
  const findings = new Findings('configuration')
  try {
    const resolved = resolveConfig(input)
    findings.add('ok', '', `valid${input.file === undefined ? '' : `: ${input.file}`}`)
    for (const warning of [...resolved.warnings, ...descriptorWarnings(resolved.config)]) {
      findings.add('warning', '', warning)
    }
    checkCleartext(resolved.config, findings)
    return resolved
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const { where, message } of error.problems) findings.add('problem', where, message)
    return undefined
  } finally {
    report.findings.push(...findings.found)
  }
}

/** Whether clients of other machines can be asked for their passwords. */
function checkCleartext(config: Config, findings: Findings): void {
  const { authType, clientTlsMode, allowCleartextPassword, listenHost } = config
  const inClear = authType === 'passthrough' || authType === 'plain'
  const local = listenHost.every((host) => host === 'localhost' || isLoopback(host.replace(/^\[(.*)\]$/, '$1')))
  if (!inClear || clientTlsMode !== 'disable' || allowCleartextPassword || local) return
  const message = `auth_type ${authType} asks for passwords in clear, and clients of other machines have no TLS`
  findings.add('warning', 'client_tls_mode', message, 'set client_tls_mode to auto, or use auth_type scram-sha-256')
}

/** All that needs a login. @param able those whose passwords, if they have any, can be had */
async function checkLogins(
  places: readonly Place[],
  able: readonly Place[],
  states: readonly HostState[],
  parts: LoginParts,
  { secrets }: FileContents,
  report: Report,
): Promise<void> {
  const { config } = parts
  const facts: FactsOf = new Map()
  const logins = await eachAtOnce(able, HOSTS_AT_ONCE, (place) => checkOneUser(place, states, parts, facts))
  const logging = new Findings('logins')
  if (secrets !== undefined && config.authType !== 'passthrough') {
    const { rows, more, findings } = await checkUsers({ ...parts, secrets, places, states, facts })
    report.users = rows
    report.moreUsers = more
    logins.push(findings)
  } else if (places.some(({ target }) => target.user === undefined)) {
    logging.add('ok', '', notTried(config))
  }
  const sizes = compareAll(config, states, facts, secrets && [...secrets.keys()])
  const all = [...logins, logging, describeFacts(states, facts), checkRoles(places, states, facts), sizes]
  report.findings.push(...all.flatMap(listOf))
}

function notTried({ authType, authFile }: Config): string {
  if (authType === 'passthrough') {
    return "not tried: passwords are the clients' own (auth_type passthrough). Roles and room of the hosts are not known"
  }
  if (authFile === '') return `not tried: pgbun knows no users (auth_type ${authType} without auth_file)`
  return 'not tried: auth_file cannot be used'
}

/** The sizes of the pools of each host that is known. */
function compareAll(
  config: Config,
  states: readonly HostState[],
  facts: FactsOf,
  users: readonly string[] | undefined,
): Findings {
  const findings = new Findings('pool sizes')
  const limit = serverLimits(config, '', '').host
  for (const { places } of states) {
    const room = facts.get(hostPort(places.host))
    if (room === undefined) continue
    const { level, message, remedy } = compareSizes(plannedPools(config, places.places, users), limit, room)
    findings.add(level, describeHost(places.host), message, remedy)
  }
  return findings
}
