/**
 * `session_state = error`: a statement that would leave state is answered with an error of ours. What is sent in its
 * place fails by itself, so that PostgreSQL and the client agree on what follows: a transaction block is a failed one,
 * the rest of a batch is skipped up to its Sync, several statements of one Query have not happened at all. Of the
 * server's answer only the ErrorResponse is replaced (server/downstream), and only where it is the one provoked: in a
 * transaction that has failed before, or behind a cancel request, the server's own stands.
 */

import { type ErrorFields, errorFields } from '../../errors.ts'
import { errorResponse, message, query } from '../../protocol/build.ts'
import { FRONTEND } from '../../protocol/types.ts'
import type { PlanRef } from '../../server/ports.ts'
import type { SqlFacts } from '../../sql/facts.ts'
import type { LastingState } from '../../sql/lasting-state.ts'
import { STATE_KINDS } from '../../sql/state-kinds.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import type { SharedRef } from './statement-refs.ts'

/** There is no such column: a text that is fine but for that is refused after the state of the transaction is looked at. */
const FAILING = 'SELECT "refused by pgbun"'

/** Sent instead of a Query. */
export const FAILING_QUERY = query(FAILING)
/** Sent instead of a Parse. */
export const FAILING_PARSE = message(FRONTEND.Parse, Buffer.from(`\0${FAILING}\0\0\0`))
/** The same where it is to leave the unnamed statement alone. */
export const FAILING_NAMED_PARSE = message(FRONTEND.Parse, Buffer.from(`pgbun_refused\0${FAILING}\0\0\0`))

/** The answer to a refused statement. */
export class RefusedState implements SharedRef {
  readonly error: Buffer
  readonly fields: ErrorFields
  other: PlanRef | undefined

  constructor(fields: ErrorFields) {
    this.fields = fields
    this.error = errorResponse(fields)
  }

  answered(): void {
    this.other?.answered()
  }

  dropped(failed: boolean): void {
    this.other?.dropped(failed)
  }
}

/**
 * What the client is told instead of what a text would do; undefined where it may do it.
 * @param named it is to be a prepared statement under a name that cannot be carried to another server
 */
export function refuseState(client: ClientEffects, facts: SqlFacts, named: boolean): RefusedState | undefined {
  if (client.remembered.policy !== 'error') return undefined
  const found = facts.lasting ?? (named ? NAMED : undefined)
  if (found === undefined) return undefined
  const { kind, statement, instead } = found
  client.pool.counters.stateRefusals++
  const fields = errorFields('session_state_refused', {
    args: { what: statement },
    detail: `What it leaves in the session (${STATE_KINDS[kind].label}) cannot follow the client to another server connection.`,
    hint: instead === '' ? 'It needs session_state = pin.' : `${instead}; or set session_state = pin.`,
  })
  return new RefusedState(fields)
}

const NAMED: LastingState = {
  kind: 'other',
  statement: 'a named prepared statement',
  instead: 'Set max_prepared_statements to more than 0',
}
