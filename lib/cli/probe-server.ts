/**
 * Whether anything answers where PostgreSQL should be: connections that are closed again, without a login. PostgreSQL
 * does not log them.
 */
import type { HostAddress } from '../config/hosts.ts'
import type { Config } from '../config/options.ts'
import { dial } from '../net/dial.ts'
import type { DialError } from '../net/dial-error.ts'
import { serversOf } from './ready-line.ts'

/** Longest wait; a server that takes longer is not there for people who are waiting for it. */
const PROBE_MS = 5000

/** What to do where nothing answers, by the code of the DialError. */
export const CONNECT_REMEDIES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'is PostgreSQL running there? server_host and server_port say where it is looked for',
  ENOENT: 'is server_host its unix_socket_directories, and server_port its port?',
  ENOTFOUND: 'is server_host spelled right?',
  EAI_AGAIN: 'is server_host spelled right, and the name server reachable?',
  EACCES: 'the account of pgbun needs access to the directory of the socket',
  ETIMEDOUT: 'is server_host right, and does a firewall let pgbun through?',
}

/** Why a host cannot be reached, and what to do. */
export interface Fault {
  reason: string
  remedy: string
}

/** So many hosts are tried at once. */
const AT_ONCE = 20

/** What is wrong with the hosts of `config`; nothing where all can be reached. Never rejects. */
export async function probeServers(config: Config): Promise<Fault[]> {
  const hosts = serversOf(config)
  const faults: Fault[] = []
  const next = async (): Promise<void> => {
    for (let host = hosts.shift(); host !== undefined; host = hosts.shift()) {
      const fault = await probe(host, config)
      if (fault) faults.push(fault)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  return faults
}

async function probe(host: HostAddress, { serverConnectTimeout }: Config): Promise<Fault | undefined> {
  const timeoutMs = Math.min(PROBE_MS, serverConnectTimeout)
  try {
    const { socket } = await dial(host, { timeoutMs, keepAlive: false, keepIdleMs: 0 })
    socket.destroy()
    return undefined
  } catch (error) {
    const { code, message } = error as DialError
    return { reason: message, remedy: CONNECT_REMEDIES[code] ?? 'check server_host and server_port' }
  }
}
