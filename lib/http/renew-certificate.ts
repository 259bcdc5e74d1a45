/**
 * A new certificate for a server of HTTPS that listens (R19). Node's server takes one; Bun's has no way to, and is replaced by
 * another one at the same address.
 */

import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { SecureContextOptions } from 'node:tls'

/** Show the certificate of `options` from now on. False where the runtime cannot: another server has to be made. */
export function renewCertificate(server: Server | TlsServer, options: SecureContextOptions): boolean {
  if (!('setSecureContext' in server)) return false
  server.setSecureContext(options)
  return true
}
