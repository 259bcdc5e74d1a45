/**
 * What stands behind the prepared statements of one client: its names, what SQL says of them, how its messages are
 * rewritten, and the batch under way in case it is sent again. Made with the first message that may need it: many
 * clients never send one.
 */

import type { Batch } from '../../protocol/batch.ts'
import type { ErrorSummary } from '../../protocol/error-response.ts'
import { TX_IDLE } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { NOT_RUN, type PlanRef, REPEAT } from '../../server/ports.ts'
import { ClientStatements } from '../../statements/client-statements.ts'
import type { ClientPorts } from '../lifecycle/ports.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { describes, LastBatch } from './last-batch.ts'
import { NamedStatements } from './named-statements.ts'
import type { PendingNames } from './pending-names.ts'
import type { Rewrite } from './rewrite.ts'
import { SqlStatements } from './sql-statements.ts'
import { remedyFor } from './stale-statements.ts'
import { UnnamedStatement } from './unnamed-statement.ts'

/** The unnamed statement of one client. @param resume called when a message that is held can be looked at */
export function unnamedStatement(client: ClientEffects, resume: () => void): UnnamedStatement {
  return new UnnamedStatement((server) => client.parseSettings(server), resume)
}

/** The parts, of upstream.ts alone. */
export class StatementParts {
  readonly names: ClientStatements
  readonly spoken: SqlStatements
  readonly prepared: NamedStatements
  readonly last = new LastBatch()
  #again: Batch | undefined

  /**
   * @param pending what the client's messages wait for
   * @param rewrite where it is said what happens to a message
   */
  constructor(client: ClientEffects, ports: ClientPorts, pending: PendingNames, rewrite: Rewrite) {
    this.names = new ClientStatements(ports.statements.of(client.pool.database), client.pool.user)
    this.spoken = new SqlStatements(this.names)
    this.prepared = new NamedStatements(
      this.names,
      () => ports.config,
      this.spoken,
      (server) => client.parseSettings(server),
      rewrite,
      pending,
    )
  }

  /** A request begins on `server`: its batch could be sent again. */
  begin(server: ServerConnection): void {
    if (server.txStatus === TX_IDLE && server.plan.settled) this.last.begin()
  }

  /**
   * What the client is told where the request with the plan data `ref` failed (Consumer.onServerRefused).
   * @param waits something of the client's has not been sent yet: nothing can be sent before it
   * @param request the request, where it was sent among those of others and can be sent again apart from them
   */
  onRefused(
    server: ServerConnection,
    error: ErrorSummary,
    body: Buffer,
    ref: PlanRef,
    waits: boolean,
    request: Buffer | undefined,
  ): Buffer | undefined {
    const { repeat, entry, error: instead } = remedyFor(server, error, ref)
    if (repeat !== 'no' && !waits) {
      const always = repeat === 'again'
      if (request === undefined) this.#again = this.last.take(server.plan.size, always)
      if (this.#again !== undefined || (request !== undefined && (always || describes(request)))) {
        if (entry !== undefined) this.prepared.renew(entry)
        return request === undefined ? REPEAT : NOT_RUN
      }
    }
    return instead ?? this.prepared.inOwnWords(body, ref)
  }

  /** The batch that is to be sent again, after REPEAT. */
  takeAgain(): Batch {
    const batch = this.#again!
    this.#again = undefined
    return batch
  }
}
