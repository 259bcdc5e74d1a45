/**
 * DROP DATABASE and what else PostgreSQL refuses while anybody is connected to a database: idle connections of pools are
 * nobody's, and are closed first. PostgreSQL itself waits for five seconds until those that leave are gone
 * (CountOtherDBBackends in its storage/ipc/procarray.c). It is asked before whether the client may do that at all.
 */

import type { Lease } from '../../pool/lease.ts'
import { type Batch, LAST } from '../../protocol/batch.ts'
import { FRONTEND, TX_IDLE } from '../../protocol/types.ts'
import type { ServerConnection } from '../../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../../server/internal-query.ts'
import { clearedDatabase, mayBeOfDatabase, mayClearSql } from '../../sql/database-statements.ts'
import { textOf } from '../../statements/shared-statements.ts'
import type { Ask } from '../lifecycle/ask.ts'
import { queryText } from '../statements/message-kinds.ts'

/** The client that sends such a statement. */
export interface ClearingClient {
  readonly lease: Lease | undefined
  inspect(lease: Lease, ask: Ask, answered: (result: InternalQueryResult) => void): boolean
  /** Close the connections to `database` that nobody uses, and open none for a moment. */
  clearDatabase(database: string): void
}

/** Clients whose next message is the one that was asked for. */
const asked = new WeakSet<ClearingClient>()

/** True where message `i`, a Query or Parse, has to wait until PostgreSQL has said whether its client may do it. */
export function mustClear(
  client: ClearingClient,
  server: ServerConnection,
  type: number,
  batch: Batch,
  i: number,
): boolean {
  const start = batch.start(i) + 5
  const bytes = batch.buffer(i)
  const text = type === FRONTEND.Query ? start : bytes.indexOf(0, start) + 1
  if (!mayBeOfDatabase(bytes[text]) || asked.delete(client)) return false
  // Inside of a transaction, or of a batch, PostgreSQL refuses it, or it is prepared and run later.
  if (!server.plan.settled || server.txStatus !== TX_IDLE || (batch.flags(i) & LAST) === 0) return false
  const body = batch.bodyOf(i)
  const sql = type === FRONTEND.Query ? queryText(batch, i) : textOf(body.subarray(body.indexOf(0) + 1))
  const database = clearedDatabase(sql)
  if (database === undefined || client.lease === undefined) return false
  asked.add(client)
  const ask: Ask = (done) => {
    InternalQuery.run(server, mayClearSql(database), 'hold', done)
    return false
  }
  return client.inspect(client.lease, ask, (result) => {
    if (result.kind !== 'done' || result.answer.rows().length === 0) return
    client.clearDatabase(Buffer.from(database.name, 'latin1').toString('utf8'))
  })
}
