/** Whether connections can lead to the hosts of a configuration, as far as that shows without a network. */

import { isNoDirectory } from './check-files.ts'
import type { Findings } from './findings.ts'
import { type HostAddress, hostPort, isSrvName, parseWeights } from './hosts.ts'
import type { Config, SettingName } from './options.ts'

/** The settings at fault. */
interface Faulty {
  /** Has the hosts. */
  hosts: SettingName
  /** Most likely wrong where pgbun would forward to itself, and what to do then. */
  itself: SettingName
  remedy?: string
}

/** Take down what is wrong with `hosts`, which stand in for each other. */
export function checkHosts(config: Config, hosts: readonly HostAddress[], at: Faulty, { problem }: Findings): void {
  const seen = new Set<string>()
  for (const address of hosts) {
    const { host, port } = address
    if (port < 1 || port > 65535) problem(at.hosts, `The port of ${host} must be between 1 and 65535`)
    if (host.startsWith('/') && isNoDirectory(host)) {
      problem(at.hosts, `${at.hosts} is a file: ${host}. Give the directory of PostgreSQL's socket`)
    }
    if (forwardsToItself(config, address)) {
      const remedy = at.remedy === undefined ? '' : `. ${at.remedy}`
      problem(at.itself, `pgbun would forward to itself: ${host}, port ${port} is where it listens${remedy}`)
    }
    const key = hostPort(address)
    if (seen.has(key)) problem(at.hosts, `${host}, port ${port} is there twice. Keep one of them`)
    seen.add(key)
  }
}

/** Take down what is wrong with sending reads to standbys among so many `hosts`. */
export function checkReads(
  { routeReads, targetSessionAttrs }: Pick<Config, 'routeReads' | 'targetSessionAttrs'>,
  hosts: readonly HostAddress[],
  { problem }: Findings,
): void {
  if (routeReads === 'off') return
  if (!WRITABLE.includes(targetSessionAttrs)) {
    problem(
      'target_session_attrs',
      `With route_reads, target_session_attrs is about what is no read: it cannot be "${targetSessionAttrs}". ` +
        `Set it to primary or read-write, or remove it`,
    )
  }
  const [first] = hosts
  if (hosts.length > 1 || (first !== undefined && isSrvName(first.host))) return
  problem('route_reads', 'route_reads needs several hosts: name the primary and its standbys')
}

/** Take down what is wrong with the weights of `hosts`. */
export function checkWeights(
  { loadBalanceWeights }: Pick<Config, 'loadBalanceWeights'>,
  hosts: readonly HostAddress[],
  { problem }: Findings,
): void {
  const { length } = parseWeights(loadBalanceWeights)
  if (length === 0 || length === hosts.length) return
  const count = `${hosts.length} ${hosts.length === 1 ? 'host' : 'hosts'}`
  problem('load_balance_weights', `The number of weights is ${length}, for ${count}: give each host one`)
}

/** What a host may be asked for that is to be written to. */
const WRITABLE = ['any', 'primary', 'read-write']

const LOCAL = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::', '*']

/** Whether `address` is where a pgbun with this configuration listens. */
function forwardsToItself({ listenHost, listenPort, unixSocketDir }: Config, { host, port }: HostAddress): boolean {
  if (listenPort !== port) return false
  if (/^[/@]/.test(host)) return host === unixSocketDir
  return listenHost.includes(host) || (LOCAL.includes(host) && listenHost.some((any) => LOCAL.includes(any)))
}
