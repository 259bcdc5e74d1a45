/**
 * What follows when a server has answered to a client's settings: the client goes on with it, or ends. A server that is
 * lost or held up by what another client left on it is given up for another one as long as the client has sent it
 * nothing and has nothing there.
 */

import { errorFields } from '../../errors.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'
import type { ClientSession } from '../session.ts'

/** That was canceled, or waited in vain for a lock: neither is about what was set. */
const HELD_UP = new Set(['57014', '55P03'])
/** So many servers in a row, and something else is wrong. */
const LIMIT = 3

/** Give up the server `session` was being linked to; false where that does not help. */
function giveUp(session: ClientSession, result: InternalQueryResult): boolean {
  if (result.kind === 'done' || (result.kind === 'error' && !HELD_UP.has(result.error.sqlstate))) return false
  if (session.relinks++ >= LIMIT) return false
  const lease = session.lease!
  session.lease = undefined
  session.setState('idle')
  if (result.kind === 'closed') lease.forfeit()
  else {
    // Not even this client gets it before it is reset.
    lease.server.content.disown()
    lease.release('done')
  }
  if (session.closing) session.endWith('admin_shutdown')
  else if (!refuseCanceled(session)) session.pump()
  return true
}

/** The request that waits was canceled before it could be sent: answer it, as one of a client in the queue. */
export function refuseCanceled(session: ClientSession): boolean {
  if (!session.canceled || session.state === 'linking' || session.state === 'closed') return false
  session.canceled = false
  session.onLeaseRefused(errorFields('canceled'))
  return true
}

/** The server has been given the client's settings, which has just got it. */
export function firstLinked(session: ClientSession, result: InternalQueryResult): void {
  // The client may have left meanwhile.
  if (session.state !== 'linking' || giveUp(session, result)) return
  session.relinks = 0
  if (session.canceled && result.kind === 'done' && !session.closing) {
    session.release(session.lease!)
    refuseCanceled(session)
  } else linked(session, result)
}

/** The server has been given the client's settings. */
export function linked(session: ClientSession, result: InternalQueryResult): void {
  if (session.state !== 'linking') return
  if (result.kind === 'done') {
    session.activate()
    session.takeOver(result.answer)
    if (session.closing) session.endWith('admin_shutdown')
    else if (!refuseCanceled(session)) session.pump()
  } else if (result.kind === 'error') {
    session.end({ kind: 'refused', fields: { ...result.error, severity: 'FATAL' } })
  } else session.onServerClosed(result.end)
}
