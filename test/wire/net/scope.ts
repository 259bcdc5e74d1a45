/**
 * What the scenarios of net/ share: a server that negotiates encryption, clients made of bare sockets, and a scope that
 * closes it all. Runs without a test framework, on every runtime.
 */

import { mkdtempSync, rmSync } from 'node:fs'
import { connect as netConnect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, type TLSSocket, connect as tlsConnect } from 'node:tls'
import { type ClientEncryption, negotiateClientEncryption } from '../../../lib/net/client-encryption.ts'
import { Deadlines } from '../../../lib/net/deadlines.ts'
import { type Listener, type ListenOptions, listen } from '../../../lib/net/listener.ts'
import { loadTlsContext, type TlsContext, type TlsSettings } from '../../../lib/net/tls-context.ts'
import {
  type CertificateFiles,
  type Certificates,
  makeCertificates,
  writeCertificates,
} from '../../fixtures/certificates.ts'

/** A scenario fails with an error that says what, after this many milliseconds. */
export const DEADLINE = 15_000

let made:
  | { certificates: Certificates; files: Record<keyof Certificates, CertificateFiles>; directory: string }
  | undefined

/** The certificates of this process, as values and as files. */
export function certificates() {
  if (!made) {
    const directory = mkdtempSync(join(tmpdir(), 'pgbun-certs-'))
    process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
    const set = makeCertificates()
    made = { certificates: set, files: writeCertificates(directory, set), directory }
  }
  return made
}

const UNSET: TlsSettings = {
  mode: 'disable',
  keyFile: '',
  certFile: '',
  caFile: '',
  protocols: 'secure',
  ciphers: 'default',
}

/** TLS for the side where clients come in. */
export function clientSide(
  mode: TlsSettings['mode'],
  certificate: keyof Certificates = 'server',
  more: Partial<TlsSettings> = {},
): TlsContext | undefined {
  const { files } = certificates()
  const { cert: certFile, key: keyFile } = files[certificate]
  return loadTlsContext('client', { ...UNSET, mode, certFile, keyFile, caFile: files.ca.cert, ...more })
}

/** TLS for the side towards servers. */
export function serverSide(mode: TlsSettings['mode'], more: Partial<TlsSettings> = {}): TlsContext {
  const { files } = certificates()
  const caFile = mode.startsWith('verify') ? files.ca.cert : ''
  return loadTlsContext('server', { ...UNSET, mode, caFile, ...more })!
}

/** Everything of one scenario that must be closed. */
export class Scope {
  #closers: (() => unknown)[] = []

  /** Call `close` when the scenario is over. */
  add(close: () => unknown): void {
    this.#closers.push(close)
  }

