/**
 * Whether an ident server (RFC 1413) of this machine could have told PostgreSQL which account pgbun runs as: it asks
 * the address that a connection came from, at port 113. The protocol does not show that it did.
 */
import { connect } from 'node:net'
import { after } from '../util/clock.ts'
import { ignoreError } from './starttls.ts'

const IDENT_PORT = 113
/** Longest time for an answer: on this machine it takes none. */
const PATIENCE_MS = 1000

/** True where nobody listens at the ident port of `address`: only then nobody was asked. */
export function isIdentClosed(address: string, port = IDENT_PORT): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, autoSelectFamily: false })
    const end = (closed: boolean): void => {
      cancel()
      socket.destroy()
      resolve(closed)
    }
    const cancel = after(PATIENCE_MS, () => end(false))
    socket.on('error', ignoreError)
    socket.once('connect', () => end(false))
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED'))
  })
}
