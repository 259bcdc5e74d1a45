/** Who one client is and where it comes from: known after its login, and the same from then on. */

import type { ReplicationMode } from '../../protocol/replication-mode.ts'
import { now } from '../../util/clock.ts'
import type { LogFields } from '../../util/logger.ts'

/** Where a client comes from, and how. */
export interface ClientOrigin {
  /** Readable: `127.0.0.1:53210`, or `unix`. */
  address: string
  /** Whose guesses at passwords are counted together: see net/neighbourhood. */
  neighbourhood: string
  /** It cannot have come over a network: loopback or unix socket. */
  local: boolean
  unix: boolean
  /** TLS version and cipher, or '' for a plain connection. */
  tls: string
  /** Hash of our certificate (RFC 5929) where the connection is TLS. */
  tlsEndPointHash?: Buffer
}

let nextId = 1

/** The identity of one client. Written by its login alone. */
export class ClientInfo {
  readonly id = nextId++
  readonly origin: ClientOrigin
  readonly connectedAt = now()
  user = ''
  database = ''
  applicationName = ''
  /** Whether the client talks to a walsender of its own. */
  replication: ReplicationMode = 'none'
  /** Own cancel key; the secret as latin1, because a Buffer of its own takes 300 bytes. */
  pid = 0
  secret = ''

  constructor(origin: ClientOrigin) {
    this.origin = origin
  }

  /** What a log line says of the client. */
  about(): LogFields {
    const { id, user, database, origin } = this
    return { client: id, user: user || undefined, database: database || undefined, address: origin.address }
  }
}
