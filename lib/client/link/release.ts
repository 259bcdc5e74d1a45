/**
 * The moment between two transactions of a client: whether it keeps its server, and in which state. Where statements
 * gave reason to suspect session state, the server is asked first; settings follow the client, and what a RESET took
 * away that the startup packet asked for comes back. What cannot follow it pins it, ends its session, or is taken from
 * it, as `session_state` says; in no case is the server lent on with it.
 *
 * Called by session.ts when a server is settled and idle, with no half message of the client on its way.
 */

import type { Lease } from '../../pool/lease.ts'
import { parameterStatus } from '../../protocol/build.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'
import type { Setting } from '../../settings/client-settings.ts'
import { ANY } from '../../sql/state-effects.ts'
import type { ClientSession } from '../session.ts'
import { applySome } from './apply-settings.ts'
import { linked, refuseCanceled } from './linked.ts'

/** True where the lease of `session` is to end now. Otherwise the session keeps it, perhaps after a question, or is over. */
export function mayRelease(session: ClientSession, lease: Lease): boolean {
  const { remembered } = session
  const { server } = lease
  if (server.plan.mixed) return false
  if (remembered.suspected) {
    for (const { name, value = '' } of remembered.untold(server)) session.onServerBytes(parameterStatus(name, value))
  } else remembered.passed()
  if (session.holds > 0 && --session.holds > 0) return false
  if (server.content.functionsChanged && session.mode !== 'session') {
    remembered.note(ANY, '')
    session.pool!.functions.note(server.content)
  }
  if (session.mode === 'session' || remembered.pinnedForGood) {
    if (remembered.suspected) keep(session, lease, remembered.resetSettings(server), true)
    return false
  }
  if (session.parameters.usesTemporarySchema || createsTemporary(server)) remembered.suspectTemporary()
  if (!remembered.suspected && !server.effects.touched) {
    session.unsettled = false
    session.local = undefined
    return remembered.pinned === ''
  }
  if (!remembered.resolve(server, (result) => resolved(session, lease, result))) {
    session.setState('inspecting')
    return false
  }
  return decide(session, lease)
}

/** True where PostgreSQL reports, from version 18 on, that tables are created in the temporary schema by default. */
function createsTemporary({ settings }: ServerConnection): boolean {
  const path = settings.get('search_path')
  return path !== undefined && TEMPORARY_FIRST.test(path)
}

const TEMPORARY_FIRST = /^"?pg_temp/

function decide(session: ClientSession, lease: Lease): boolean {
  const { remembered } = session
  session.unsettled = false
  session.local = undefined
  const { server } = lease
  switch (remembered.policy) {
    case 'pin':
      session.pins.update(session)
      if (remembered.pinned === '') return true
      keep(session, lease, session.parameters.difference(server.settings), false)
      return false
    case 'error':
      if (remembered.found === '') return true
      // It knows that its session, and all that was in it, is over: anything less, and it would go on without it.
      session.endWith('session_state_left', {
        args: { what: remembered.found },
        detail: 'The transaction has ended as reported; what it left in the session ends with this connection.',
        hint: 'With session_state = pin, the client would keep its server connection for as long as the state exists.',
      })
      return false
    case 'reset':
      if (remembered.found !== '') discard(session, lease)
      // Not even the same client gets it before it is reset: what is there must not depend on who was faster.
      if (server.content.dirty) server.content.disown()
      return true
  }
}

/** Take from the client what cannot follow it. */
function discard(session: ClientSession, { server }: Lease): void {
  const { pool, ports, remembered } = session
  server.content.leftState()
  pool!.counters.stateDiscards++
  ports.log[session.discarded ? 'debug' : 'info']('session state ends with the transaction of its client', {
    ...session.info.about(),
    reason: remembered.found,
    remedy: 'session_state = pin keeps it',
  })
  session.discarded = true
  remembered.forget()
  session.parameters.forgetUnreadable()
}

function keep(session: ClientSession, { server }: Lease, settings: readonly Setting[], asItIs: boolean): void {
  // Which limits such a client has set need not be known.
  if (applySome(server, session.parameters, settings, asItIs, (result) => linked(session, result))) return
  session.setState('linking')
}

/** The server has told what the last transaction left in its session. */
function resolved(session: ClientSession, lease: Lease, result: InternalQueryResult): void {
  // The client may have left meanwhile.
  if (session.state !== 'inspecting') return
  if (result.kind === 'closed') {
    session.onServerClosed(result.end)
    return
  }
  session.setState('active')
  session.takeOver(result.answer)
  for (const { name, value = '' } of session.remembered.corrections()) {
    session.onServerBytes(parameterStatus(name, value))
  }
  if (session.closing) session.endWith('admin_shutdown')
  else if (decide(session, lease)) session.release(lease)
  if (!refuseCanceled(session)) session.pump()
}
