/** Says in the log that a connection of a pool could not be opened. */

import type { LoginError } from '../server/login.ts'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { HostMisfit } from './opening.ts'

/** So often the log says again that no host has the role that is asked for. */
const MISFIT_LOG_MS = 10_000

/** The failures of one pool. */
export class OpenFailures {
  /** When the log last said that a host has not the role that is asked for. */
  #misfitAt = Number.NEGATIVE_INFINITY

  log(log: Logger, { database, user }: { database: string; user: string }, error: LoginError): void {
    const { message, sqlstate, detail, remedy } = error
    const fields = { database, user, detail: detail || undefined, sqlstate, remedy }
    // Until one is promoted, that is found out again and again.
    const again = error instanceof HostMisfit && now() - this.#misfitAt < MISFIT_LOG_MS
    if (error instanceof HostMisfit && !again) this.#misfitAt = now()
    log[again ? 'debug' : 'warn'](`server connection failed: ${message}`, fields)
  }
}
