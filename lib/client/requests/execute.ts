/** An Execute of a client of transaction or statement mode: the portal may be one of a statement that deallocates others. */

import type { Batch } from '../../protocol/batch.ts'
import { EXECUTE } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { MessageContext } from './message-context.ts'

/** Message `i` of `batch`, an Execute, is sent to `server`. */
export function onExecute(context: MessageContext, server: ServerConnection, batch: Batch, i: number): void {
  const { parts, pending } = context
  context.unnamed.onExecute()
  if (!parts?.spoken.bound) {
    server.plan.expect(EXECUTE)
    return
  }
  // Before it is announced: behind an error that is its end.
  pending.waitForExecute()
  if (!parts.spoken.onExecute(server, batch.bodyOf(i), pending.lift)) pending.over()
}
