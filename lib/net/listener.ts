/**
 * Accepts clients on all configured addresses (listen_host, listen_port, unix_socket_dir and their companions). Called
 * by daemon; every connection goes to `onConnection` in the turn it arrives in.
 *
 * What must hold: every socket has an 'error' listener before anybody can await anything; an error while accepting (out
 * of file descriptors) is reported and never ends the process; listening succeeds on all addresses or on none. Sockets
 * are not half-open before there is a session: the runtime ends ours when the client ends its own.
 */

import { createServer, isIP, type ListenOptions as NetListenOptions, type Server, type Socket } from 'node:net'
import { ignoreError } from './starttls.ts'
import { bindUnixSocket, type UnixBinding } from './unix-listener.ts'
import { unixSocketPath } from './unix-path.ts'

/** What is known of a client from the start. */
export interface ConnectionInfo {
  /** IP address, IPv4 also where it came through an IPv6 socket; '' on a unix socket. */
  remoteAddress: string
  /** 0 on a unix socket. */
  remotePort: number
  unix: boolean
  /** From this machine by a loopback address. */
  loopback: boolean
}

export interface ListenOptions {
  /** Host names, IP addresses, `localhost` (both loopback addresses), `*` (all); may be empty. */
  hosts: readonly string[]
  /** 0 = any free one, the same on every address. */
  port: number
  /** Directory of the unix socket, `@name` for Linux' abstract ones; '' = none. */
  unixSocketDir: string
  /** Octal file mode, "0777". */
  unixSocketMode: string
  /** Connections the kernel may hold that are not accepted yet. */
  backlog: number
  /** Milliseconds of silence before the first keep-alive probe; undefined for none. Asked for each client. */
  keepAliveMs(): number | undefined
  onConnection(socket: Socket, info: ConnectionInfo): void
  /** Something went wrong while accepting. The same error comes at most once a second. */
  onError(error: Error): void
}

/** TCP, or the path of a unix socket. */
export type ListenAddress = { host: string; port: number } | string

export interface Listener {
  readonly addresses: readonly ListenAddress[]
  /** The TCP port; 0 where only a unix socket is listened on. */
  readonly port: number
  /** Take no more clients and remove the unix socket. Connections that exist live on. */
  stopAccepting(): void
  /** stopAccepting, resolved when the addresses are free again. */
  close(): Promise<void>
}

/** An address that cannot be listened on. The message names the option and the remedy. */
export class ListenError extends Error {
  /** That of the system: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.name = 'ListenError'
    this.code = code
  }
}

/** Ports to try where any will do and one is taken on the second address. */
const FREE_PORT_ATTEMPTS = 10

/**
 * Listen on everything configured.
 * @throws ListenError where any address cannot be listened on; nothing is listening then
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const targets = tcpTargets(options.hosts)
  if (targets.length === 0 && options.unixSocketDir === '') {
    throw new ListenError('EINVAL', 'nothing to listen on: both listen_host and unix_socket_dir are empty')
  }
  for (let attempt = 1; ; attempt++) {
    const started = new Started()
    try {
      let port = options.port
      for (const target of targets) {
        const server = await startTcp(target, port, options)
        if (!server) continue
        started.servers.push(server)
        const address = server.address()
        if (address === null || typeof address === 'string') continue
        port = address.port
        started.addresses.push({ host: address.address, port })
      }
      if (targets.length > 0 && started.servers.length === 0) {
        throw new ListenError('EADDRNOTAVAIL', `none of the addresses of listen_host is available on this machine`)
      }
      if (options.unixSocketDir !== '') await startUnix(started, port, options)
      started.port = targets.length > 0 ? port : 0
      return started
    } catch (error) {
      await started.close()
      const again = options.port === 0 && (error as ListenError).code === 'EADDRINUSE' && attempt < FREE_PORT_ATTEMPTS
      if (!again) throw error
    }
  }
}

class Started implements Listener {
  readonly servers: Server[] = []
  readonly addresses: ListenAddress[] = []
  port = 0
  binding: UnixBinding | undefined
  #stopped = false

  stopAccepting(): void {
    if (this.#stopped) return
    this.#stopped = true
    // The callback waits for every connection to end, which is for the caller to bring about.
    for (const server of this.servers) server.close()
    this.binding?.remove()
  }

  close(): Promise<void> {
    this.stopAccepting()
    // The handles close at the end of this turn of the event loop.
    return new Promise((resolve) => setImmediate(resolve))
  }
}

interface TcpTarget {
  host: string
  /** Not every machine has it; then it is left out. */
  optional: boolean
}

