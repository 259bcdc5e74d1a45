/** When a server that a client has just got, and sent nothing to, is given up for another one. Owned by server-link.ts. */

import { isHeldUp } from '../../protocol/error-response.ts'
import type { InternalQueryResult } from '../../server/internal-query.ts'

/** So many servers in a row, and something else is wrong. */
const LIMIT = 3

/** How often one client has given up servers in a row. */
export class Relinks {
  #count = 0

  /** True where the server, which has been given the client's settings with this `result`, is to be given up. */
  helps(result: InternalQueryResult): boolean {
    // Who was held up: that is not about what was set.
    if (result.kind === 'done' || (result.kind === 'error' && !isHeldUp(result.error))) return false
    return this.#count++ < LIMIT
  }

  /** The client could use its server. */
  over(): void {
    this.#count = 0
  }
}
