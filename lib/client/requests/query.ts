/** A Query of a client of transaction or statement mode: what it may leave behind, and what it says of statements. */

import { type Batch, LAST } from '../../protocol/batch.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { factsOf } from '../../sql/facts.ts'
import { PREPARED } from '../../sql/state-effects.ts'
import { noteEffects } from '../state/note-effects.ts'
import type { DeallocatingQuery } from '../statements/deallocating-query.ts'
import { queryText } from '../statements/message-kinds.ts'
import { FAILING_QUERY, refuseState } from '../statements/refused-state.ts'
import { SPEAKS } from '../statements/sql-statements.ts'
import { LongQuery } from './long-query.ts'
import type { MessageContext } from './message-context.ts'

/** Message `i` of `batch`, a Query, is sent to `server`. */
export function onQuery(context: MessageContext, server: ServerConnection, batch: Batch, i: number): void {
  let deallocating: DeallocatingQuery | undefined
  if ((batch.flags(i) & LAST) === 0) {
    context.long = new LongQuery(context.effects, server, batch.bodyOf(i))
    context.pending.wait()
  } else {
    const sql = queryText(batch, i)
    const facts = factsOf(sql)
    const { effects } = facts
    const refused = effects === 0 ? undefined : refuseState(context.effects, facts, false)
    if (refused !== undefined) {
      context.owner.logRefused(refused.fields)
      context.unnamed.onQuery(server, context.pending.batch, refused)
      context.rewrite.prefix = FAILING_QUERY
      context.rewrite.omit = true
      return
    }
    noteEffects(context.effects, server, facts, sql)
    if ((effects & SPEAKS) !== 0)
      context.rewrite.prefix = context.made(server).spoken.onQuery(server, facts, context.pending.batch)
    context.pending.over()
    if ((effects & PREPARED) !== 0 && facts.statements.mayDeallocate) {
      context.pending.wait()
      deallocating = context.made(server).spoken.refOf(server, facts)
    }
  }
  context.unnamed.onQuery(server, context.pending.batch, deallocating)
  // In a batch that failed it does nothing, and only the Sync behind it will be answered.
  if (server.plan.skipping) context.pending.over()
}
