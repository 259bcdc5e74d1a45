/**
 * The first bytes of a client (protocol chapters "SSL Session Encryption" and "GSSAPI Session Encryption"): does it want
 * TLS, directly or by SSLRequest, and does it get it? Called once per accepted connection, before anything else reads.
 *
 * In: an accepted socket that nobody has read from, with an 'error' listener. Out: the socket to go on with, without a
 * listener of ours (flowing, so that who takes it listens at once; a TLS socket is paused), and the bytes read that belong
 * to the startup packet; or why the connection ended, with the socket destroyed or ending.
 * What must hold: not one byte a client sent in the clear is taken for one that came through TLS (CVE-2021-3935), so the
 * buffer is exactly the 8 bytes of a request when it is answered. Each request may come once, and GSS not behind TLS:
 * out of its place it goes on as the startup packet it is not, as in PostgreSQL. Nothing waits beyond the deadline. Whether a client
 * without TLS may go on (mode require and stronger) is for the caller, who can tell it so.
 */

import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { roundedDuration } from '../config/units.ts'
import { errorFields } from '../errors.ts'
import { errorResponse } from '../protocol/build.ts'
import { GSSENC_REQUEST_CODE, SSL_REQUEST_CODE } from '../protocol/startup.ts'
import type { Deadline, Deadlines } from './deadlines.ts'
import { type AcceptedTls, acceptTls, type ClientCertificate, type TlsHandshakeError } from './starttls.ts'
import type { TlsContext } from './tls-context.ts'

export interface ClientEncryptionOptions {
  /** undefined where the mode is disable. */
  context: TlsContext | undefined
  /** It is a client of this machine, to which nobody listens. */
  local: boolean
  /** Milliseconds for everything up to the startup packet's first bytes, client_login_timeout. 0 = no limit. */
  timeoutMs: number
  /** Where the connection is on until its negotiation is over. */
  deadlines: Deadlines
}

/** How a client's TLS looks, for logs, SHOW CLIENTS and channel binding. */
export interface ClientTlsInfo {
  protocol: string
  cipher: string
  /** In the verify modes only, and valid there. */
  clientCertificate: Extract<ClientCertificate, { authorized: true }> | undefined
  /** tls-server-end-point of our own certificate; undefined where none is defined for it. */
  endPointHash: Buffer | undefined
}

/**
 * probe: closed without a byte, or with no more than requests for encryption, as health checks do; not worth a log line.
 * left: closed within the first bytes. timeout: the deadline. tls: the handshake failed. certificate: the client's
 * certificate is missing or bad. protocol: it broke the rules.
 */
export type EncryptionFailure = 'probe' | 'left' | 'timeout' | 'tls' | 'certificate' | 'protocol'

export type ClientEncryption =
  | { closed: undefined; socket: Socket | TLSSocket; initial: Buffer; tls: ClientTlsInfo | undefined }
  | { closed: EncryptionFailure; message: string }

const REQUEST_LENGTH = 8
const TLS_HANDSHAKE_RECORD = 0x16
const NOTHING = Buffer.alloc(0)
const REFUSED = Buffer.from('N')
const ACCEPTED = Buffer.from('S')

/** The negotiation of a socket, for the listeners that all of them share. */
const NEGOTIATION = Symbol('negotiation')
interface Owned {
  [NEGOTIATION]: Negotiation | undefined
}

/**
 * Find out what the client wants and give it what the mode of `context` allows.
 * @param done called once; for a client without TLS in the turn in which its startup packet began to come, so that its
 * socket never stops flowing. Must not throw.
 */
export function negotiateClientEncryption(
  raw: Socket,
  options: ClientEncryptionOptions,
  done: (outcome: ClientEncryption) => void,
): void {
  new Negotiation(raw, options, done).start()
}

function onData(this: Socket, chunk: Buffer): void {
  ;(this as Socket & Owned)[NEGOTIATION]?.onData(chunk)
}

function onEnd(this: Socket): void {
  ;(this as Socket & Owned)[NEGOTIATION]?.onEnd()
}

