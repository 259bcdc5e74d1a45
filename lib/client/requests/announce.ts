/**
 * What the reply plan is told of a message that is sent as it is: in session mode of every one, in the others of those
 * that name no statement. Called by upstream.ts.
 */

import type { Batch } from '../../protocol/batch.ts'
import { FRONTEND } from '../../protocol/types.ts'
import {
  BIND,
  CLOSE,
  COPY_END,
  DESCRIBE,
  EXECUTE,
  FUNCTION_CALL,
  PARSE,
  QUERY,
  SYNC,
} from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { noteReset } from '../state/note-effects.ts'

/** Message `i` of `batch` is sent to `server`. */
export function announce(
  client: ClientEffects,
  { plan }: ServerConnection,
  type: number,
  batch: Batch,
  i: number,
): void {
  switch (type) {
    case FRONTEND.Query:
    case FRONTEND.Parse:
      noteReset(client, batch.bodyOf(i))
      plan.expect(type === FRONTEND.Query ? QUERY : PARSE)
      return
    case FRONTEND.Bind:
      plan.expect(BIND)
      return
    case FRONTEND.Describe:
      plan.expect(DESCRIBE)
      return
    case FRONTEND.Close:
      plan.expect(CLOSE)
      return
    case FRONTEND.Execute:
      plan.expect(EXECUTE)
      return
    case FRONTEND.Sync:
      plan.expect(SYNC)
      return
    case FRONTEND.FunctionCall:
      plan.expect(FUNCTION_CALL)
      return
    case FRONTEND.CopyDone:
    case FRONTEND.CopyFail:
      plan.expect(COPY_END)
      return
    // CopyData and Flush ask for nothing.
  }
}
