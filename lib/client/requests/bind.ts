/** A Bind of a client of transaction or statement mode: the statement it names has to be on the server, and be the client's. */

import type { Batch } from '../../protocol/batch.ts'
import { BIND } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { NO_FACTS } from '../../sql/facts.ts'
import { noteNamed, noteUnnamed } from '../state/note-effects.ts'
import { bindsPlain, bindsUnnamed } from '../statements/message-kinds.ts'
import { SPEAKS } from '../statements/sql-statements.ts'
import type { MessageContext } from './message-context.ts'

/** Message `i` of `batch`, a Bind, is sent to `server`. */
export function onBind(context: MessageContext, server: ServerConnection, batch: Batch, i: number): void {
  const plain = bindsPlain(batch, i)
  const entry = plain ? false : context.made(server).prepared.onBind(server, batch.bytesOf(i))
  if (entry !== false) {
    if (context.rewrite.held) return
    context.effects.pool.counters.binds++
    const facts = entry === true ? NO_FACTS : entry.facts
    if (entry !== true) noteNamed(context.effects, server, entry)
    if (facts !== NO_FACTS || context.parts!.spoken.bound) context.parts!.spoken.onBind(batch.bodyOf(i), facts)
    return
  }
  if (plain || bindsUnnamed(batch.bodyOf(i))) {
    const { facts = NO_FACTS } = context.unnamed.current ?? {}
    noteUnnamed(context.effects, server, context.unnamed.current)
    const own =
      (facts.effects & SPEAKS) === 0
        ? undefined
        : context.made(server).spoken.beforeBind(server, facts, context.pending.batch)
    if (facts.text !== '' || context.parts?.spoken.bound) context.made(server).spoken.onBind(batch.bodyOf(i), facts)
    context.unnamed.onBind(server, context.pending.batch, context.rewrite)
    context.putInFront(own)
  } else server.plan.expect(BIND)
}
