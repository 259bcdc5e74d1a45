/** A cancel request for what a client runs, or is about to run (protocol chapter "Canceling Requests in Progress"). */

import type { ServerConnection } from '../../server/connection.ts'
import { forgetsSequences } from '../../server/forget-sequences.ts'
import { delay, nextTurn, now } from '../../util/clock.ts'
import type { Activity } from '../lifecycle/activity.ts'
import type { ClientState } from '../lifecycle/client-state.ts'
import type { ClientPorts } from '../lifecycle/ports.ts'
import type { ServerLink } from './server-link.ts'

/**
 * So many passes of the event loop a cancel request waits for what its client has sent before: both arrive together, and
 * the runtime reads them in any order. One pass would do where a socket is read when it becomes readable; a TLS socket
 * may have been readable for something else.
 */
const PASSES = 3
/**
 * PostgreSQL ignores a request that arrives before it has read the query. Of an older query it has. A repeated one may
 * arrive when the query has been canceled: it is sent only where its client has nothing behind it that it could hit.
 */
const YOUNG_MS = 100
/** Pause before such a request is repeated, and how often that is done. */
const REPEAT_MS = 20
const REPEATS = 3
/** Pause between two looks at a server that still answers to pgbun. */
const LOOK_MS = 2

/** A client that can be sent a cancel request. */
interface CancelableClient {
  readonly state: ClientState
  readonly activity: Activity
  readonly link: ServerLink | undefined
  readonly ports: ClientPorts
  /** It has sent more, which waits. */
  readonly hasInput: boolean
}

/**
 * Somebody presented the cancel key of `client`. Resolves when nothing the client sends from then on can be
 * hit: the canceller sees its connection closed only then.
 */
export async function cancelClient(client: CancelableClient): Promise<void> {
  for (let pass = 0; pass <= PASSES; pass++) {
    if (pass > 0) await nextTurn()
    const server = runsOn(client)
    if (server !== undefined) {
      await cancelRunning(client, server)
      return
    }
    if (client.link?.cancelWaiting()) return
  }
}

/** The server to which the request at hand has been sent. */
function runsOn({ state, activity, link }: CancelableClient): ServerConnection | undefined {
  return state === 'active' && activity.running ? link?.server : undefined
}

async function cancelRunning(client: CancelableClient, server: ServerConnection): Promise<void> {
  const lease = client.link?.lease
  const held = (): boolean => runsOn(client) === server && client.link?.lease === lease
  // What others have sent ahead of it would be hit.
  while (held() && !lease!.isNext) await delay(LOOK_MS)
  // Not run there, it is to be canceled where it is sent now.
  if (!held() && lease?.sentAgain) return cancelClient(client)
  const { answered } = server
  const here = (): boolean => held() && server.answered === answered
  const until = now() + client.ports.config.cancelWaitTimeout
  while (here() && forgetsSequences(server)) {
    // It would be hit instead, and leave another client's values there.
    if (now() > until) return
    await delay(LOOK_MS)
  }
  for (let repeats = 0; here(); repeats++) {
    const young = now() - client.activity.since < YOUNG_MS
    lease!.cancelBegins()
    await client.ports.cancelServer(server)
    if (!young || repeats === REPEATS || !here() || server.closeReason !== undefined) return
    await delay(REPEAT_MS)
    // On a busy machine the answer has come by now, and was not read yet.
    for (let pass = 0; pass < PASSES; pass++) await nextTurn()
    if (client.hasInput || server.plan.readies > 1) return
  }
}
