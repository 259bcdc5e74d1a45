/** Whether connections can lead to the hosts of a configuration, as far as that shows without a network. */

import { isNoDirectory } from './check-files.ts'
import type { Findings } from './findings.ts'
import { type HostAddress, hostPort } from './hosts.ts'
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

const LOCAL = ['localhost', '127.0.0.1', '::1', '0.0.0.0', '::', '*']

/** Whether `address` is where a pgbun with this configuration listens. */
function forwardsToItself({ listenHost, listenPort, unixSocketDir }: Config, { host, port }: HostAddress): boolean {
  if (listenPort !== port) return false
  if (/^[/@]/.test(host)) return host === unixSocketDir
  return listenHost.includes(host) || (LOCAL.includes(host) && listenHost.some((any) => LOCAL.includes(any)))
}
