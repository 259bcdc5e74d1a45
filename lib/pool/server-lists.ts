/** The connections of one pool, by state. */

import type { ServerConnection } from '../server/connection.ts'
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

  /** All connections. */
  *all(): Generator<ServerConnection> {
    for (const list of [this.idle, this.active, this.busy, this.draining, this.beingCanceled]) yield* list
  }
}
