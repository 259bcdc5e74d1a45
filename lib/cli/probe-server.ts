/**
 * Whether anything answers where PostgreSQL should be: a connection that is closed again, without a login. PostgreSQL
 * does not log one.
 */
import type { Config } from '../config/options.ts'
import { dial } from '../net/dial.ts'
import type { DialError } from '../net/dial-error.ts'

/** Longest wait; a server that takes longer is not there for people who are waiting for it. */
const PROBE_MS = 5000

const REMEDIES: Record<string, string> = {
  ECONNREFUSED: 'is PostgreSQL running there? server_host and server_port say where it is looked for',
  ENOENT: 'is server_host its unix_socket_directories, and server_port its port?',
  ENOTFOUND: 'is server_host spelled right?',
  EAI_AGAIN: 'is server_host spelled right, and the name server reachable?',
  EACCES: 'the account of pgbun needs access to the directory of the socket',
  ETIMEDOUT: 'is server_host right, and does a firewall let pgbun through?',
}

/** Why the server cannot be reached, and what to do; undefined where it can. Never rejects. */
export async function probeServer(config: Config): Promise<{ reason: string; remedy: string } | undefined> {
  const { serverHost, serverPort, serverConnectTimeout } = config
  const timeoutMs = Math.min(PROBE_MS, serverConnectTimeout)
  try {
    const { socket } = await dial(
      { host: serverHost, port: serverPort },
      { timeoutMs, keepAlive: false, keepIdleMs: 0 },
    )
    socket.destroy()
    return undefined
  } catch (error) {
    const { code, message } = error as DialError
    return { reason: message, remedy: REMEDIES[code] ?? 'check server_host and server_port' }
  }
}
