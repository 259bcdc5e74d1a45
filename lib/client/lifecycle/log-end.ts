/** The log line of a session's end: every end has one, at the level its reason deserves. Its message says what happened. */

import { now } from '../../util/clock.ts'
import type { Activity } from './activity.ts'
import type { ClientInfo } from './client-info.ts'
import type { ClientState } from './client-state.ts'
import type { Ending, EndReason } from './ending.ts'
import type { ClientPorts } from './ports.ts'

/** The session that ends. */
interface EndedSession {
  readonly info: ClientInfo
  readonly activity: Activity
  readonly ports: ClientPorts
}

/** Log that `session` ended in `phase`. */
export function logEnd(session: EndedSession, reason: EndReason, ending: Ending, phase: ClientState): void {
  const { config, log } = session.ports
  const left = reason.kind === 'disconnected' || reason.kind === 'terminated'
  const wanted = ending.poolerError ? config.logPoolerErrors : config.logDisconnections
  if (!wanted && ending.level !== 'error') return
  // Whoever leaves before it was to say anything is a health probe, or asks its user for the password: no news.
  const level = left && session.activity.silent ? 'debug' : ending.level
  const { fields } = ending
  log[level](headline(session, reason, ending, phase), {
    ...session.info.about(),
    by: ending.fromServer ? 'PostgreSQL' : undefined,
    reason: ending.reason,
    detail: fields?.detail?.trim() || undefined,
    hint: fields?.hint === ending.remedy ? undefined : fields?.hint,
    sqlstate: fields?.sqlstate,
    remedy: ending.remedy,
    age_ms: Math.round(now() - session.info.connectedAt),
    err: ending.fault,
  })
}

function headline(session: EndedSession, reason: EndReason, { text, poolerError }: Ending, phase: ClientState): string {
  if (reason.kind === 'cancel-request') return 'cancel request'
  if (reason.kind === 'no-startup') return `connection closed before its login: ${text}`
  const loggingIn = phase === 'startup' || phase === 'login'
  if (poolerError && loggingIn) return `client refused: ${text}`
  const told = text === '' ? '' : `: ${text}`
  return loggingIn
    ? `client left before it was logged in${told}`
    : `client disconnected${during(session, reason, phase)}${told}`
}

/** What the client leaves unfinished. */
function during({ activity }: EndedSession, { kind }: EndReason, phase: ClientState): string {
  if (kind === 'disconnected' && phase === 'waiting') return ' while waiting for a server connection'
  // What was sent whole before a Terminate comes to its end.
  if (kind === 'disconnected' && activity.running) return ' while its request ran, which is canceled'
  if ((kind === 'disconnected' || kind === 'terminated') && activity.transactionSince > 0 && !activity.running) {
    return ' in a transaction, which is rolled back'
  }
  return ''
}
