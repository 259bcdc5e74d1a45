/**
 * PostgreSQL let pgbun in and asked for no password: would it have let in any other account of this machine, too?
 *
 * "Not asked for a password" is not "proven", and the protocol does not show which line of pg_hba.conf it was. `peer` and
 * `ident` go by the account that pgbun runs as, `cert` and `clientcert` by the certificate that it shows, `trust` for an
 * address by where it runs. All that is left without these is `trust` for this machine. So the way that pgbun came is
 * looked at: over TCP from the same machine, without a certificate, and with nobody at the ident port, PostgreSQL knows
 * nothing of pgbun that is not true of every program here.
 */

import { isIdentClosed } from '../net/ident-port.ts'

/** How a connection reached PostgreSQL. */
export interface ServerWay {
  unix: boolean
  /** IP address of the server, or a label of its unix socket. */
  remoteAddress: string
  /** IP address that PostgreSQL sees. */
  localAddress: string | undefined
  /** pgbun may have shown a certificate of its own. */
  certificate: boolean
}

/** What PostgreSQL may have let pgbun in for, as a clause; '' where any program of this machine would have done. */
export async function ownMerit(way: ServerWay): Promise<string> {
  if (way.unix) return 'it is reached by its unix socket, where it may know the account that pgbun runs as (peer)'
  if (way.certificate) return 'pgbun shows it a certificate (server_tls_cert_file)'
  if (!isLoopback(way.remoteAddress)) return 'it is not reached by a loopback address, and may trust this host'
  const { localAddress } = way
  if (localAddress === undefined || !isLoopback(localAddress)) return 'it does not see a loopback address'
  if (await isIdentClosed(localAddress)) return ''
  return `the ident port of ${localAddress} is not closed, so it may know the account that pgbun runs as (ident)`
}

/** True for an IP address of this machine's loopback range. */
export function isLoopback(ip: string): boolean {
  return ip === '::1' || /^(::ffff:)?127\./.test(ip)
}
