/** From an accepted socket to a session: encryption first, then the wire with its framer and the client on it. */

import type { Socket } from 'node:net'
import { tlsServerEndPoint } from '../auth/cert-hash.ts'
import type { ClientOrigin, ClientPorts } from '../client/ports.ts'
import { ClientSession } from '../client/session.ts'
import { negotiateClientEncryption } from '../net/client-encryption.ts'
import type { ConnectionInfo } from '../net/listener.ts'
import type { TlsStore } from '../net/tls-context.ts'
import { Wire } from '../net/wire.ts'
import { Scanner } from '../protocol/scanner.ts'
import { FRONTEND_TABLE, frontendName } from '../protocol/types.ts'
import type { Registry } from './registry.ts'

/** What a new client needs. */
export interface AcceptParts {
  ports: ClientPorts
  registry: Registry
  tls: TlsStore
}

/** Make a session of `raw`. Never rejects. */
export async function acceptClient(raw: Socket, info: ConnectionInfo, parts: AcceptParts): Promise<void> {
  const { config, log } = parts.ports
  const address = info.unix ? 'unix' : `${info.remoteAddress}:${info.remotePort}`
  const result = await negotiateClientEncryption(raw, {
    mode: config.clientTlsMode,
    context: parts.tls.current,
    timeoutMs: config.clientLoginTimeout,
  })
  if (result.closed !== undefined) {
    const level = result.closed === 'probe' ? 'debug' : 'info'
    log[level]('connection closed before its login', { address, reason: result.message })
    return
  }
  const { socket, initial, tls } = result
  const origin: ClientOrigin = {
    address,
    local: info.unix || info.loopback,
    unix: info.unix,
    tls: tls ? `${tls.protocol}/${tls.cipher}` : '',
    tlsEndPointHash: tls && tlsServerEndPoint(tls.ownCertificate),
  }
  const scanner = new Scanner(FRONTEND_TABLE, { startup: true, cap: config.maxPacketSize, name: frontendName })
  const session = new ClientSession((handler) => new Wire(socket, scanner, handler), origin, parts.ports)
  parts.registry.add(session)
  session.wire.start(initial)
}
