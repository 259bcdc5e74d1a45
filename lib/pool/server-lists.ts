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
  readonly held = new List<ServerConnection>('held')

  /** Connections in all. */
  get size(): number {
    return this.idle.size + this.active.size + this.busy.size + this.draining.size + this.held.size
  }

  /** All connections. */
  *all(): Generator<ServerConnection> {
    for (const list of [this.idle, this.active, this.busy, this.draining, this.held]) yield* list
  }
}

/** So many idle servers are looked at for a better one. */
const LOOK = 8

/**
 * The idle server that suits client `id` best: its own of last time, which has its settings and needs no reset;
 * otherwise a clean one; otherwise any. Last in, first out keeps a small pool hot; `roundRobin` is the other way.
 */
export function chooseIdle(
  idle: List<ServerConnection>,
  lastServer: number,
  roundRobin: boolean,
): ServerConnection | null {
  const first = roundRobin ? idle.first : idle.last
  let clean: ServerConnection | null = null
  let looked = 0
  for (let server = first; server && looked < LOOK; looked++) {
    if (server.id === lastServer) return server
    if (!server.dirty) clean ??= server
    server = roundRobin ? server.next : server.prev
  }
  return clean ?? first
}
