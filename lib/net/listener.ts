/**
 * Accepts clients on all configured addresses (listen_host, listen_port, unix_socket_dir and their companions). Called
 * by daemon; every connection goes to `onConnection` in the turn it arrives in.
 *
 * What must hold: every socket has an 'error' listener before anybody can await anything; an error while accepting (out
 * of file descriptors) is reported and never ends the process; listening succeeds on all addresses or on none. Sockets
 * are not half-open before there is a session: the runtime ends ours when the client ends its own.
 */

import { lookup } from 'node:dns/promises'
import { createServer, isIP, type ListenOptions as NetListenOptions, type Server, type Socket } from 'node:net'
import { nextTurn } from '../util/clock.ts'
import type { TakenSockets } from './hand-over.ts'
import { type InheritedSocket, inheritedAddress } from './inherited-socket.ts'
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
  /** Sockets to listen on instead of all these, if there are any. Their files belong to whoever has made them. */
  inherited?: readonly InheritedSocket[] | undefined
  /** Of the process that is succeeded: those that are configured are used, and its unix socket is replaced. */
  taken?: TakenSockets | undefined
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
  /** Accept no more by TCP; unix sockets stay, for administrators. Connections that exist live on. */
  stopAcceptingTcp(): void
  /** Accept no more, and remove the unix socket. Connections that exist live on. Resolves when the addresses are free. */
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
  if (options.inherited && options.inherited.length > 0) return listenOnInherited(options.inherited, options)
  const targets = tcpTargets(options.hosts)
  if (targets.length === 0 && options.unixSocketDir === '') {
    throw new ListenError('EINVAL', 'nothing to listen on: both listen_host and unix_socket_dir are empty')
  }
  for (let attempt = 1; ; attempt++) {
    const started = new Started()
    try {
      await startAllTcp(started, targets, options)
      if (options.unixSocketDir !== '') await startUnix(started, started.port || options.port, options)
      options.taken?.serve(acceptor(options, { unix: false }, true))
      for (const server of options.taken?.servers ?? []) if (!started.has(server)) server.close()
      return started
    } catch (error) {
      await started.close()
      const again = options.port === 0 && (error as ListenError).code === 'EADDRINUSE' && attempt < FREE_PORT_ATTEMPTS
      if (!again) throw error
    }
  }
}

class Started implements Listener {
  readonly addresses: ListenAddress[] = []
  port = 0
  binding: UnixBinding | undefined
  readonly #tcp = new Set<Server>()
  readonly #unix = new Set<Server>()

  get none(): boolean {
    return this.#tcp.size + this.#unix.size === 0
  }

  has(server: Server): boolean {
    return this.#tcp.has(server)
  }

