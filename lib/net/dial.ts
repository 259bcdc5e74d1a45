/**
 * Opens connections to PostgreSQL: name resolution, every address in turn, TLS. Called by server/connection for new
 * server connections and by whoever sends a cancel request.
 *
 * In: a host (name, address, or directory of a unix socket), a port, limits. Out: a socket to send the startup packet
 * on, paused, with no listener of ours but the shared 'error' one; or a DialError whose message can be shown to an
 * operator as it is and whose socket is destroyed.
 * What must hold: it ends within `timeoutMs`, whatever the other side does. The runtime's own trying of several
 * addresses is off (it gives up on each after 250 ms); each address gets a fair share of the time that is left.
 */

import { connect, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { roundedDuration } from '../config/units.ts'
import { connectError, DialError, type DialTarget, describe } from './dial-error.ts'
import { withReadBuffer } from './read-buffer.ts'
import { defaultResolver, type Resolver } from './resolve.ts'
import { connectTls, requestTls, ServerTlsError, type ServerTlsInfo } from './server-encryption.ts'
import { ignoreError } from './starttls.ts'
import type { TlsContext } from './tls-context.ts'
import { isUnixDirectory, unixSocketPath } from './unix-path.ts'

/** TLS towards servers; without it, and on unix sockets, there is none. */
export interface ServerTls {
  /** Of the `server` side; its mode decides. */
  context: TlsContext
  /** `direct` begins with the handshake, and never falls back to plain text. */
  negotiation: 'postgres' | 'direct'
  /**
   * What to try in the modes allow and prefer, where the caller tries the other when PostgreSQL refuses the login for
   * it (pg_hba.conf). Default: plain for allow, tls for prefer. No other mode ever goes without TLS.
   */
  attempt?: 'plain' | 'tls'
}

export interface DialOptions {
  /** Milliseconds for everything, the TLS handshake included. */
  timeoutMs: number
  keepAlive: boolean
  /** Milliseconds of silence before the first keep-alive probe. */
  keepIdleMs: number
  tls?: ServerTls | undefined
  /** Gives up when aborted. */
  signal?: AbortSignal
  /** Default: the one of the process. */
  resolver?: Resolver
}

/** A connection ready for the startup packet. */
export interface Dialed {
  socket: Socket | TLSSocket
  tls: ServerTlsInfo | undefined
  /** IP address, or the unix socket's path. */
  remoteAddress: string
  remotePort: number
  /** Where the connection comes from; undefined on a unix socket. */
  localAddress: string | undefined
}

/**
 * Open a connection.
 * @throws DialError
 */
export async function dial(target: DialTarget, options: DialOptions): Promise<Dialed> {
  const deadline = performance.now() + options.timeoutMs
  const tls = wantedTls(target, options.tls)
  try {
    return await dialAll(target, options, tls, deadline)
  } catch (error) {
    const { cause } = error as DialError
    const retry = tls?.negotiation === 'postgres' && tls.context.mode === 'prefer'
    if (!retry || !(cause instanceof ServerTlsError) || !cause.plainMayWork) throw error
    return await dialAll(target, options, undefined, deadline)
  }
}

/**
 * Open a connection, send `bytes`, and wait until the other side closes it: how a CancelRequest is sent, which
 * PostgreSQL has dealt with when it closes.
 * @throws DialError, also where the other side does not close in time
 */
export async function sendAndWaitClose(target: DialTarget, options: DialOptions, bytes: Buffer): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  const { socket, remoteAddress } = await dial(target, options)
  const limits = limitsOf(options, deadline, remoteAddress)
  try {
    await limited(target, limits, (socketDone) => {
      // A reset after the request was sent is a close like any other.
      socket.on('close', () => socketDone())
      socket.on('end', () => socketDone())
      socket.resume()
      socket.write(bytes)
    })
  } finally {
    socket.destroy()
  }
}

interface Limits {
  /** Of this step, on performance.now()'s clock. */
  deadline: number
  /** What the caller gave for everything, for messages. */
  timeoutMs: number
  signal: AbortSignal | undefined
  /** The address tried, where it is not the host itself. */
  address: string | undefined
}

function limitsOf(options: DialOptions, deadline: number, address?: string): Limits {
  return { deadline, timeoutMs: options.timeoutMs, signal: options.signal, address }
}

function wantedTls(target: DialTarget, tls: ServerTls | undefined): ServerTls | undefined {
  // As libpq: a unix socket needs no TLS, and PostgreSQL offers none there.
  if (!tls || isUnixDirectory(target.host)) return undefined
  const { mode } = tls.context
  if (mode === 'disable') return undefined
  if (mode === 'allow') return tls.attempt === 'tls' ? tls : undefined
  if (mode === 'prefer') return tls.attempt === 'plain' ? undefined : tls
  return tls
}

