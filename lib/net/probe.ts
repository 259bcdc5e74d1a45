/**
 * A sign of life of a PostgreSQL server, without a login: it answers a GSSENCRequest, be it with "no" (protocol chapter
 * "GSSAPI Session Encryption"). A process that hangs accepts connections, but answers nothing. A server logs nothing of a
 * connection that ends behind it.
 */

import { type DialOptions, dial } from './dial.ts'
import { DialError, type DialTarget, describe } from './dial-error.ts'

/** GSSENCRequest: length 8, code 80877104. */
const GSSENC_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30])

/**
 * Resolves when the server at `target` has answered within `timeoutMs`.
 * @throws DialError
 */
export async function probe(
  target: DialTarget,
  options: Pick<DialOptions, 'timeoutMs' | 'signal' | 'resolver'>,
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  const { socket, remoteAddress } = await dial(target, { ...options, keepAlive: false, keepIdleMs: 0 })
  try {
    await new Promise<void>((resolve, reject) => {
      const fail = (code: string, what: string): void => {
        reject(new DialError(code, `${describe(target, remoteAddress)} ${what}`))
      }
      const left = Math.max(1, deadline - performance.now())
      const timer = setTimeout(() => fail('ETIMEDOUT', 'accepts connections, but does not answer'), left)
      const settle = (outcome: () => void) => (): void => {
        clearTimeout(timer)
        outcome()
      }
      socket.once('data', settle(resolve))
      socket.once(
        'close',
        settle(() => fail('ECONNRESET', 'closed the connection without an answer')),
      )
      socket.once(
        'end',
        settle(() => fail('ECONNRESET', 'closed the connection without an answer')),
      )
      socket.resume()
      socket.write(GSSENC_REQUEST)
    })
  } finally {
    socket.destroy()
  }
}
