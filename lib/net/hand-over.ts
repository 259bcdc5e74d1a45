/**
 * Listening sockets go from one process to another, although the two are no relatives: no connection attempt meets a
 * closed port, because the socket is never closed.
 *
 * Node and Bun pass sockets only along the channel between a process and its child. So both ends of a unix connection
 * are made such a channel: the old process starts a *sender*, a child that has its end for a channel and the listening
 * sockets for descriptors, and the successor is started with the other end for its channel.
 *
 *     old process --starts--> sender ==channel==> successor
 *
 * To send a socket, the sender must listen on it, and may accept a connection meanwhile: that is sent, too. The sender
 * ends with exit code 0 once the successor has said that it serves; then the old process stops listening.
 */

import { createServer, type Server, type Socket } from 'node:net'
import { after } from '../util/clock.ts'
import { ignoreError } from './starttls.ts'

/** The descriptor of the channel in a sender. */
export const CHANNEL_FD = 3
/** The first descriptor of a listening socket in a sender. */
export const FIRST_SOCKET_FD = 4

/** How long each side waits for the other. The successor reads its configuration before it asks. */
const PATIENCE_MS = 30_000

type Ask = { ask: 'sockets' } | { ask: 'nothing more' }
type Sent = { listening: number; of: number } | { accepted: true }

/** TCP sockets that another process has handed over. They accept connections, which wait until somebody serves them. */
export interface TakenSockets {
  readonly servers: readonly Server[]
  /** Have all their connections, and those that the sender has accepted, from now on. */
  serve(take: (socket: Socket) => void): void
}

/** The sockets, and how to say that they are served. */
export interface Takeover extends TakenSockets {
  /** Everything is served: the process that had the sockets listens no more. */
  served(): void
}

/**
 * Be the sender: send `count` sockets, from FIRST_SOCKET_FD on, to the process at the other end of the channel. Resolves
 * to the exit code: 0 if that one serves them now.
 */
export function sendSockets(count: number): Promise<number> {
  const { promise, resolve } = deferred<number>()
  const servers: Server[] = []
  const sendOne = (message: Sent, handle: Server | Socket): Promise<void> =>
    new Promise((done) => process.send!(message, handle, {}, () => done()))
  let sent: Promise<unknown> = Promise.resolve()
  const send = (index: number): void => {
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      socket.on('error', ignoreError)
      sent = Promise.all([sent, sendOne({ accepted: true }, socket)])
    })
    servers.push(server)
    server.on('error', () => resolve(1))
    server.listen({ fd: FIRST_SOCKET_FD + index }, () => {
      sent = Promise.all([sent, sendOne({ listening: index, of: count }, server)])
    })
  }
  process.on('disconnect', () => resolve(1))
  process.on('message', (request: Ask) => {
    if (request.ask === 'sockets') {
      for (let index = 0; index < count; index++) send(index)
      if (count === 0) process.send!({ listening: 0, of: 0 } satisfies Sent)
    } else {
      for (const server of servers) server.close()
      // What was accepted in this turn of the event loop is sent behind it.
      setImmediate(() => sent.then(() => resolve(0)))
    }
  })
  after(PATIENCE_MS, () => resolve(1))
  return promise
}

/**
 * Get the sockets from the sender at the other end of this process's channel.
 * @throws Error where they do not come
 */
export async function receiveSockets(): Promise<Takeover> {
  const { promise, resolve, reject } = deferred<void>()
  const servers: Server[] = []
  const waiting: Socket[] = []
  let take = (socket: Socket): void => void waiting.push(socket)
  const onMessage = (message: Sent, handle: unknown): void => {
    if ('accepted' in message) {
      // Its client may have left meanwhile.
      if (handle) take(handle as Socket)
      return
    }
    if (handle) {
      const server = handle as Server
      server.on('connection', (socket) => take(socket))
      servers.push(server)
    }
    if (servers.length === message.of) resolve()
  }
  const gone = (): void => reject(new Error('the pgbun that runs did not hand over its sockets; it goes on'))
  process.on('message', onMessage)
  process.on('disconnect', gone)
  const stopWaiting = after(PATIENCE_MS, gone)
  process.send!({ ask: 'sockets' } satisfies Ask)
  try {
    await promise
  } finally {
    stopWaiting()
    process.off('disconnect', gone)
  }
  return {
    servers,
    serve(taker) {
      take = taker
      for (const socket of waiting.splice(0)) take(socket)
    },
    served() {
      // The sender ends, and the channel with it; until then connections may come by it.
      process.once('disconnect', () => process.off('message', onMessage))
      process.send!({ ask: 'nothing more' } satisfies Ask)
    },
  }
}

function deferred<T>() {
  let resolve: (value: T) => void = () => {}
  let reject: (error: Error) => void = () => {}
  const promise = new Promise<T>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}
