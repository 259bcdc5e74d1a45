/** The one line that says pgbun is ready: what it listens on, where it forwards, mode, authentication. Pure. */
import type { Config } from '../config/options.ts'
import type { ListenAddress } from '../net/listener.ts'

/** The ready line. `addresses` are the actual ones, so that a port of 0 shows as the port that was chosen. */
export function readyLine(config: Config, addresses: readonly ListenAddress[], version: string): string {
  const listening = addresses.map((address) =>
    typeof address === 'string' ? address : hostPort(address.host, address.port),
  )
  return (
    `pgbun ${version} is ready: listening on ${listening.join(', ')}, forwarding to ${describeServer(config)}, ` +
    `pool mode ${config.poolMode}, authentication ${describeAuthentication(config)}`
  )
}

/** host:port, or the socket PostgreSQL has in a directory. */
export function describeServer({ serverHost, serverPort }: Config): string {
  if (/^[/@]/.test(serverHost)) return `${serverHost}/.s.PGSQL.${serverPort}`
  return hostPort(serverHost, serverPort)
}

/** The method, and where the secrets are. */
export function describeAuthentication({ authType, authFile }: Config): string {
  return authFile === '' || authType === 'passthrough' ? authType : `${authType} from ${authFile}`
}

function hostPort(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}
