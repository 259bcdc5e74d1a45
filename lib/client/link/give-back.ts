/** How a session that ends returns the server it holds. */

import type { Lease } from '../../pool/lease.ts'
import type { Ending } from '../lifecycle/ending.ts'

/**
 * Give the server back in whatever state it is. Returns true where the client has got the first part of a reply, so
 * that no error can be said to it any more.
 * @param midMessage the server has got the first part of a message of the client
 * @param leftState the client has left something in the server's session, or may have
 * @param outstanding what becomes of requests that the server has not answered; what waits for more of them never ends
 */
export function giveBack(
  lease: Lease,
  midMessage: boolean,
  leftState: boolean,
  { outstanding }: Pick<Ending, 'outstanding'>,
): boolean {
  const { server } = lease
  if (leftState || server.effects.touched) server.content.leftState()
  // It does not come back: what it left, a lock that others wait for, ends now, not when somebody needs the server.
  if (server.content.dirty && lease.mode !== 'session') server.content.disown()
  const { midReply } = lease
  // It may have been paused for a client that did not read: nobody is waited for any more.
  server.wire.resume()
  if (midMessage) lease.release('broken', 'its client left in the middle of a message')
  else if (lease.settled) lease.release('done')
  else lease.release(lease.takesMore && (server.plan.needsSync || server.plan.copyIn) ? 'abandoned' : outstanding)
  return midReply
}
