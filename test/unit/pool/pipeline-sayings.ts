/** What PostgreSQL may say to requests that share a server, for the model of that (pipeline-model.ts). */

import { backend } from '../../fixtures/messages.ts'
import { REFUSED } from './pipeline-parts.ts'

/** What PostgreSQL says to the request that runs. */
export type Saying =
  /** The answer, or what is left of it; its first part, which ends inside of a message or behind one. */
  | 'answer'
  | 'half'
  | 'piece'
  /** A row that is larger than what is held back. */
  | 'bulk'
  /** An ErrorResponse with its ReadyForQuery: of its own, as it was canceled, as its statement is not there. */
  | 'error'
  | 'canceled'
  | 'refused'
  /** Of the last two the ErrorResponse alone, and the rest. */
  | 'failing'
  | 'refusing'
  | 'ready'
  /** The end of the session. */
  | 'fatal'
  /** What it was certain not to do: an answer that leaves a transaction, a changed session, a parameter; a COPY. */
  | 'transaction'
  | 'changed'
  | 'parameter'
  | 'copy'

/** More is not held back. */
export const HELD_BYTES = 65_536
export const BULK = backend.dataRow('-'.repeat(HELD_BYTES))
export const READY = backend.ready()
export const COMPLETE = backend.commandComplete('SELECT 1')
export const ERRORS = {
  error: backend.error('22012', 'division by zero'),
  canceled: backend.error('57014', 'canceling statement due to user request'),
  refused: backend.error(REFUSED, 'no such statement'),
  fatal: backend.error('57P01', 'terminating connection due to administrator command', 'FATAL'),
}