function tcpTargets(hosts: readonly string[]): TcpTarget[] {
  const targets = new Map<string, TcpTarget>()
  const add = (host: string, optional: boolean) => {
    const known = targets.get(host)
    targets.set(host, { host, optional: optional && (known?.optional ?? true) })
  }
  for (const entry of hosts) {
    const host = entry.trim().replace(/^\[(.*)\]$/, '$1')
    if (host === '') continue
    if (host === '*') {
      add('0.0.0.0', true)
      add('::', true)
    } else if (host.toLowerCase() === 'localhost') {
      // Programs differ in which of the two they try first, and not all try the other.
      add('127.0.0.1', true)
      add('::1', true)
    } else add(host, false)
  }
  return [...targets.values()]
}

/** @returns undefined where an optional address is not there */
async function startTcp(target: TcpTarget, port: number, options: ListenOptions): Promise<Server | undefined> {
  const server = makeServer(options, false)
  try {
    // Each family by itself, whatever the machine's bindv6only says.
    const ipv6Only = isIP(target.host) === 6
    await start(server, { host: target.host, port, backlog: options.backlog, ipv6Only }, options.onError)
    return server
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (target.optional && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) return undefined
    throw tcpError(error as NodeJS.ErrnoException, target.host, port)
  }
}

async function startUnix(started: Started, port: number, options: ListenOptions): Promise<void> {
  const mode = /^0?[0-7]{3}$/.test(options.unixSocketMode) ? Number.parseInt(options.unixSocketMode, 8) : undefined
  if (mode === undefined) {
    const what = `Invalid unix_socket_mode: ${options.unixSocketMode}. Must be three octal digits, as in 0770`
    throw new ListenError('EINVAL', what)
  }
  const server = makeServer(options, true)
  try {
    const target = unixSocketPath(options.unixSocketDir, port, 'unix_socket_dir')
    started.binding = await bindUnixSocket(target, mode, () =>
      start(server, { path: target.path, backlog: options.backlog }, options.onError),
    )
    started.servers.push(server)
    started.addresses.push(target.label)
  } catch (error) {
    server.close(() => {})
    const { code = 'EINVAL', message } = error as NodeJS.ErrnoException
    throw new ListenError(code, message)
  }
}

function makeServer(options: ListenOptions, unix: boolean): Server {
  const server = createServer({ allowHalfOpen: false, ...(unix ? {} : { noDelay: true }) })
  const { onConnection } = options
  server.on('connection', (socket) => {
    socket.on('error', ignoreError)
    const info = unix ? UNIX_PEER : peerOf(socket)
    if (!info) {
      // Gone already: there is nobody to talk to.
      socket.destroy()
      return
    }
    // Four system calls. A peer on this machine cannot vanish without its kernel, which is ours, saying so.
    if (!unix && !info.loopback) {
      const keepAliveMs = options.keepAliveMs()
      if (keepAliveMs !== undefined) socket.setKeepAlive(true, keepAliveMs)
    }
    onConnection(socket, info)
  })
  return server
}

const UNIX_PEER: ConnectionInfo = Object.freeze({ remoteAddress: '', remotePort: 0, unix: true, loopback: false })

function peerOf(socket: Socket): ConnectionInfo | undefined {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
  return { remoteAddress: address, remotePort, unix: false, loopback: address === '::1' || address.startsWith('127.') }
}

function start(server: Server, where: NetListenOptions, onError: (error: Error) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      server.on('error', atMostOncePerSecond(onError))
      resolve()
    })
  })
}

/** With no descriptors left, accepting fails as often as it is tried. */
function atMostOncePerSecond(report: (error: Error) => void): (error: Error) => void {
  let last = Number.NEGATIVE_INFINITY
  return (error) => {
    const now = performance.now()
    if (now - last < 1000) return
    last = now
    report(error)
  }
}

function tcpError(error: NodeJS.ErrnoException, host: string, port: number): ListenError {
  const code = error.code ?? 'EADDRNOTAVAIL'
  const where = `cannot listen on ${host.includes(':') ? `[${host}]` : host}, port ${port}`
  const remedies: Record<string, string> = {
    EADDRINUSE: 'another program listens there: stop it, or choose another listen_port',
    EACCES: 'permission denied: ports below 1024 are for root, choose another listen_port',
    EADDRNOTAVAIL: 'this machine has no such address: correct listen_host',
    EAFNOSUPPORT: 'this machine does not support that kind of address: correct listen_host',
    ENOTFOUND: 'there is no such host name: correct listen_host',
  }
  return new ListenError(code, `${where}: ${remedies[code] ?? error.message}`)
}
