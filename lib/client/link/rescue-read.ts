/**
 * A read that was sent to a standby which is gone, or hangs, and that has answered nothing: it is sent to the primary, and
 * its client notices nothing. Called by server-link.ts.
 */

import { requestsIn } from '../../protocol/requests-in.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { LinkedSession } from '../lifecycle/linked-session.ts'
import type { Requests } from '../requests/requests.ts'
import type { PoolChoice } from './pool-choice.ts'

/** `server`, which the client had, is gone: send what it was to answer to the primary. False where that cannot be. */
export function rescueRead(
  session: LinkedSession,
  requests: Requests,
  choice: PoolChoice,
  server: ServerConnection,
): boolean {
  if (session.state !== 'active' || session.closing === 'between transactions' || !choice.canRescue) return false
  requests.upstream.settled(server)
  session.activity.answered()
  session.activity.transactionSince = 0
  session.setState('idle')
  sendAgain(session, choice)
  session.pump()
  return true
}

/** The server at hand has answered, and is `idle`: an error that the primary may not have is not the answer. */
export function finishRead(session: LinkedSession, choice: PoolChoice, idle: boolean): void {
  if (choice.failed && idle) sendAgain(session, choice)
  tellHeld(session, choice)
}

/** Whether `bytes` of an answer are held back; otherwise the client is told what was before. */
export function holdsBack(session: LinkedSession, choice: PoolChoice, bytes: Buffer): boolean {
  if (choice.holds(bytes)) return true
  tellHeld(session, choice)
  return false
}

function tellHeld(session: LinkedSession, choice: PoolChoice): void {
  for (const part of choice.takeHeld()) {
    choice.current.counters.sent += part.length
    session.wire.write(part)
  }
}

/** Send the request to the primary when the lease is over. */
function sendAgain(session: LinkedSession, choice: PoolChoice): void {
  const request = choice.rescue()
  if (request === undefined) return
  session.putBack(requestsIn(request))
}