  async end(): Promise<void> {
    for (const close of this.#closers.reverse()) await close()
  }

  /** A directory of its own. */
  directory(): string {
    const directory = mkdtempSync(join(tmpdir(), 'pgbun-net-'))
    this.add(() => rmSync(directory, { recursive: true, force: true }))
    return directory
  }

  /** A listener on a free port of 127.0.0.1, or as told. */
  async listen(onConnection: ListenOptions['onConnection'], more: Partial<ListenOptions> = {}): Promise<Listener> {
    const listener = await listen({
      hosts: ['127.0.0.1'],
      port: 0,
      unixSocketDir: '',
      unixSocketMode: '0777',
      backlog: 128,
      keepAliveMs: () => 60_000,
      onConnection: (socket, info) => {
        this.add(() => socket.destroy())
        onConnection(socket, info)
      },
      onError: () => {},
      ...more,
    })
    this.add(() => listener.close())
    return listener
  }

  /**
   * A listener that negotiates encryption as a client of pgbun would meet it. `next()` is the outcome of the next
   * connection.
   */
  async negotiator(context: TlsContext | undefined, { timeoutMs = DEADLINE, local = true } = {}) {
    const outcomes: Promise<ClientEncryption>[] = []
    const deadlines = new Deadlines()
    const waiting: ((outcome: Promise<ClientEncryption>) => void)[] = []
    const listener = await this.listen((socket) => {
      const outcome = new Promise<ClientEncryption>((resolve) => {
        negotiateClientEncryption(socket, { context, local, timeoutMs, deadlines }, (result) => {
          // As whoever goes on with it would: it flows, and nobody listens yet.
          if (result.closed === undefined) result.socket.pause()
          resolve(result)
        })
      })
      const waiter = waiting.shift()
      if (waiter) waiter(outcome)
      else outcomes.push(outcome)
    })
    const next = () =>
      within(
        outcomes.shift() ?? new Promise<ClientEncryption>((resolve) => waiting.push(resolve)),
        'the outcome of the negotiation',
      )
    return { port: listener.port, next }
  }

  /** A relay to a port of this machine that passes on the first `length` bytes of a client one by one. */
  async byteByByte(port: number, length: number): Promise<number> {
    const listener = await this.listen((near) => {
      const far = netConnect({ port, host: '127.0.0.1', noDelay: true })
      this.add(() => far.destroy())
      far.on('error', () => near.destroy())
      far.on('end', () => near.end())
      far.on('data', (chunk) => near.write(chunk))
      let left = length
      let queue = Promise.resolve()
      near.on('end', () => void queue.then(() => far.end()))
      near.on('data', (chunk: Buffer) => {
        queue = queue.then(async () => {
          const slow = Math.min(left, chunk.length)
          left -= slow
          for (const byte of chunk.subarray(0, slow)) {
            await new Promise((resolve) => far.write(Buffer.from([byte]), resolve))
            await new Promise((resolve) => setImmediate(resolve))
          }
          if (slow < chunk.length) far.write(chunk.subarray(slow))
        })
      })
    })
    return listener.port
  }

  /** A bare client. */
  async client(port: number): Promise<Peer> {
    const socket = netConnect({ port, host: '127.0.0.1', noDelay: true })
    this.add(() => socket.destroy())
    await within(new Promise<void>((resolve, reject) => socket.on('connect', resolve).on('error', reject)), 'connect')
    return new Peer(socket)
  }
}

/** The other end of a connection: collects what it reads. */
export class Peer {
  readonly socket: Socket
  received: Buffer = Buffer.alloc(0)
  ended = false
  error: Error | undefined
  #wake: (() => void)[] = []

  constructor(socket: Socket, initial: Buffer = Buffer.alloc(0)) {
    this.socket = socket
    this.received = initial
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('close', this.#onEnd)
    socket.on('error', (error) => {
      this.error = error
    })
    socket.resume()
  }

  #onData = (chunk: Buffer): void => {
    this.received = Buffer.concat([this.received, chunk])
    this.#notify()
  }

  #onEnd = (): void => {
    this.ended = true
    this.#notify()
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake()
  }

  /** Write and wait until the system has it. */
  write(bytes: Buffer | string): Promise<void> {
    return within(new Promise((resolve) => this.socket.write(bytes, () => resolve())), 'write')
  }

  /** Wait for this many bytes, and take them. */
  async read(length: number): Promise<Buffer> {
    await this.#until(() => this.received.length >= length || this.ended, `${length} bytes`)
    const taken = this.received.subarray(0, length)
    if (taken.length < length) throw new Error(`wanted ${length} bytes, the connection ended after ${taken.length}`)
    this.received = this.received.subarray(length)
    return taken
  }

  /** Wait for the end of the connection; what came before it. */
  async readAll(): Promise<Buffer> {
    await this.#until(() => this.ended, 'the end of the connection')
    return this.received
  }

  /** Go on with TLS. */
  async secure(options: ConnectionOptions = {}): Promise<Peer> {
    const { socket } = this
    socket.off('data', this.#onData)
    const { certificates: set } = certificates()
    const secured: TLSSocket = tlsConnect({
      socket,
      ca: set.ca.certificate,
      servername: 'localhost',
      ...options,
    })
    await within(
      new Promise<void>((resolve, reject) => {
        secured.on('secureConnect', resolve)
        secured.on('error', reject)
        secured.on('close', () => reject(new Error('closed during the TLS handshake')))
      }),
      'the TLS handshake',
    )
    return new Peer(secured)
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const end = performance.now() + DEADLINE
    while (!condition()) {
      await within(new Promise<void>((resolve) => this.#wake.push(resolve)), what, end - performance.now())
    }
  }
}

/** The promise, or an error that names what was waited for. */
export function within<T>(promise: Promise<T>, what: string, ms = DEADLINE): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), ms)
    promise.then(
      (value) => {
        clearTimeout(timer)
        resolve(value)
      },
      (error) => {
        clearTimeout(timer)
        reject(error)
      },
    )
  })
}
