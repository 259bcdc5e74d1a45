/** The one line that says pgbun is ready: what it listens on, where it forwards, mode, authentication. Pure. */
import { type HostAddress, hostPort, isSrvName } from '../config/hosts.ts'
import { type Config, hostsOf } from '../config/options.ts'
import type { ListenAddress } from '../net/listener.ts'

/** The ready line. `addresses` are the actual ones, so that a port of 0 shows as the port that was chosen. */
export function readyLine(config: Config, addresses: readonly ListenAddress[], version: string): string {
  const listening = addresses.map((address) => (typeof address === 'string' ? address : hostPort(address)))
  return (
    `pgbun ${version} is ready: listening on ${listening.join(', ')}, forwarding to ${describeServer(config)}, ` +
    `pool mode ${config.poolMode}, authentication ${describeAuthentication(config)}`
  )
}

/** Where it forwards: host:port, or the socket PostgreSQL has in a directory; with `[databases]`, how many there are. */
export function describeServer(config: Config): string {
  const servers = serversOf(config).map(describeHost)
  const shown = servers.length > MOST_SHOWN ? `${servers.length} servers` : servers.join(', ')
  const { size } = config.databases
  return size === 0 ? shown : `${shown} (${size} ${size === 1 ? 'section' : 'sections'} of databases)`
}

const MOST_SHOWN = 3

/** Every host that the configuration names for some database, once. */
export function serversOf(config: Config): HostAddress[] {
  const { databases } = config
  const found = new Map<string, HostAddress>()
  for (const values of databases.size === 0 ? [undefined] : databases.values()) {
    for (const address of hostsOf(config, values)) found.set(hostPort(address), address)
  }
  return [...found.values()]
}

/** host:port, a socket, or the name of a service. */
export function describeHost({ host, port }: HostAddress): string {
  if (isSrvName(host)) return host
  return /^[/@]/.test(host) ? `${host}/.s.PGSQL.${port}` : hostPort({ host, port })
}

/** The method, and where the secrets are. */
export function describeAuthentication({ authType, authFile }: Config): string {
  return authFile === '' || authType === 'passthrough' ? authType : `${authType} from ${authFile}`
}
