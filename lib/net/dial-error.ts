/** What can go wrong when dial opens a connection, in words an operator can act on. */

import { isIP } from 'node:net'
import { isUnixDirectory } from './unix-path.ts'

/** Where to. A host that begins with `/` or `@` is the directory of a unix socket. */
export interface DialTarget {
  host: string
  port: number
  /**
   * An IP address of the host, where the connection must go to that one: a cancel request belongs to the server that
   * runs the query, whatever the name means by now. The certificate must be the host's all the same.
   */
  address?: string
}

/** A connection that could not be opened. */
export class DialError extends Error {
  /** Of the operating system (ECONNREFUSED, ETIMEDOUT, ENOTFOUND, …), of ServerTlsError, or ABORTED. */
  readonly code: string
  constructor(code: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'DialError'
    this.code = code
  }
}

const REASONS: Record<string, string> = {
  EACCES: 'failed: permission denied',
  EADDRNOTAVAIL: 'failed: no local address or port is available',
  ECONNREFUSED: 'refused',
  ECONNRESET: 'was reset by the other side',
  EHOSTUNREACH: 'failed: no route to host',
  EMFILE: 'failed: too many open files (raise the limit, ulimit -n)',
  ENETUNREACH: 'failed: the network is unreachable',
  ENOENT: 'failed: there is no such socket',
  ETIMEDOUT: 'timed out (no answer)',
}

/** What became of an attempt to connect, in words. */
export function connectError(target: DialTarget, address: string | undefined, error: NodeJS.ErrnoException): DialError {
  const code = error.code ?? 'ECONNREFUSED'
  const reason = REASONS[code] ?? `failed: ${error.message}`
  return new DialError(code, `connection to ${describe(target, address)} ${reason}`, error)
}

/** A target for messages, with the address tried where the host is a name. */
export function describe({ host, port }: DialTarget, address: string | undefined): string {
  if (isUnixDirectory(host)) return `socket "${host}/.s.PGSQL.${port}"`
  const numeric = isIP(host) !== 0 || address === undefined || address === host
  return numeric ? `${host}, port ${port}` : `${host} (${address}), port ${port}`
}
