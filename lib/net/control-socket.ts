/**
 * The unix socket by which the processes of one installation find each other: the successor of a pgbun asks it for its
 * listening sockets, for its state, and to pass on cancel requests.
 *
 * One request per connection: a line of JSON. The file belongs to the account that pgbun runs as, and nobody else may
 * connect: whoever gets the listening sockets gets the passwords of clients.
 */

import { chmodSync, readdirSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after } from '../util/clock.ts'
import { ignoreError } from './starttls.ts'
import { fitsUnixPath } from './unix-path.ts'

/** A request, and what it is answered with. */
export type ControlMessage = Readonly<Record<string, unknown>>

/** A longer line is nobody's of ours. */
const LONGEST_LINE = 64 * 1024
/** A process of this machine answers at once, or it is stuck. */
const PATIENCE_MS = 5000

/** Where a process can be asked. */
export interface ControlAddress {
  path: string
  pid: number
}

/** The path of the control socket of process `pid`, which listens on `port`; undefined where it would be too long. */
export function controlPath(directory: string, port: number, pid: number): string | undefined {
  const path = join(directory, `.pgbun.${port}.${pid}`)
  return fitsUnixPath(path) ? path : undefined
}

/** The control sockets in `directory` of the processes that listen on `port`, of living ones or not. */
export function findControlSockets(directory: string, port: number): ControlAddress[] {
  const prefix = `.pgbun.${port}.`
  let names: string[]
  try {
    names = readdirSync(directory)
  } catch {
    return []
  }
  return names.flatMap((name) => {
    const pid = name.startsWith(prefix) ? name.slice(prefix.length) : ''
    return /^[1-9]\d{0,9}$/.test(pid) ? [{ path: join(directory, name), pid: Number(pid) }] : []
  })
}

/**
 * Answer requests at `path`, until the returned function is called.
 * @param answer gets each request with its connection, on which nothing more is read, and ends it
 */
export function listenForControl(
  path: string,
  answer: (request: ControlMessage, socket: Socket) => void,
): Promise<() => void> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', ignoreError)
    readLine(socket).then(
      (line) => answer(line, socket),
      () => socket.destroy(),
    )
  })
  // A process of the same number has left it.
  rmSync(path, { force: true })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Nobody may connect before the mode is what it should be.
    const umask = process.umask(0o177)
    try {
      server.listen(path, () => {
        server.off('error', reject)
        server.on('error', ignoreError)
        chmodSync(path, 0o600)
        server.unref()
        resolve(() => server.close())
      })
    } finally {
      process.umask(umask)
    }
  })
}

/** Connect to the control socket at `path` and send `request`. Rejects where nobody listens there. */
export function sendControl(path: string, request: ControlMessage): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true })
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      socket.on('error', ignoreError)
      socket.write(`${JSON.stringify(request)}\n`)
      resolve(socket)
    })
  })
}

/** Ask what is listening at `path`. Rejects where it does not answer. */
export async function askControl(path: string, request: ControlMessage): Promise<ControlMessage> {
  const socket = await sendControl(path, request)
  try {
    return await readLine(socket)
  } finally {
    socket.destroy()
  }
}

/** The next line, which is JSON. Nothing behind it is read: the connection can be handed to another process. */
function readLine(socket: Socket): Promise<ControlMessage> {
  return new Promise((resolve, reject) => {
    let text = ''
    const stopWaiting = after(PATIENCE_MS, () => done(new Error('no answer')))
    const onData = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      if (text.endsWith('\n')) done(undefined)
      else if (text.length > LONGEST_LINE) done(new Error('too long'))
    }
    const onEnd = (): void => done(new Error('the connection ended'))
    const done = (error: Error | undefined): void => {
      stopWaiting()
      socket.pause()
      socket.off('data', onData).off('close', onEnd).off('end', onEnd)
      const message = error ?? parseLine(text)
      if (message instanceof Error) reject(message)
      else resolve(message)
    }
    socket.on('data', onData).on('close', onEnd).on('end', onEnd)
  })
}

function parseLine(text: string): ControlMessage | Error {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'latin1').toString())
    return typeof value === 'object' && value !== null ? (value as ControlMessage) : new Error('no request')
  } catch {
    return new Error('no JSON')
  }
}

/** Answer with `message` and end the connection. */
export function answerControl(socket: Socket, message: ControlMessage): void {
  socket.end(`${JSON.stringify(message)}\n`)
  socket.resume()
}
