/**
 * A request that gets no server: it is answered with an error, as PostgreSQL would answer a failing one, and the rest
 * of it is thrown away; an extended one up to its Sync (protocol chapter "Extended Query"). The client stays connected.
 */

import { type ErrorFields, errorInLog } from '../../errors.ts'
import type { Wire } from '../../net/wire.ts'
import { type Batch, LAST } from '../../protocol/batch.ts'
import { errorResponse, READY_IDLE } from '../../protocol/build.ts'
import { FRONTEND } from '../../protocol/types.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import type { EndReason } from '../lifecycle/ending.ts'
import type { ClientPorts } from '../lifecycle/ports.ts'

/** The session whose requests are refused. */
export interface RefusingSession {
  readonly info: ClientInfo
  readonly ports: ClientPorts
  readonly wire: Wire
  end(reason: EndReason): void
}

/** Say in the log that a request was refused with `fields`. */
export function logRefused({ info, ports }: RefusingSession, fields: ErrorFields): void {
  const { config, log } = ports
  if (!config.logPoolerErrors) return
  const { level, happened, remedy } = errorInLog(fields)
  log[level](`request refused: ${happened}`, {
    ...info.about(),
    detail: fields.detail?.trim() || undefined,
    hint: fields.hint,
    sqlstate: fields.sqlstate,
    remedy,
  })
}

/** Throws away what belongs to a refused request of one client. */
export class RefusedRequest {
  readonly #session: RefusingSession
  /** Type of the message that ends the request; 0 where nothing is being thrown away. */
  #last = 0

  constructor(session: RefusingSession) {
    this.#session = session
  }

  /** The rest of a request is still to be thrown away. */
  get pending(): boolean {
    return this.#last !== 0
  }

  /** Refuse the request that begins with a message of `type`. */
  refuse(type: number, fields: ErrorFields): void {
    const session = this.#session
    this.#last = type === FRONTEND.Query || type === FRONTEND.FunctionCall ? type : FRONTEND.Sync
    session.wire.write(errorResponse({ ...fields, severity: 'ERROR' }))
    logRefused(session, fields)
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
