/**
 * Which idle server a client gets: its own, if it is among those looked at, because that needs no settings and no
 * reset; otherwise a clean one; otherwise the next. Last in, first out keeps a small pool hot and lets the rest age;
 * `server_round_robin` takes turns instead.
 */

import type { ServerConnection } from '../server/connection.ts'
import type { List } from '../util/list.ts'

/** So many are looked at: a large pool must not make each lease expensive. */
const LOOK_AT = 8

/** The server to take out of `idle`; `own` is the id of the one the client used last. Undefined where there is none. */
export function chooseServer(
  idle: List<ServerConnection>,
  own: number,
  roundRobin: boolean,
): ServerConnection | undefined {
  let server = roundRobin ? idle.first : idle.last
  let choice = server
  for (let looked = 0; server !== null && looked < LOOK_AT; looked++) {
    if (server.id === own) return server
    if (choice!.needsReset && !server.needsReset) choice = server
    server = roundRobin ? server.next : server.prev
  }
  return choice ?? undefined
}
