/**
 * What stands behind the prepared statements of one client: its names, what SQL says of them, how its messages are
 * rewritten, and the batch under way in case it is sent again. Made with the first message that may need it: many
 * clients never send one.
 */

import { ClientStatements } from '../session/client-statements.ts'
import { LastBatch } from './last-batch.ts'
import { parseSettings } from './parse-settings.ts'
import { PreparedStatements } from './prepared.ts'
import type { ClientSession } from './session.ts'
import { SpokenStatements } from './spoken-statements.ts'

/** The parts, of upstream.ts alone. */
export class StatementParts {
  readonly names: ClientStatements
  readonly spoken: SpokenStatements
  readonly prepared: PreparedStatements
  readonly last = new LastBatch()

  /** @param batch number of the client's batch under way */
  constructor(session: ClientSession, batch: number) {
    const { ports } = session
    this.names = new ClientStatements(ports.statements, session.user)
    this.spoken = new SpokenStatements(this.names)
    this.prepared = new PreparedStatements(
      this.names,
      () => ports.config,
      this.spoken,
      (server) => parseSettings(session, server),
    )
    this.prepared.batch = batch
  }
}
