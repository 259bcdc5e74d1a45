/**
 * Lets a connection that pgbun opens read into one buffer again and again (`onread` of net.connect), where the runtime
 * would allocate 64 kB for each read: with large results, that memory made the garbage collector mark the whole heap
 * over and over, a third of a proxy's time. Accepted sockets have no such option.
 *
 * Comes in: what the runtime has read. Goes out: `data` events, as of any socket. What must hold: a large chunk is valid
 * until its turn is over and no longer; who needs it for longer copies it. Bytes the kernel does not take at the end of
 * the turn are the exception: a wire reports them (turn.ts), and the next read gets another buffer.
 */

import type { OnReadOpts, Socket } from 'node:net'
import { takeUnsent } from './turn.ts'

/** What libuv reads at once. */
const SIZE = 64 * 1024
/** Up to so many bytes a copy is cheaper than anything else, and nobody need be asked how long it is used. */
const COPY_LIMIT = 4096

/** Bun's `onread` has lost bytes in several versions, and it reads into a buffer of its own anyhow. */
const AVAILABLE = process.versions.bun === undefined

/**
 * Make a socket with the option `onread`, or without, where that is of no use.
 * @param connect makes it
 */
export function withReadBuffer(connect: (options: { onread?: OnReadOpts }) => Socket): Socket {
  if (!AVAILABLE) return connect({})
  let current = Buffer.allocUnsafeSlow(SIZE)
  const socket = connect({
    onread: {
      buffer: () => current,
      callback(count) {
        if (count <= COPY_LIMIT) socket.emit('data', Buffer.from(current.subarray(0, count)))
        else {
          takeUnsent()
          socket.emit('data', current.subarray(0, count))
          if (takeUnsent()) current = Buffer.allocUnsafeSlow(SIZE)
        }
        return true
      },
    },
  })
  return socket
}
