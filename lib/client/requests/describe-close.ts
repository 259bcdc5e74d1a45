/** Describe and Close of a client of transaction or statement mode: its statements have other names on the server. */

import type { Batch } from '../../protocol/batch.ts'
import { CLOSE, DESCRIBE } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { NO_FACTS, UNKNOWN_CODE } from '../../sql/facts.ts'
import { PREPARED } from '../../sql/state-effects.ts'
import { STATEMENT_PREFIX } from '../../statements/server-statements.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { isUnnamed, kindOf, STATEMENT } from '../statements/message-kinds.ts'
import type { MessageContext } from './message-context.ts'

/** Message `i` of `batch`, a Describe, is sent to `server`. */
export function onDescribe(context: MessageContext, server: ServerConnection, batch: Batch, i: number): void {
  if (kindOf(batch, i) !== STATEMENT) {
    server.plan.expect(DESCRIBE)
    return
  }
  if (context.made(server).prepared.onDescribe(server, batch.bytesOf(i))) return
  if (!isUnnamed(batch.bodyOf(i))) {
    server.plan.expect(DESCRIBE)
    return
  }
  const { unnamed } = context
  const own = context.beforeExecute(server, unnamed.current?.facts ?? NO_FACTS)
  context.rewrite.prefix = unnamed.onDescribe(server, context.pending.batch)
  context.putInFront(own)
}

/** Message `i` of `batch`, a Close, is sent to `server`. */
export function onClose(context: MessageContext, server: ServerConnection, batch: Batch, i: number): void {
  if (context.made(server).prepared.onClose(server, batch.bytesOf(i))) return
  const body = batch.bodyOf(i)
  if (isUnnamed(body)) context.unnamed.onClose(server, context.pending.batch)
  else if (closesStrange(context.effects, server, body)) context.rewrite.omit = true
  else server.plan.expect(CLOSE)
}

const NOBODY = { answered(): void {}, dropped(): void {} }

/**
 * A Close with `body` of a statement the client has not prepared by the protocol. Returns true where it is answered here: it
 * names what clients share. What SQL has prepared goes with it, and so may the reason for which the client keeps its server.
 */
function closesStrange({ transaction }: ClientEffects, server: ServerConnection, body: Buffer): boolean {
  if (body[0] !== STATEMENT) return false
  if (body.toString('latin1', 1, 1 + STATEMENT_PREFIX.length) === STATEMENT_PREFIX) {
    server.expectFake(CLOSE, NOBODY)
    return true
  }
  if (server.content.sqlPrepared) transaction.note(PREPARED, UNKNOWN_CODE)
  return false
}
