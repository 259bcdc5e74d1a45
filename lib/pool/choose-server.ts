/**
 * Which idle server a client gets: its own, if it is among those looked at, because that needs no settings and no
 * reset; otherwise one that is set as it wants; otherwise a clean one; otherwise the next. Last in, first out keeps a small pool hot and lets the rest age;
 * `server_round_robin` takes turns instead.
 */

import type { ServerConnection } from '../server/connection.ts'
import type { List } from '../util/list.ts'

/** So many are looked at: a large pool must not make each lease expensive. */
const LOOK_AT = 8

/** What is known of who gets it. */
export interface Chooser {
  /** Id of the server it used last. */
  readonly lastServer: number
  /** True where `server` is known to be set as it wants. */
  suits(server: ServerConnection): boolean
}

/** The server to take out of `idle` for `chooser`. Undefined where there is none. */
export function chooseServer(
  idle: List<ServerConnection>,
  chooser: Chooser,
  roundRobin: boolean,
): ServerConnection | undefined {
  let server = roundRobin ? idle.first : idle.last
  let choice = server
  let best = -1
  for (let looked = 0; server !== null && looked < LOOK_AT; looked++) {
    if (server.id === chooser.lastServer) return server
    const worth = server.content.needsReset ? 0 : chooser.suits(server) ? 2 : 1
    if (worth > best) {
      choice = server
      best = worth
    }
    server = roundRobin ? server.next : server.prev
  }
  return choice ?? undefined
}
