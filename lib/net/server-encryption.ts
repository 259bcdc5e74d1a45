/**
 * TLS towards PostgreSQL on a connection that has just been opened (protocol chapter "SSL Session Encryption", client's
 * side; libpq's sslmode and sslnegotiation). Called by dial.
 *
 * In: a connected socket nobody has read from. Out: the same, or a TLS socket with its handshake done, its peer checked
 * as far as the mode asks; paused. On failure the caller destroys the socket.
 * What must hold: nothing that came in the clear is read as if it had come through TLS (CVE-2021-23222): the answer to
 * SSLRequest is one byte and nothing behind it. Sessions are not resumed: PostgreSQL turns that off.
 */

import { isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { SSL_REQUEST_CODE } from '../protocol/startup.ts'
import { ALPN_PROTOCOL, CERTIFICATE_REASONS, describeTlsError, ignoreError } from './starttls.ts'
import type { TlsContext } from './tls-context.ts'

/** How a server's TLS looks, for logs, SHOW SERVERS and channel binding. */
export interface ServerTlsInfo {
  protocol: string
  cipher: string
  /** DER of the server's own certificate, which tls-server-end-point hashes. */
  endPointCertificate: Buffer
}

/** TLS towards a server that failed. */
export class ServerTlsError extends Error {
  /** TLS_UNSUPPORTED, TLS_VERIFY, TLS_HOSTNAME, TLS_HANDSHAKE, TLS_PROTOCOL, TLS_CLOSED, TLS_REFUSED. */
  readonly code: string
  /** libpq's prefer tries again without TLS then. */
  readonly plainMayWork: boolean
  constructor(code: string, message: string, plainMayWork = false) {
    super(message)
    this.name = 'ServerTlsError'
    this.code = code
    this.plainMayWork = plainMayWork
  }
}

const SSL_REQUEST = Buffer.alloc(8)
SSL_REQUEST.writeInt32BE(8, 0)
SSL_REQUEST.writeInt32BE(SSL_REQUEST_CODE, 4)

const ANSWER_YES = 0x53
const ANSWER_NO = 0x4e
const ANSWER_ERROR = 0x45

/**
 * Ask for TLS by SSLRequest.
 * @returns whether the server agrees
 * @throws ServerTlsError where it answers anything but `S` or `N`
 */
export function requestTls(socket: Socket): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      // The pause comes with the listener still there, as in client-encryption.
      socket.pause()
      socket.off('data', onData)
      socket.off('close', onClose)
      socket.off('end', onClose)
    }
    const onData = (chunk: Buffer) => {
      leave()
      const answer = chunk[0]
      if (answer === ANSWER_ERROR) {
        // Its text came in the clear from whoever sits in between, so it is not shown (CVE-2024-10977).
        reject(new ServerTlsError('TLS_REFUSED', 'the server answered the request for TLS with an error', true))
      } else if (answer !== ANSWER_YES && answer !== ANSWER_NO) {
        const shown = `0x${(answer ?? 0).toString(16).padStart(2, '0')}`
        reject(new ServerTlsError('TLS_PROTOCOL', `not PostgreSQL: unexpected answer ${shown} to the request for TLS`))
      } else if (chunk.length > 1) {
        reject(new ServerTlsError('TLS_PROTOCOL', 'received unencrypted data after the answer to the request for TLS'))
      } else {
        resolve(answer === ANSWER_YES)
      }
    }
    const onClose = () => {
      leave()
      reject(new ServerTlsError('TLS_CLOSED', 'the server closed the connection when asked for TLS'))
    }
    socket.on('data', onData)
    socket.on('end', onClose)
    socket.on('close', onClose)
    socket.resume()
    socket.write(SSL_REQUEST)
  })
}