async function dialAll(
  target: DialTarget,
  options: DialOptions,
  tls: ServerTls | undefined,
  deadline: number,
): Promise<Dialed> {
  if (isUnixDirectory(target.host)) return dialUnix(target, options, deadline)
  const resolver = options.resolver ?? defaultResolver
  const addresses = target.address ? [target.address] : await resolve(target, resolver, limitsOf(options, deadline))
  const failures: DialError[] = []
  for (const [index, address] of addresses.entries()) {
    const now = performance.now()
    const share = now + (deadline - now) / (addresses.length - index)
    try {
      return await dialAddress(target, address, options, tls, share)
    } catch (error) {
      const failure = error as DialError
      // Every address would answer the same, and asking them all is not what a caller who gave up wants.
      if (failure.code === 'ABORTED' || failure.cause instanceof ServerTlsError) throw failure
      failures.push(failure)
    }
  }
  // The addresses may have changed since they were looked up.
  resolver.expire(target.host)
  if (failures.length === 1) throw failures[0]!
  throw new DialError(failures[0]?.code ?? 'ENOTFOUND', failures.map(({ message }) => message).join('; '))
}

async function dialUnix(target: DialTarget, options: DialOptions, deadline: number): Promise<Dialed> {
  let path: string
  let label: string
  try {
    ;({ path, label } = unixSocketPath(target.host, target.port, 'server_host'))
  } catch (error) {
    throw new DialError('EINVAL', (error as Error).message)
  }
  const socket = await open(target, limitsOf(options, deadline), () =>
    withReadBuffer((reading) => connect({ path, ...reading })),
  )
  socket.pause()
  return { socket, tls: undefined, remoteAddress: label, remotePort: target.port, localAddress: undefined }
}

async function dialAddress(
  target: DialTarget,
  address: string,
  options: DialOptions,
  tls: ServerTls | undefined,
  deadline: number,
): Promise<Dialed> {
  const limits = limitsOf(options, deadline, address)
  const socket = await open(target, limits, () =>
    withReadBuffer((reading) =>
      connect({
        host: address,
        port: target.port,
        noDelay: true,
        keepAlive: options.keepAlive,
        keepAliveInitialDelay: options.keepIdleMs,
        autoSelectFamily: false,
        ...reading,
      }),
    ),
  )
  try {
    const { localAddress } = socket
    const secured = tls ? await encrypt(target, socket, tls, limits) : undefined
    if (!secured) socket.pause()
    return { ...(secured ?? { socket, tls: undefined }), remoteAddress: address, remotePort: target.port, localAddress }
  } catch (error) {
    socket.destroy()
    if (!(error instanceof ServerTlsError)) throw error
    throw new DialError(error.code, `connection to ${describe(target, address)} failed: ${error.message}`, error)
  }
}

/** @returns undefined where the server has no TLS and may do without */
async function encrypt(
  target: DialTarget,
  socket: Socket,
  { context, negotiation }: ServerTls,
  limits: Limits,
): Promise<{ socket: TLSSocket; tls: ServerTlsInfo } | undefined> {
  const direct = negotiation === 'direct'
  if (!direct) {
    const agreed = await limited<boolean>(target, limits, (done, fail) => void requestTls(socket).then(done, fail))
    if (!agreed) {
      if (context.mode === 'prefer') return undefined
      const what = `the server does not support TLS, but server_tls_mode = ${context.mode}`
      throw new ServerTlsError('TLS_UNSUPPORTED', what)
    }
  }
  return limited<{ socket: TLSSocket; tls: ServerTlsInfo }>(target, limits, (done, fail) => {
    void connectTls(socket, target.host, context, direct).then(done, fail)
  })
}

function resolve(target: DialTarget, resolver: Resolver, limits: Limits): Promise<string[]> {
  return limited(target, limits, (done, fail) => {
    resolver.resolve(target.host).then(done, (error: NodeJS.ErrnoException) => {
      const code = error.code ?? 'ENOTFOUND'
      const known: Record<string, string> = {
        ENOTFOUND: 'there is no such host',
        EAI_AGAIN: 'the name service does not answer',
      }
      fail(new DialError(code, `cannot resolve host name "${target.host}": ${known[code] ?? error.message}`, error))
    })
  })
}

/** Connect a socket. It is destroyed where that fails. */
async function open(target: DialTarget, limits: Limits, start: () => Socket): Promise<Socket> {
  const socket = start()
  socket.on('error', ignoreError)
  let onConnect: (() => void) | undefined
  let onError: ((error: Error) => void) | undefined
  try {
    await limited(target, limits, (done, fail) => {
      onConnect = () => done()
      onError = (error) => fail(connectError(target, limits.address, error))
      socket.on('connect', onConnect)
      socket.on('error', onError)
    })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    if (onConnect) socket.off('connect', onConnect)
    if (onError) socket.off('error', onError)
  }
}

/** Run one step under its deadline and the caller's signal. The step's own listeners are its own business. */
function limited<T = void>(
  target: DialTarget,
  { deadline, timeoutMs, signal, address }: Limits,
  step: (done: (value: T) => void, fail: (error: Error) => void) => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => {
      leave()
      reject(new DialError('ABORTED', `connection to ${describe(target, address)} was given up`))
    }
    const onTimeout = () => {
      leave()
      const took = roundedDuration(timeoutMs)
      reject(new DialError('ETIMEDOUT', `connection to ${describe(target, address)} timed out (${took})`))
    }
    const timer = setTimeout(onTimeout, Math.min(Math.max(0, deadline - performance.now()), 0x7fffffff))
    const leave = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
    if (signal?.aborted) {
      onAbort()
      return
    }
    signal?.addEventListener('abort', onAbort)
    const fail = (error: Error) => {
      leave()
      reject(error)
    }
    try {
      step((value) => {
        leave()
        resolve(value)
      }, fail)
    } catch (error) {
      fail(error as Error)
    }
  })
}
