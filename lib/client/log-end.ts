/** The log line of a session's end: every end has one, at the level its reason deserves. */

import { now } from '../util/clock.ts'
import type { Ending, EndReason } from './ending.ts'
import type { ClientSession } from './session.ts'
import type { ClientState } from './state.ts'

/** Log that `session` ended in `phase`. */
export function logEnd(session: ClientSession, reason: EndReason, ending: Ending, phase: ClientState): void {
  const { config, log } = session.ports
  // A connection that never said anything is a health probe, not news.
  const probe = phase === 'startup' && (reason.kind === 'disconnected' || reason.kind === 'terminated')
  const wanted = ending.poolerError ? config.logPoolerErrors : config.logDisconnections
  if (!wanted && ending.level !== 'error') return
  const level = probe ? 'debug' : ending.level
  log[level](ending.poolerError ? 'client connection ended by an error' : 'client disconnected', {
    ...session.about(),
    reason: ending.text,
    sqlstate: ending.fields?.sqlstate,
    remedy: ending.remedy,
    age: `${((now() - session.connectedAt) / 1000).toFixed(1)}s`,
  })
}
