/** What reaches a session from outside of its two connections: cancel requests, and the end of the process. */

import { errorFields } from '../errors.ts'
import type { ClientSession } from './session.ts'

/** Somebody presented the client's cancel key; resolves when PostgreSQL has been told. */
export async function cancelSession(session: ClientSession): Promise<void> {
  if (session.state === 'waiting') {
    session.pool!.leave(session)
    session.onLeaseRefused(errorFields('canceled'))
  } else if ((session.state === 'linking' || session.state === 'asking') && session.hasInput) {
    // Its request has not been sent; what the server does for it meanwhile must come to its end.
    session.canceled = true
  } else if (session.state === 'active' && session.running) {
    await session.ports.cancelServer(session.lease!.server)
  }
}

/**
 * The process shuts down: end now if nothing runs, otherwise when the transaction ends. A replication stream has no end to
 * wait for; it ends behind a whole message.
 */
export function shutDownSession(session: ClientSession): void {
  if (session.state === 'closed') return
  session.closing = true
  const { lease } = session
  if (lease === undefined || lease.server.settled || lease.server.streaming) session.endWith('admin_shutdown')
}
