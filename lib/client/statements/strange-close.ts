/** A Close of a statement the client has not prepared by the protocol. Called by upstream.ts. */

import { CLOSE } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { PREPARED } from '../../sql/state-effects.ts'
import { STATEMENT_PREFIX } from '../../statements/server-statements.ts'
import { STATEMENT } from '../requests/message-kinds.ts'
import type { ClientEffects } from '../state/client-effects.ts'

const NOBODY = { answered(): void {}, dropped(): void {} }

/**
 * A Close with `body`. Returns true where it is answered here: it names what clients share. What SQL has prepared goes
 * with it, and so may the reason for which the client keeps its server.
 */
export function closesStrange(client: ClientEffects, server: ServerConnection, body: Buffer): boolean {
  if (body[0] !== STATEMENT) return false
  if (body.toString('latin1', 1, 1 + STATEMENT_PREFIX.length) === STATEMENT_PREFIX) {
    server.expectFake(CLOSE, NOBODY)
    return true
  }
  if (server.content.sqlPrepared) client.remembered.note(PREPARED, '')
  return false
}
