/**
 * A request that gets no server: it is answered with an error, as PostgreSQL would answer a failing one, and the rest
 * of it is thrown away; an extended one up to its Sync (protocol chapter "Extended Query"). The client stays connected.
 */

import type { ErrorFields } from '../../errors.ts'
import { type Batch, LAST } from '../../protocol/batch.ts'
import { errorResponse, READY_IDLE } from '../../protocol/build.ts'
import { FRONTEND } from '../../protocol/types.ts'
import type { ClientSession } from '../session.ts'

/** Throws away what belongs to a refused request of one client. */
export class RefusedRequest {
  readonly #session: ClientSession
  /** Type of the message that ends the request; 0 where nothing is being thrown away. */
  #last = 0

  constructor(session: ClientSession) {
    this.#session = session
  }

  /** The rest of a request is still to be thrown away. */
  get pending(): boolean {
    return this.#last !== 0
  }

  /** Refuse the request that begins at the cursor of `batch`. */
  refuse(batch: Batch, fields: ErrorFields): void {
    const session = this.#session
    const type = batch.type(batch.cursor)
    this.#last = type === FRONTEND.Query || type === FRONTEND.FunctionCall ? type : FRONTEND.Sync
    session.wire.write(errorResponse({ ...fields, severity: 'ERROR' }))
    session.logRefused(fields)
  }

  /** Throw away the segment at the cursor of `batch`. */
  discard(batch: Batch): void {
    const i = batch.cursor++
    const type = batch.type(i)
    if (type === FRONTEND.Terminate) {
      this.#last = 0
      batch.cursor = batch.count
      this.#session.end({ kind: 'terminated' })
    } else if (type === this.#last && (batch.flags(i) & LAST) !== 0) {
      this.#last = 0
      this.#session.wire.write(READY_IDLE)
    }
  }
}
