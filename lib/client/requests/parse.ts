/** A Parse of a client of transaction or statement mode: whose statement it becomes, and what running it may leave behind. */

import { type Batch, LAST } from '../../protocol/batch.ts'
import { FORWARD, PARSE } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { factsOf, NO_FACTS, UNKNOWN_CODE } from '../../sql/facts.ts'
import { SEQUENCE } from '../../sql/state-effects.ts'
import { textOf } from '../../statements/shared-statements.ts'
import { noteSequence, noteUnmovable } from '../state/note-effects.ts'
import { FAILING_NAMED_PARSE, FAILING_PARSE, refuseState } from '../statements/refused-state.ts'
import { unnamedOf } from '../statements/unnamed-statement.ts'
import type { MessageContext } from './message-context.ts'
import { knownFingerprint } from './text-fingerprint.ts'

/** Message `i` of `batch`, a Parse, is sent to `server`. */
export function onParse(context: MessageContext, server: ServerConnection, batch: Batch, i: number): void {
  const whole = (batch.flags(i) & LAST) !== 0
  // The first byte of the body ends an empty name.
  const named = batch.buffer(i)[batch.start(i) + 5] !== 0
  const client = context.effects
  if (named) client.pool.counters.clientParses++
  if (whole && !named) {
    const again = context.unnamed.repeated(batch, i)
    if (again !== undefined) {
      // Its text leaves nothing behind: there is nothing to refuse, and nothing to note before it is bound.
      context.unnamed.stays = noteUnmovable(client, server, false, true)
      context.unnamed.onParse(server, again, context.pending.batch)
      return
    }
  }
  const text = batch.bodyOf(i)
  const facts = whole ? factsOf(textOf(text.subarray(text.indexOf(0) + 1))) : UNKNOWN_CODE
  const { effects } = facts
  const movable = !named || context.shares
  const refused = whole && (effects !== 0 || !movable) ? refuseState(client, facts, !movable) : undefined
  if (refused !== undefined) {
    context.owner.logRefused(refused.fields)
    if (named) server.plan.expect(PARSE, FORWARD, refused)
    else context.unnamed.onParse(server, unnamedOf(FAILING_PARSE, NO_FACTS), context.pending.batch, refused)
    context.rewrite.prefix = named ? FAILING_NAMED_PARSE : FAILING_PARSE
    context.rewrite.omit = true
    return
  }
  if ((effects & SEQUENCE) !== 0) noteSequence(client, server, effects)
  if (named && effects !== 0) client.notePrepared(effects)
  const own = context.beforeExecute(server, facts)
  if (whole && named && context.shares) {
    const before = context.made(server).spoken.beforeParse(server, batch.bytesOf(i), context.pending.batch)
    const refused = context.made(server).prepared.onParse(server, batch.bytesOf(i), facts)
    if (refused !== undefined) context.owner.logRefused(refused)
    context.putInFront(before)
    context.putInFront(own)
    return
  }
  context.rewrite.prefix = own
  const pins = noteUnmovable(client, server, named, whole)
  if (!named) {
    context.unnamed.stays = pins
    const message = whole ? batch.bytesOf(i) : undefined
    context.unnamed.onParse(server, unnamedOf(message, facts, knownFingerprint(batch, i)), context.pending.batch)
    return
  }
  // Under a name of the client's: only DISCARD ALL takes it away before the next client comes.
  server.content.names.leaveNameless()
  if (whole) server.plan.expect(PARSE)
  else context.made(server).prepared.onLongParse(server, batch.bytesOf(i), pins)
}
