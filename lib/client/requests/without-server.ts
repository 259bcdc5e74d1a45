/**
 * Input of a client that holds no server: what can be answered, or ignored, without one is not worth a lease.
 */

import type { Wire } from '../../net/wire.ts'
import { type Batch, RUN, STARTUP } from '../../protocol/batch.ts'
import { READY_IDLE } from '../../protocol/build.ts'
import { FRONTEND, frontendName } from '../../protocol/types.ts'
import type { EndReason, NamedError } from '../lifecycle/ending.ts'

/** A session that may end with what it has sent. */
interface LeavingSession {
  readonly wire: Wire
  end(reason: EndReason): void
  endWith(name: NamedError['name'], args?: NamedError['args']): void
}

/**
 * Take the segment at the cursor of `batch` without a server; false where it needs one.
 * @param refusesQueries a Query message ends the session (`disable_pqexec`)
 */
export function takeWithoutServer(session: LeavingSession, batch: Batch, refusesQueries: boolean): boolean {
  const type = batch.type(batch.cursor)
  switch (type) {
    case FRONTEND.Sync:
      // Nothing is outstanding and no transaction open: PostgreSQL would say just this.
      session.wire.write(READY_IDLE)
      batch.cursor++
      return true
    case FRONTEND.Flush:
    // What a client still sends of a COPY that failed: the server would ignore it, too ("COPY Operations").
    case FRONTEND.CopyDone:
    case FRONTEND.CopyFail:
    case RUN:
      batch.cursor++
      return true
    case FRONTEND.Query:
      if (!refusesQueries) return false
      batch.cursor = batch.count
      leave(session, type)
      return true
    case FRONTEND.Terminate:
    case FRONTEND.Password:
    case STARTUP:
      batch.cursor = batch.count
      leave(session, type)
      return true
    default:
      return false
  }
}

/** A message of `type` ends the session. */
export function leave(session: LeavingSession, type: number): void {
  const names = type === FRONTEND.Bind || type === FRONTEND.Parse
  const what = names ? `too long a name in ${frontendName(type)}` : `unexpected ${frontendName(type)}`
  if (type === FRONTEND.Terminate) session.end({ kind: 'terminated' })
  else if (type === FRONTEND.Query) session.endWith('pqexec_disallowed')
  else session.endWith('protocol_violation', { args: { what } })
}
