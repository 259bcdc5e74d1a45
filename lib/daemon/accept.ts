/** From an accepted socket to a session: encryption first, then the wire with its framer and the client on it. */

import type { Socket } from 'node:net'
import type { ClientOrigin } from '../client/lifecycle/client-info.ts'
import type { ClientPorts } from '../client/lifecycle/ports.ts'
import { ClientSession } from '../client/session.ts'
import { type ClientEncryption, negotiateClientEncryption } from '../net/client-encryption.ts'
import type { Deadlines } from '../net/deadlines.ts'
import type { ConnectionInfo } from '../net/listener.ts'
import { neighbourhoodOf } from '../net/neighbourhood.ts'
import type { TlsStore } from '../net/tls-context.ts'
import { Wire } from '../net/wire.ts'
import { Scanner } from '../protocol/scanner.ts'
import { FRONTEND_TABLE, frontendName } from '../protocol/types.ts'
import { asError } from '../util/logger.ts'
import type { Newcomers } from './newcomers.ts'
import type { Registry } from './registry.ts'

/** What a new client needs. */
export interface AcceptParts {
  ports: ClientPorts
  registry: Registry
  newcomers: Newcomers
  tls: TlsStore
  /** Clients whose first bytes are awaited. */
  deadlines: Deadlines
}

/** Make a session of `raw`. Never throws. */
export function acceptClient(raw: Socket, info: ConnectionInfo, parts: AcceptParts): void {
  const { config, log } = parts.ports
  const { tls, deadlines, newcomers } = parts
  newcomers.add(raw)
  const options = {
    context: tls.current,
    local: isLocal(info),
    timeoutMs: config.clientLoginTimeout,
    deadlines,
  }
  negotiateClientEncryption(raw, options, (outcome) => {
    try {
      makeSession(outcome, info, parts, raw)
    } catch (error) {
      // We are called by the socket: nobody else catches this (R20).
      newcomers.remove(raw)
      raw.destroy()
      log.error('internal error of pgbun', { address: addressOf(info), err: asError(error) })
    }
  })
}

function isLocal({ unix, loopback }: ConnectionInfo): boolean {
  return unix || loopback
}

function addressOf(info: ConnectionInfo): string {
  return info.unix ? 'unix' : `${info.remoteAddress}:${info.remotePort}`
}

function makeSession(outcome: ClientEncryption, info: ConnectionInfo, parts: AcceptParts, raw: Socket): void {
  const { config, log } = parts.ports
  const address = addressOf(info)
  if (outcome.closed !== undefined) {
    parts.newcomers.remove(raw)
    const refused = outcome.closed === 'certificate' || outcome.closed === 'protocol' || outcome.closed === 'tls'
    if (refused && config.logPoolerErrors) log.warn(`client refused: ${outcome.message}`, { address })
    else if (!refused && config.logDisconnections) {
      const level = outcome.closed === 'probe' ? 'debug' : 'info'
      log[level](`connection closed before its login: ${outcome.message}`, { address })
    }
    return
  }
  const { socket, initial, tls } = outcome
  const origin: ClientOrigin = {
    address,
    neighbourhood: info.unix ? 'unix' : neighbourhoodOf(info.remoteAddress),
    local: isLocal(info),
    unix: info.unix,
    tls: tls ? `${tls.protocol}/${tls.cipher}` : '',
    tlsEndPointHash: tls?.endPointHash,
  }
  const scanner = new Scanner(FRONTEND_TABLE, { startup: true, cap: config.maxPacketSize, name: frontendName })
  const session = new ClientSession((handler) => new Wire(socket, scanner, handler), origin, parts.ports)
  parts.registry.add(session, () => parts.newcomers.remove(raw))
  session.wire.start(initial)
}
