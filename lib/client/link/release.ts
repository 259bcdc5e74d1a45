/**
 * The moment between two transactions of a client: whether it keeps its server, and in which state. Where statements
 * gave reason to suspect session state, the server is asked first; settings follow the client, and what a RESET took
 * away that the startup packet asked for comes back. What cannot follow it pins it, ends its session, or is taken from
 * it, as `session_state` says; in no case is the server lent on with it.
 *
 * Called by server-link.ts when a server is settled and idle, with no half message of the client on its way.
 */

import type { Lease } from '../../pool/lease.ts'
import { parameterStatus } from '../../protocol/build.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { Setting } from '../../settings/client-settings.ts'
import { UNKNOWN_CODE } from '../../sql/facts.ts'
import { ANY } from '../../sql/state-effects.ts'
import type { Ask } from '../lifecycle/ask.ts'
import type { NamedError } from '../lifecycle/ending.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { questionOf } from '../state/state-question.ts'
import { applySome } from './apply-settings.ts'

/** The client whose lease may end. */
export interface ReleasingLink {
  readonly effects: ClientEffects
  onServerBytes(bytes: Buffer): void
  inspect(lease: Lease, ask: Ask, answered: () => void): void
  /** Apply settings: what the client sends waits until they are. */
  apply(lease: Lease, ask: Ask): void
  release(lease: Lease): void
  endWith(name: NamedError['name'], args: NamedError['args']): void
}

/** True where `lease` is to end now. Otherwise the client keeps it, perhaps after a question, or its session is over. */
export function mayRelease(link: ReleasingLink, lease: Lease): boolean {
  const { effects } = link
  const { remembered, transaction } = effects
  const { server } = lease
  if (server.plan.mixed) return false
  // Others use it: nothing can be asked, and it is closed if something was changed (pool/pipeline.ts).
  if (!lease.alone) return true
  if (effects.suspected) tell(link, transaction.untold(server))
  else transaction.passed()
  if (transaction.holdsOn()) return false
  if (server.content.functionsChanged && effects.mode !== 'session') {
    transaction.note(ANY, UNKNOWN_CODE)
    effects.functions.note(server.content)
  }
  if (effects.mode === 'session' || remembered.pinnedForGood) {
    if (effects.suspected) keep(link, lease, transaction.takeResets(server), true)
    return false
  }
  if (effects.parameters.usesTemporarySchema || createsTemporary(server)) transaction.suspectTemporary()
  if (!effects.suspected && !server.effects.touched) {
    transaction.settled()
    return remembered.pinned === ''
  }
  const question = questionOf(effects, server)
  if (question === undefined) return decide(link, lease)
  const answered = (): void => {
    tell(link, question.corrections())
    if (decide(link, lease)) link.release(lease)
  }
  link.inspect(lease, (done) => question.ask(done), answered)
  return false
}

function tell(link: ReleasingLink, settings: readonly Setting[]): void {
  for (const { name, value = '' } of settings) link.onServerBytes(parameterStatus(name, value))
}

/** True where PostgreSQL reports, from version 18 on, that tables are created in the temporary schema by default. */
function createsTemporary({ settings }: ServerConnection): boolean {
  const path = settings.get('search_path')
  return path !== undefined && TEMPORARY_FIRST.test(path)
}

const TEMPORARY_FIRST = /^"?pg_temp/

function decide(link: ReleasingLink, lease: Lease): boolean {
  const { effects } = link
  const { remembered } = effects
  effects.transaction.settled()
  const { server } = lease
  switch (remembered.policy) {
    case 'pin':
      effects.pins.update(remembered, server)
      if (remembered.pinned === '') return true
      keep(link, lease, effects.parameters.difference(server.settings), false)
      return false
    case 'error':
      if (remembered.found === '') return true
      // It knows that its session, and all that was in it, is over: anything less, and it would go on without it.
      link.endWith('session_state_left', {
        args: { what: remembered.found },
        detail: 'The transaction has ended as reported; what it left in the session ends with this connection.',
        hint: 'With session_state = pin, the client would keep its server connection for as long as the state exists.',
      })
      return false
    case 'reset':
      if (remembered.found !== '') discard(link, lease)
      // Not even the same client gets it before it is reset: what is there must not depend on who was faster.
      if (server.content.dirty) server.content.disown()
      return true
  }
}

/** Take from the client what cannot follow it. */
function discard({ effects }: ReleasingLink, { server }: Lease): void {
  const { remembered } = effects
  server.content.leftState()
  effects.pins.discarded(remembered)
  remembered.forget()
  effects.parameters.forgetUnreadable()
}

function keep(link: ReleasingLink, lease: Lease, settings: readonly Setting[], asItIs: boolean): void {
  // Which limits such a client has set need not be known.
  link.apply(lease, (done) => applySome(lease.server, link.effects.parameters, settings, asItIs, done))
}
