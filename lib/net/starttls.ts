/**
 * Wraps an accepted socket in TLS: the one place that knows how the runtimes differ in it (R19). Called by
 * client-encryption once it is decided that this client gets TLS.
 *
 * In: a raw socket without a 'data' listener, and where the client began with TLS at once (first byte 0x16), the bytes
 * read so far. Out: the TLS socket with its handshake done, or a TlsHandshakeError with the raw socket destroyed.
 * What must hold: the handshake has a deadline of its own (a bare TLSSocket has none on either runtime), and no listener
 * of ours stays on either socket but the shared ones that keep an 'error' from ending the process, and end a connection
 * whose TLS is broken.
 *
 * Two ways to wrap, since both runtimes lack one half:
 * - `new TLSSocket(raw)` shares one secure context between all connections, but on Node it never says whether the
 *   client's certificate is valid (`authorized` stays false, the verdict is in a private handle).
 * - A `tls.Server` that never listens and is handed the socket as its 'connection' event (documented for this use)
 *   does say so. Its event does not tell which raw socket it belongs to, so one server does one handshake at a time.
 * So certificates take the second way and everything else the first.
 */

import type { Socket } from 'node:net'
import { createServer, type PeerCertificate, type Server, TLSSocket } from 'node:tls'
import type { TlsContext } from './tls-context.ts'

/** The protocol name of PostgreSQL in ALPN (protocol chapter "SSL Session Encryption"). */
export const ALPN_PROTOCOL = 'postgresql'

/** Idle handshake servers kept per context; a storm of logins makes more, which are dropped afterwards. */
const KEPT_SERVERS = 8

export interface AcceptTlsOptions {
  /** Ask for a certificate of the client and check it. The verdict is in the result: nothing is refused here. */
  requestCert: boolean
  /** Direct TLS: a client that does not ask for `postgresql` by ALPN is refused, it may be speaking another protocol. */
  requireAlpn: boolean
  /** Milliseconds for the whole handshake. */
  timeoutMs: number
  /** Bytes of the handshake that were read from the raw socket already. */
  initial?: Buffer
}

/** What a client's certificate was worth; only where one was asked for. */
export type ClientCertificate =
  | { authorized: true; commonName: string; subject: string; der: Buffer }
  | { authorized: false; reason: string }

export interface AcceptedTls {
  socket: TLSSocket
  /** As in `TLSv1.3`. */
  protocol: string
  cipher: string
  clientCertificate: ClientCertificate | undefined
}

/** A TLS handshake with a client that came to nothing. The message is for the log. */
export class TlsHandshakeError extends Error {
  /** Of OpenSSL or Node, or TLS_TIMEOUT, TLS_CLOSED, TLS_NO_ALPN. */
  readonly code: string
  constructor(code: string, message: string) {
    super(message)
    this.name = 'TlsHandshakeError'
    this.code = code
  }
}

/**
 * Do the server's side of a TLS handshake on an accepted socket.
 * @throws TlsHandshakeError; the raw socket is destroyed then
 */
export function acceptTls(raw: Socket, context: TlsContext, options: AcceptTlsOptions): Promise<AcceptedTls> {
  return new Promise((resolve, reject) => {
    let socket: TLSSocket | undefined
    let server: Server | undefined
    const timer = setTimeout(() => {
      fail(new TlsHandshakeError('TLS_TIMEOUT', 'the TLS handshake took too long'))
    }, options.timeoutMs)

    const leave = () => {
      clearTimeout(timer)
      raw.off('close', onClose)
      socket?.off('error', onError)
      socket?.off('secure', onSecure)
      server?.off('secureConnection', onSecureConnection)
      server?.off('tlsClientError', onError)
    }
    const fail = (error: TlsHandshakeError) => {
      leave()
      socket?.destroy()
      raw.destroy()
      reject(error)
    }
    const onError = (error: Error) => fail(handshakeError(error))
    const onClose = () => fail(clientLeft())
    const onSecureConnection = (secured: TLSSocket) => {
      socket = secured
      socket.on('error', ignoreError)
      onSecure()
    }
    const onSecure = () => {
      const wrapped = socket!
      if (options.requireAlpn && wrapped.alpnProtocol !== ALPN_PROTOCOL) {
        fail(new TlsHandshakeError('TLS_NO_ALPN', `direct TLS without ALPN protocol "${ALPN_PROTOCOL}"`))
        return
      }
      leave()
      if (server) keepServer(context, server)
      resolve({
        socket: wrapped,
        protocol: wrapped.getProtocol() ?? '',
        cipher: wrapped.getCipher()?.name ?? '',
        clientCertificate: options.requestCert ? certificateOf(wrapped) : undefined,
      })
    }

    raw.on('close', onClose)
    // Must come before wrapping: TLS takes what is buffered there as the start of the handshake.
    if (options.initial?.length) raw.unshift(options.initial)
    if (options.requestCert) {
      server = takeServer(context)
      server.on('secureConnection', onSecureConnection)
      server.on('tlsClientError', onError)
      server.emit('connection', raw)
    } else {
      socket = new TLSSocket(raw, {
        isServer: true,
        secureContext: context.secureContext,
        ALPNProtocols: [ALPN_PROTOCOL],
      })
      socket.on('error', ignoreError)
      socket.on('error', onError)
      socket.on('secure', onSecure)
      socket.on(TLS_ERROR, endBroken)
    }
  })
}

/**
 * What a TLS error means, in words. OpenSSL wraps its reason in addresses and file names, and BoringSSL, on Bun, spells
 * it differently; for the common ones we say what is behind it.
 */
