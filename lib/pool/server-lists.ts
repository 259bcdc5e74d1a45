/** The connections of one pool, by state. */

import type { ServerConnection } from '../server/connection.ts'
import { Drain } from '../server/drain.ts'
import type { ServerState } from '../server/ports.ts'
import { List } from '../util/list.ts'

/** States in which a connection is on a list. */
export type OpenState = Exclude<ServerState, 'closed'>

/** One list for each state. */
export class ServerLists {
  readonly idle = new List<ServerConnection>('idle')
  readonly active = new List<ServerConnection>('active')
  readonly busy = new List<ServerConnection>('busy')
  readonly draining = new List<ServerConnection>('draining')
  readonly beingCanceled = new List<ServerConnection>('beingCanceled')

  /** The list of a state other than closed. Written out: by its name a property is found far more slowly. */
  of(state: ServerState): List<ServerConnection> {
    switch (state) {
      case 'idle':
        return this.idle
      case 'active':
        return this.active
      case 'busy':
        return this.busy
      case 'draining':
        return this.draining
      case 'beingCanceled':
        return this.beingCanceled
      case 'closed':
        throw new Error('a closed connection is on no list')
    }
  }

  /** Connections in all. */
  get size(): number {
    return this.idle.size + this.active.size + this.busy.size + this.draining.size + this.beingCanceled.size
  }

  /** Close what nobody uses, and have the rest closed as it comes back; of those for which `which` holds. */
  retire(reason: string, which: (server: ServerConnection) => boolean = () => true): void {
    for (const server of [...this.idle, ...this.beingCanceled]) if (which(server)) server.close(reason)
    for (const server of this.all()) if (which(server)) server.retire(reason)
  }

  /** Close what takes too long at `at`: to get rid of what a client left behind, or to answer pgbun itself. */
  closeOverdue(at: number, queryTimeoutMs: number): void {
    for (const server of this.draining) {
      if (!(server.consumer instanceof Drain)) continue
      if (at > server.consumer.deadline) server.close('its client left, and what was running did not end in time')
      else server.consumer.cancel()
    }
    for (const server of this.busy) {
      if (at - server.usedAt > queryTimeoutMs) server.close('a query of the pooler took too long')
    }
  }

  /** All connections. */
  *all(): Generator<ServerConnection> {
    for (const list of [this.idle, this.active, this.busy, this.draining, this.beingCanceled]) yield* list
  }
}
