/** The end of connections to a host that is not to be used any more. */

import { hostPort } from '../config/hosts.ts'
import type { ServerConnection } from '../server/connection.ts'

/**
 * Close those of `servers` that lead to the host with `key` and that nobody uses; the others are closed as they come back.
 * @param except addresses of the host that are still good
 */
export function leaveHost(
  servers: Iterable<ServerConnection>,
  key: string,
  reason: string,
  except: readonly string[] = [],
): void {
  for (const server of [...servers]) {
    const { target } = server.identity
    if (hostPort(target) !== key || (target.address !== undefined && except.includes(target.address))) continue
    if (server.state === 'idle' || server.state === 'beingCanceled') server.close(reason)
    else server.retire(reason)
  }
}