/**
 * Do the client's side of a TLS handshake, and check the peer as the context's mode asks.
 * @param host as configured: what the certificate must be for, and what is sent as SNI where it is a name
 * @param direct the handshake comes first (sslnegotiation=direct), so that ALPN must be agreed on
 * @throws ServerTlsError
 */
export function connectTls(
  socket: Socket,
  host: string,
  context: TlsContext,
  direct: boolean,
): Promise<{ socket: TLSSocket; tls: ServerTlsInfo }> {
  return new Promise((resolve, reject) => {
    const verifies = context.mode === 'verify-ca' || context.mode === 'verify-full'
    const secured = connect({
      socket,
      secureContext: context.secureContext,
      ALPNProtocols: [ALPN_PROTOCOL],
      // RFC 6066 knows no addresses in SNI.
      ...(isIP(host) === 0 ? { servername: host } : {}),
      rejectUnauthorized: verifies,
      // Done below, in the same way on both runtimes and with our own words.
      checkServerIdentity: () => undefined,
    })
    const leave = () => {
      secured.off('error', onError)
      secured.off('secureConnect', onSecure)
      secured.off('close', onClose)
    }
    const fail = (error: ServerTlsError) => {
      leave()
      secured.destroy()
      reject(error)
    }
    const onError = (error: Error) => fail(handshakeError(error, context))
    const onClose = () => fail(new ServerTlsError('TLS_CLOSED', 'the server left during the TLS handshake', true))
    const onSecure = () => {
      const problem = checkPeer(secured, host, context, direct)
      if (problem) {
        fail(problem)
        return
      }
      leave()
      resolve({
        socket: secured,
        tls: {
          protocol: secured.getProtocol() ?? '',
          cipher: secured.getCipher()?.name ?? '',
          endPointCertificate: Buffer.from(peerOf(secured)?.raw ?? []),
        },
      })
    }
    secured.on('error', ignoreError)
    secured.on('error', onError)
    secured.on('close', onClose)
    secured.on('secureConnect', onSecure)
  })
}

function peerOf(socket: TLSSocket): DetailedPeerCertificate | undefined {
  const certificate = socket.getPeerCertificate() as DetailedPeerCertificate | undefined
  return certificate?.raw ? certificate : undefined
}

function checkPeer(socket: TLSSocket, host: string, { mode }: TlsContext, direct: boolean): ServerTlsError | undefined {
  if (direct && socket.alpnProtocol !== ALPN_PROTOCOL) {
    const what = `the server did not agree on the ALPN protocol "${ALPN_PROTOCOL}" (direct TLS needs PostgreSQL 17)`
    return new ServerTlsError('TLS_PROTOCOL', what)
  }
  if (mode !== 'verify-ca' && mode !== 'verify-full') return undefined
  const certificate = peerOf(socket)
  // Both runtimes refuse it by themselves; this is the belt to their braces.
  if (!socket.authorized || !certificate) {
    return new ServerTlsError('TLS_VERIFY', `server_tls_mode = ${mode}: the server's certificate is not valid`)
  }
  if (mode === 'verify-ca') return undefined
  const mismatch = checkServerIdentity(host, certificate)
  if (!mismatch) return undefined
  const names = certificate.subjectaltname ?? `CN=${String(certificate.subject?.CN ?? '')}`
  return new ServerTlsError(
    'TLS_HOSTNAME',
    `server_tls_mode = verify-full: the server's certificate is for ${names}, not for "${host}"`,
  )
}

function handshakeError(error: Error, { mode }: TlsContext): ServerTlsError {
  const { code = '' } = error as NodeJS.ErrnoException
  const reason = CERTIFICATE_REASONS[code]
  if (reason) {
    return new ServerTlsError(
      'TLS_VERIFY',
      `server_tls_mode = ${mode}: the server's certificate was not accepted: ${reason} (see server_tls_ca_file)`,
    )
  }
  return new ServerTlsError('TLS_HANDSHAKE', `TLS handshake failed: ${describeTlsError(error)}`, true)
}