  add(server: Server, unix: boolean): void {
    ;(unix ? this.#unix : this.#tcp).add(server)
  }

  stopAcceptingTcp(): void {
    closeAll(this.#tcp)
  }

  close(): Promise<void> {
    closeAll(this.#tcp)
    closeAll(this.#unix)
    this.binding?.remove()
    // The handles close at the end of this turn of the event loop.
    return nextTurn()
  }
}

function closeAll(servers: Set<Server>): void {
  // The callback waits for every connection to end, which is for the caller to bring about.
  for (const server of servers) server.close()
  servers.clear()
}

async function listenOnInherited(sockets: readonly InheritedSocket[], options: ListenOptions): Promise<Listener> {
  const started = new Started()
  try {
    for (const socket of sockets) {
      const kind = { unix: false }
      const server = makeServer(options, kind)
      await start(server, { fd: socket.fd, backlog: options.backlog }, options.onError)
      const address = inheritedAddress(server, socket)
      kind.unix = typeof address === 'string'
      started.add(server, kind.unix)
      if (typeof address === 'object') started.port ||= address.port
      started.addresses.push(address)
    }
    return started
  } catch (error) {
    await started.close()
    const { code = 'EINVAL', message } = error as NodeJS.ErrnoException
    const { fd, name } = sockets[started.addresses.length]!
    const remedy = /not support/.test(message)
      ? 'use a later version, or Node'
      : 'it must be a stream socket, of TCP or unix, that listens (ListenStream=, and Accept=no)'
    throw new ListenError(
      code,
      `cannot listen on the inherited socket ${name}, descriptor ${fd}: ${message}: ${remedy}`,
    )
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

/** All on one port. @throws ListenError where there is none to listen on, though there should be */
async function startAllTcp(started: Started, targets: readonly TcpTarget[], options: ListenOptions): Promise<void> {
  let { port } = options
  for (const target of targets) {
    const server = (await takenFor(target, port, options.taken)) ?? (await startTcp(target, port, options))
    if (!server) continue
    started.add(server, false)
    const address = server.address()
    if (address === null || typeof address === 'string') continue
    port = address.port
    started.addresses.push({ host: address.address, port })
  }
  if (targets.length === 0) return
  if (started.none) {
    throw new ListenError('EADDRNOTAVAIL', `none of the addresses of listen_host is available on this machine`)
  }
  started.port = port
}

/** The one of the `taken` sockets that listens there, if there is one. */
async function takenFor(
  { host }: TcpTarget,
  port: number,
  taken: TakenSockets | undefined,
): Promise<Server | undefined> {
  if (taken === undefined) return undefined
  const wanted =
    isIP(host) > 0
      ? host
      : await lookup(host).then(
          ({ address }) => address,
          () => undefined,
        )
  return taken.servers.find((server) => {
    const address = server.address()
    return typeof address === 'object' && address?.address === wanted && address?.port === port
  })
}

/** @returns undefined where an optional address is not there */
async function startTcp(target: TcpTarget, port: number, options: ListenOptions): Promise<Server | undefined> {
  const server = makeServer(options, { unix: false })
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
  const server = makeServer(options, { unix: true })
  try {
    const target = unixSocketPath(options.unixSocketDir, port, 'unix_socket_dir')
    started.binding = await bindUnixSocket(
      target,
      mode,
      (path) => start(server, { path, backlog: options.backlog }, options.onError),
      options.taken !== undefined,
    )
    started.add(server, true)
    started.addresses.push(target.label)
  } catch (error) {
    server.close(() => {})
    const { code = 'EINVAL', message } = error as NodeJS.ErrnoException
    throw new ListenError(code, message)
  }
}

/** @param kind of an inherited socket it is known only when it is listened on */
function makeServer(options: ListenOptions, kind: { unix: boolean }): Server {
  const server = createServer({ allowHalfOpen: false, ...(kind.unix ? {} : { noDelay: true }) })
  server.on('connection', acceptor(options, kind))
  return server
}

/** @param delays its small messages may wait: its server was not made here */
function acceptor(options: ListenOptions, kind: { unix: boolean }, delays = false): (socket: Socket) => void {
  const { onConnection } = options
  return (socket) => {
    const { unix } = kind
    socket.on('error', ignoreError)
    const info = unix ? UNIX_PEER : peerOf(socket)
    if (!info) {
      // Gone already: there is nobody to talk to.
      socket.destroy()
      return
    }
    if (delays) socket.setNoDelay(true)
    // Four system calls. A peer on this machine cannot vanish without its kernel, which is ours, saying so.
    if (!unix && !info.loopback) {
      const keepAliveMs = options.keepAliveMs()
      if (keepAliveMs !== undefined) socket.setKeepAlive(true, keepAliveMs)
    }
    onConnection(socket, info)
  }
}

const UNIX_PEER: ConnectionInfo = Object.freeze({ remoteAddress: '', remotePort: 0, unix: true, loopback: false })

function peerOf(socket: Socket): ConnectionInfo | undefined {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return undefined
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
  return { remoteAddress: address, remotePort, unix: false, loopback: address === '::1' || address.startsWith('127.') }
}

function start(
  server: Server,
  where: NetListenOptions & { fd?: number },
  onError: (error: Error) => void,
): Promise<void> {
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
