/**
 * The moment between two transactions of a client: whether it keeps its server, and in which state. Where statements
 * gave reason to suspect session state, the server is asked first; settings follow the client, what cannot be moved
 * pins it, and what a RESET took away that the startup packet asked for comes back.
 *
 * Called by session.ts when a server is settled and idle, with no half message of the client on its way.
 */

import type { Lease } from '../pool/lease.ts'
import type { TaskResult } from '../server/task.ts'
import type { Setting } from '../session/parameters.ts'
import { applyAll } from './link.ts'
import type { ClientSession } from './session.ts'

/** True where the lease of `session` is to end now. Otherwise the session keeps it, perhaps after a question. */
export function mayRelease(session: ClientSession, lease: Lease): boolean {
  const { remembered } = session
  const { server } = lease
  if (session.mode === 'session' || remembered.pinnedForGood) {
    if (remembered.suspected) keep(session, lease, remembered.resetSettings(server))
    return false
  }
  if (!remembered.suspected && !server.touched) return remembered.pinned === ''
  const before = remembered.pinned
  if (!remembered.resolve(server, (result) => resolved(session, lease, result, before))) {
    session.setState('asking')
    return false
  }
  return decide(session, lease, before)
}

function decide(session: ClientSession, lease: Lease, before: string): boolean {
  const { pinned } = session.remembered
  if (pinned === '') return true
  if (pinned !== before) session.logPin()
  keep(session, lease, session.parameters.difference(lease.server))
  return false
}

function keep(session: ClientSession, { server }: Lease, settings: readonly Setting[]): void {
  if (applyAll(server, session.parameters, settings, (result) => session.linked(result))) return
  session.setState('linking')
}

/** The server has told what the last transaction left in its session. */
function resolved(session: ClientSession, lease: Lease, result: TaskResult, before: string): void {
  // The client may have left meanwhile.
  if (session.state !== 'asking') return
  if (result.kind === 'closed') {
    session.onServerClosed(result.end)
    return
  }
  session.setState('active')
  lease.server.lend(session, 'active')
  for (const notification of result.answer.notifications()) session.onServerBytes(notification)
  if (decide(session, lease, before)) session.release(lease)
  session.pump()
}
