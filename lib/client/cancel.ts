/** What reaches a session from outside of its two connections: cancel requests, and the end of the process. */

import { errorFields } from '../errors.ts'
import { forgetsSequences } from '../pool/cleanup.ts'
import { afterTurn, delay, now } from '../util/clock.ts'
import type { ClientSession } from './session.ts'

/**
 * So many passes of the event loop a cancel request waits for what its client has sent before: both arrive together, and
 * the runtime reads them in any order. One pass would do where a socket is read when it becomes readable; a TLS socket
 * may have been readable for something else.
 */
const PASSES = 3
/** PostgreSQL ignores a request that arrives before it has read the query. Of an older query it has. */
const YOUNG_MS = 100
/** Pause before such a request is repeated, and how often that is done. */
const REPEAT_MS = 20
const REPEATS = 3
/** Pause between two looks at a server that still answers to pgbun. */
const LOOK_MS = 2

/**
 * Somebody presented the client's cancel key. Resolves when nothing the client sends from then on can be hit: the
 * canceller sees its connection closed only then.
 */
export async function cancelSession(session: ClientSession): Promise<void> {
  for (let pass = 0; pass <= PASSES; pass++) {
    if (pass > 0) await new Promise<void>(afterTurn)
    if (runs(session)) {
      await cancelRunning(session)
      return
    }
    if (refuseWaiting(session)) return
  }
}

/** The request at hand has been sent to a server. */
function runs(session: ClientSession): boolean {
  return session.state === 'active' && session.activity.running
}

/** Cancel a request that was not sent; false where there is none. */
function refuseWaiting(session: ClientSession): boolean {
  if (session.state === 'waiting') {
    session.pool!.leave(session)
    session.onLeaseRefused(errorFields('canceled'))
    return true
  }
  if ((session.state !== 'linking' && session.state !== 'inspecting') || !session.hasInput) return false
  // What the server does for it meanwhile must come to its end.
  session.canceled = true
  return true
}

async function cancelRunning(session: ClientSession): Promise<void> {
  const { server } = session.lease!
  const { answered } = server
  const here = (): boolean => runs(session) && session.lease!.server === server && server.answered === answered
  const until = now() + session.ports.config.cancelWaitTimeout
  while (here() && forgetsSequences(server)) {
    // It would be hit instead, and leave another client's values there.
    if (now() > until) return
    await delay(LOOK_MS)
  }
  for (let repeats = 0; here(); repeats++) {
    const young = now() - session.activity.since < YOUNG_MS
    await session.ports.cancelServer(server)
    if (!young || repeats === REPEATS || !here() || server.closeReason !== undefined) return
    await delay(REPEAT_MS)
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
