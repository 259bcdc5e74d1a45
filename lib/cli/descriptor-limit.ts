/**
 * Whether the process may open as many files as the configuration wants connections. Node and Bun raise the soft limit
 * to the hard one when they start, so what counts is the hard one.
 */
import { readFileSync } from 'node:fs'
import type { Config } from '../config/options.ts'

/** What the process needs beside its connections: standard streams, log, listening sockets, the runtime's own. */
const OWN_DESCRIPTORS = 40

/** How many files this process may open; undefined where the system does not tell, or sets no limit. */
function descriptorLimit(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return soft === undefined ? undefined : Number(soft)
  } catch {
    return undefined
  }
}

/** The warning where `limit` is too low for all clients and the servers of one pool; otherwise none. */
export function descriptorWarnings(config: Config, limit = descriptorLimit()): string[] {
  const { maxClientConn, poolSize, reservePoolSize } = config
  const servers = poolSize + reservePoolSize
  const needed = maxClientConn + servers + OWN_DESCRIPTORS
  if (limit === undefined || limit >= needed) return []
  return [
    `the limit of open files is ${limit}, but ${needed} may be needed: max_client_conn ${maxClientConn}, ` +
      `${servers} server connections for each database and user, ${OWN_DESCRIPTORS} of pgbun's own. ` +
      'Beyond the limit clients are not served. Raise it (ulimit -n, LimitNOFILE= in a systemd unit), ' +
      'or lower max_client_conn',
  ]
}