/** One negotiation. It is over when `done` was called. */
class Negotiation implements Deadline {
  list: { readonly name: string } | null = null
  prev: Deadline | null = null
  next: Deadline | null = null
  readonly deadline: number
  readonly #raw: Socket
  readonly #options: ClientEncryptionOptions
  readonly #done: (outcome: ClientEncryption) => void
  #buffer: Buffer = NOTHING
  /** Each request may come once: a client could keep us answering for ever. */
  #sslAsked = false
  #gssAsked = false
  #encrypting = false
  #over = false

  constructor(raw: Socket, options: ClientEncryptionOptions, done: (outcome: ClientEncryption) => void) {
    this.#raw = raw
    this.#options = options
    this.#done = done
    this.deadline = options.timeoutMs > 0 ? performance.now() + options.timeoutMs : Number.POSITIVE_INFINITY
  }

  start(): void {
    const raw = this.#raw
    if (raw.destroyed) {
      this.#end({ closed: 'probe', message: 'the client closed the connection at once' })
      return
    }
    this.#options.deadlines.add(this)
    ;(raw as Socket & Owned)[NEGOTIATION] = this
    raw.on('end', onEnd)
    raw.on('close', onEnd)
    raw.on('data', onData)
  }

  /** The socket flows on: who is told next listens in the same turn, or pauses it. */
  #stopListening(): void {
    const raw = this.#raw
    ;(raw as Socket & Owned)[NEGOTIATION] = undefined
    raw.off('data', onData)
    raw.off('end', onEnd)
    raw.off('close', onEnd)
  }

  /** The same for who cannot listen at once. The pause comes first: Bun loses what arrives between the two otherwise. */
  #stopFlowing(): void {
    this.#raw.pause()
    this.#stopListening()
  }

  onData(chunk: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    this.#look()
  }

  onEnd(): void {
    if (this.#asksOnly) {
      this.#close('probe', 'the client closed the connection after the answer to its request for encryption')
    } else if (this.#buffer.length > 0 || this.#sslAsked || this.#gssAsked) {
      this.#close('left', 'the client left before its startup packet')
    } else {
      this.#close('probe', 'the client closed the connection without sending anything')
    }
  }

  /** Nothing came but requests for encryption. */
  get #asksOnly(): boolean {
    const requests = Number(this.#sslAsked) + Number(this.#gssAsked)
    return requests > 0 && this.#buffer.length === 0 && this.#raw.bytesRead === requests * REQUEST_LENGTH
  }

  onDeadline(): void {
    const { timeoutMs } = this.#options
    const what = this.#encrypting ? 'finish its TLS handshake' : 'send a startup packet'
    this.#close('timeout', `the client did not ${what} within ${roundedDuration(timeoutMs)}`)
  }

  onShutdown(): void {
    this.#close('left', 'pgbun shuts down')
  }

  #look(): void {
    const buffer = this.#buffer
    if (buffer[0] === TLS_HANDSHAKE_RECORD && !this.#sslAsked && !this.#gssAsked) {
      this.#direct()
      return
    }
    // As soon as the length cannot be that of a request, a startup packet has begun, or nothing we know.
    for (let i = 0; i < Math.min(4, buffer.length); i++) {
      if (buffer[i] !== (i === 3 ? REQUEST_LENGTH : 0)) {
        this.#handOver(this.#raw, undefined)
        return
      }
    }
    if (buffer.length < REQUEST_LENGTH) return
    const code = buffer.readInt32BE(4)
    if (code !== SSL_REQUEST_CODE && code !== GSSENC_REQUEST_CODE) {
      this.#handOver(this.#raw, undefined)
      return
    }
    if (code === SSL_REQUEST_CODE ? this.#sslAsked : this.#gssAsked) {
      this.#handOver(this.#raw, undefined)
      return
    }
    if (buffer.length !== REQUEST_LENGTH) {
      this.#smuggled(code)
      return
    }
    this.#buffer = NOTHING
    if (code === GSSENC_REQUEST_CODE) {
      this.#gssAsked = true
      this.#raw.write(REFUSED)
      return
    }
    this.#sslAsked = true
    if (!this.#offersTls) {
      this.#raw.write(REFUSED)
      return
    }
    this.#stopFlowing()
    // What arrives while the answer is under way stays in the socket for the handshake. The answer must be out before
    // the socket is wrapped: Bun does not order a pending write and the handshake.
    const { context } = this.#options
    this.#raw.write(ACCEPTED, () => void this.#encrypt(context!, NOTHING, false))
  }

  /** Bytes came behind a request, before they could have been encrypted. As with PostgreSQL no handshake comes of that. */
  #smuggled(code: number): void {
    const gss = code === GSSENC_REQUEST_CODE
    const message = `received unencrypted data after ${gss ? 'GSSAPI encryption' : 'SSL'} request`
    const error = errorResponse(errorFields('protocol_violation', { args: { what: message } }))
    this.#stopListening()
    endRefused(this.#raw, gss || !this.#offersTls ? Buffer.concat([REFUSED, error]) : ACCEPTED)
    this.#end({ closed: 'protocol', message })
  }

  get #offersTls(): boolean {
    const { context, local } = this.#options
    return context !== undefined && !(context.made && local)
  }

  #direct(): void {
    const { context } = this.#options
    if (!context || !this.#offersTls) {
      const why = context
        ? 'clients of this machine need a certificate (client_tls_cert_file) for that'
        : 'client_tls_mode = disable'
      this.#close('protocol', `the client began with a TLS handshake, but ${why}`)
      return
    }
    this.#stopFlowing()
    const initial = this.#buffer
    this.#buffer = NOTHING
    void this.#encrypt(context, initial, true)
  }

  async #encrypt(context: TlsContext, initial: Buffer, direct: boolean): Promise<void> {
    this.#encrypting = true
    const left = this.deadline - performance.now()
    if (left <= 0 || this.#raw.destroyed) {
      this.#close(this.#asksOnly ? 'probe' : 'left', 'the client left before the TLS handshake')
      return
    }
    const { mode } = context
    const requestCert = mode === 'verify-ca' || mode === 'verify-full'
    // setTimeout takes no more than 2^31 - 1.
    const timeoutMs = Math.min(left, 0x7fffffff)
    let accepted: AcceptedTls
    try {
      accepted = await acceptTls(this.#raw, context, { requestCert, requireAlpn: direct, timeoutMs, initial })
    } catch (error) {
      const { code } = error as TlsHandshakeError
      const left = this.#asksOnly ? 'probe' : 'left'
      const closed = code === 'TLS_TIMEOUT' ? 'timeout' : code === 'TLS_CLOSED' ? left : 'tls'
      this.#close(closed, (error as Error).message)
      return
    }
    const { socket, protocol, cipher, clientCertificate } = accepted
    if (this.#over) {
      // Its time was up, or pgbun's, in the moment in which the handshake was done.
      socket.destroy()
      return
    }
    if (requestCert && !clientCertificate?.authorized) {
      const reason = clientCertificate?.reason ?? 'the client presented no certificate'
      refuse(socket, reason)
      this.#end({ closed: 'certificate', message: `no valid client certificate: ${reason}` })
      return
    }
    this.#handOver(socket, {
      protocol,
      cipher,
      clientCertificate: clientCertificate?.authorized ? clientCertificate : undefined,
      endPointHash: context.leaf!.endPointHash,
    })
  }

  #handOver(socket: Socket | TLSSocket, tls: ClientTlsInfo | undefined): void {
    if (!tls) this.#stopListening()
    this.#end({ closed: undefined, socket, initial: this.#buffer, tls })
  }

  #close(closed: EncryptionFailure, message: string): void {
    this.#stopListening()
    this.#raw.destroy()
    this.#end({ closed, message })
  }

  #end(outcome: ClientEncryption): void {
    if (this.#over) return
    this.#over = true
    this.#options.deadlines.remove(this)
    this.#done(outcome)
  }
}

/** How long a refused client may take to read why. */
const REFUSAL_MS = 2000

/**
 * Tell a client through TLS what is wrong with its certificate, then close. Reading goes on meanwhile: closing with
 * unread input would reset the connection and take the message with it.
 */
function refuse(socket: TLSSocket, reason: string): void {
  endRefused(socket, errorResponse(errorFields('client_certificate_required', { detail: reason })))
}

function endRefused(socket: Socket, last: Buffer): void {
  const timer = setTimeout(() => socket.destroy(), REFUSAL_MS)
  socket.on('close', () => clearTimeout(timer))
  socket.resume()
  socket.end(last)
}
