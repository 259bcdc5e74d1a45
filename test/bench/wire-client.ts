/**
 * A lean client for trials with thousands of connections: plain or TLS, simple protocol, text results, no password.
 */
import net from 'node:net'
import tls from 'node:tls'
import { frontend } from '../fixtures/messages.ts'
import { TRUST_USER } from './postgres.ts'

/** Where to, and how. */
export interface WireOptions {
  host: string
  port: number
  tls?: boolean
  /** A TLS session to go on with. */
  session?: Buffer
  /** Gets each TLS session the server offers. */
  onSession?: (session: Buffer) => void
}

const STARTUP = frontend.startup({ user: TRUST_USER, database: 'postgres' })
const NONE = Buffer.alloc(0)

/** One connection; one query at a time. */
export class WireClient {
  readonly socket: net.Socket
  #pending: Buffer = NONE
  /** Cells of the last row so far. */
  #row: string[] = []
  #error: Error | undefined
  #settle: { resolve: (row: string[]) => void; reject: (error: Error) => void } | undefined

  constructor(socket: net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#onData(chunk))
    // An error is followed by `close`.
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', () => this.#settle?.reject(this.#error ?? new Error('the connection was closed')))
  }

  /** Connects and logs in. @throws Error where the server refuses, or closes */
  static async connect(options: WireOptions): Promise<WireClient> {
    const { host, port } = options
    const raw = net.connect({ host, port })
    const socket = options.tls ? await startTls(raw, options) : raw
    const client = new WireClient(socket)
    await client.exchange(STARTUP)
    return client
  }

  /** True where the TLS session of an earlier connection was resumed. */
  get resumed(): boolean {
    return this.socket instanceof tls.TLSSocket && this.socket.isSessionReused()
  }

  /** The cells of the last row. @throws Error with the server's message */
  query(sql: string): Promise<string[]> {
    return this.exchange(frontend.query(sql))
  }

  /** Terminate. */
  end(): void {
    this.socket.end(frontend.terminate())
  }

  /** Sends messages of which the last one is answered with ReadyForQuery; the cells of the last row. */
  exchange(message: Buffer): Promise<string[]> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) {
        reject(this.#error ?? new Error('the connection was closed'))
        return
      }
      this.#settle = { resolve, reject }
      this.#row = []
      this.socket.write(message)
    })
  }

  #onData(chunk: Buffer): void {
    const bytes = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    let at = 0
    while (bytes.length - at >= 5) {
      const end = at + 1 + bytes.readUInt32BE(at + 1)
      if (end > bytes.length) break
      this.#onMessage(bytes[at]!, bytes.subarray(at + 5, end))
      at = end
    }
    // A copy: a client that says nothing must not pin the chunk.
    this.#pending = at === bytes.length ? NONE : Buffer.from(bytes.subarray(at))
  }

  #onMessage(type: number, body: Buffer): void {
    if (type === 0x44) this.#row = readRow(body)
    else if (type === 0x45) this.#error = new Error(body.toString('utf8').split('\0').join(' ').trim())
    else if (type === 0x5a) {
      const settle = this.#settle
      const error = this.#error
      this.#settle = undefined
      this.#error = undefined
      if (error) settle?.reject(error)
      else settle?.resolve(this.#row)
    }
  }
}

/** SSLRequest, and TLS behind its answer. */
function startTls(raw: net.Socket, { session, onSession }: WireOptions): Promise<tls.TLSSocket> {
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Error('the connection was closed before TLS'))
    raw.once('error', reject)
    raw.once('close', fail)
    raw.once('connect', () => raw.write(frontend.sslRequest()))
    raw.once('data', (answer: Buffer) => {
      raw.off('close', fail)
      if (answer.toString('latin1') !== 'S') {
        raw.destroy()
        reject(new Error('the server offers no TLS'))
        return
      }
      const secure = tls.connect({ socket: raw, rejectUnauthorized: false, session })
      if (onSession) secure.on('session', onSession)
      secure.once('error', reject)
      secure.once('close', fail)
      secure.once('secureConnect', () => {
        secure.off('error', reject)
        secure.off('close', fail)
        resolve(secure)
      })
    })
  })
}

function readRow(body: Buffer): string[] {
  const cells: string[] = []
  for (let i = body.readUInt16BE(0), at = 2; i > 0; i--) {
    const length = body.readInt32BE(at)
    cells.push(length < 0 ? '' : body.toString('utf8', at + 4, at + 4 + length))
    at += 4 + Math.max(length, 0)
  }
  return cells
}

/** Runs `work` for 0 to `count` - 1, at most `atOnce` at a time. */
export async function inParallel(count: number, atOnce: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  async function worker(): Promise<void> {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: Math.min(count, atOnce) }, worker))
}