export function describeTlsError(error: Error): string {
  const { code = '', reason } = error as NodeJS.ErrnoException & { reason?: string }
  for (const [pattern, text] of TLS_REASONS) if (pattern.test(code) || pattern.test(error.message)) return text
  if (reason) return reason.replaceAll('_', ' ').toLowerCase()
  const parts = /^(?:\w+:)?error:\w+:([^:]*):[^:]*:([^:]*)/.exec(error.message)
  return (parts?.[2] ?? error.message).replaceAll('_', ' ').trim().toLowerCase() || code || 'unknown error'
}

const TLS_REASONS: readonly (readonly [RegExp, string])[] = [
  [/ALERT_UNKNOWN_CA/, 'the peer does not trust our certificate (alert: unknown ca)'],
  [/ALERT_BAD_CERTIFICATE/, 'the peer refused our certificate (alert: bad certificate)'],
  [/ALERT_CERTIFICATE_REQUIRED/, 'the peer asks for a certificate of ours (alert: certificate required)'],
  [/ALERT_CERTIFICATE_EXPIRED/, 'the peer says that our certificate has expired'],
  [/ALERT_NO_APPLICATION_PROTOCOL/, `the peer does not speak the ALPN protocol "${ALPN_PROTOCOL}"`],
  [/NO_APPLICATION_PROTOCOL/, `the peer asked for another ALPN protocol than "${ALPN_PROTOCOL}"`],
  [/UNSUPPORTED_PROTOCOL|ALERT_PROTOCOL_VERSION/, 'no TLS version in common'],
  [/NO_SHARED_CIPHER|ALERT_HANDSHAKE_FAILURE|HANDSHAKE_FAILURE_ON_CLIENT_HELLO/, 'no cipher in common'],
  [/WRONG_VERSION_NUMBER|HTTP_REQUEST/, 'the peer did not speak TLS'],
  // BoringSSL cannot read OpenSSL's way to say that it does not like the certificate.
  [/BAD_PACKET_LENGTH/, 'the peer broke off (does it trust our certificate?)'],
  [/ECONNRESET|EPIPE/, 'the peer closed the connection'],
]

/**
 * What Node emits instead of 'error' when something goes wrong after the handshake of a socket that no tls.Server has
 * made, as a tls.Server itself hears of it. Nothing else tells: the connection would stay, deaf and open. Bun emits
 * 'error' and ends it.
 */
const TLS_ERROR = '_tlsError'

function endBroken(this: TLSSocket, error: Error): void {
  this.destroy(error)
}

/** A listener that every socket keeps: an 'error' nobody listens to would end the process. The 'close' behind it tells. */
export function ignoreError(): void {}

function clientLeft(): TlsHandshakeError {
  return new TlsHandshakeError('TLS_CLOSED', 'the client left during the TLS handshake')
}

function handshakeError(error: Error): TlsHandshakeError {
  const { code = 'TLS_HANDSHAKE' } = error as NodeJS.ErrnoException
  // Bun's way to say what Node says by 'close' alone.
  if (code === 'ECONNRESET' || code === 'EPIPE') return clientLeft()
  return new TlsHandshakeError(code, `TLS handshake failed: ${describeTlsError(error)}`)
}

const idleServers = new WeakMap<TlsContext, Server[]>()

function takeServer(context: TlsContext): Server {
  const idle = idleServers.get(context)?.pop()
  if (idle) return idle
  return createServer({
    ...context.secureOptions,
    ALPNProtocols: [ALPN_PROTOCOL],
    requestCert: true,
    // The client is told in words what is wrong with its certificate, which a refused handshake cannot do.
    rejectUnauthorized: false,
  })
}

/** Only after success: a failed handshake may still have an event to emit. */
function keepServer(context: TlsContext, server: Server): void {
  let list = idleServers.get(context)
  if (!list) idleServers.set(context, (list = []))
  if (list.length < KEPT_SERVERS) list.push(server)
}

function certificateOf(socket: TLSSocket): ClientCertificate {
  const certificate: Partial<PeerCertificate> | undefined = socket.getPeerCertificate()
  if (!certificate?.raw) return { authorized: false, reason: 'the client presented no certificate' }
  if (!socket.authorized) {
    const { authorizationError: error } = socket as { authorizationError?: Error | string | null }
    const reason =
      (error instanceof Error ? ((error as NodeJS.ErrnoException).code ?? error.message) : error) ?? 'unknown'
    return { authorized: false, reason: CERTIFICATE_REASONS[reason] ?? reason }
  }
  const commonName: string | string[] = certificate.subject?.CN ?? ''
  return {
    authorized: true,
    // Of several common names none can be taken for the user's.
    commonName: typeof commonName === 'string' ? commonName : '',
    subject: Object.entries(certificate.subject ?? {})
      .map(([key, value]) => `${key}=${value}`)
      .join(', '),
    // Copied: what the runtime hands out may be a view of something larger.
    der: Buffer.from(certificate.raw),
  }
}

/** Words for the verdicts of OpenSSL that happen. */
export const CERTIFICATE_REASONS: Record<string, string> = {
  CERT_HAS_EXPIRED: 'the certificate has expired',
  CERT_NOT_YET_VALID: 'the certificate is not yet valid',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'the certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'the certificate comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT: 'the certificate comes from an unknown authority',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'the certificate comes from an unknown authority',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the certificate comes from an unknown authority',
  INVALID_PURPOSE: 'the certificate is not meant for this use (extended key usage)',
}
