/**
 * How we answer PostgreSQL's Authentication requests when opening a server connection: a state machine without I/O
 * (protocol chapter "Start-up"). The login of a server hands over the code and body of every 'R' message and sends
 * what comes back as the body of a 'p' message.
 *
 * The server is not trusted: it must keep the order of the protocol, must not talk us into a weaker method than the
 * operator allows, must not make us compute without bound, and once SCRAM has begun must prove that it knows the
 * verifier before its AuthenticationOk counts. `reason` and `remedy` are for the log.
 */
import type { Credentials } from './credentials.ts'
import { MD5_SALT_LENGTH, md5Available, md5Response, md5Secret } from './md5.ts'
import { encodePassword } from './password-text.ts'
import { chooseMechanism, type FinalResult, SCRAM_PLUS, ScramClient } from './scram.ts'
import type { ScramKeyCache } from './scram-keys.ts'
import { printable } from './scram-message.ts'

/** Authentication codes of the protocol that get an answer. */
const AUTH_OK = 0
const AUTH_CLEARTEXT = 3
const AUTH_MD5 = 5
const AUTH_SASL = 10
const AUTH_SASL_CONTINUE = 11
const AUTH_SASL_FINAL = 12

const UNSUPPORTED: Record<number, string> = {
  1: 'Kerberos V4',
  2: 'Kerberos V5',
  4: 'crypt()',
  6: 'SCM credentials',
  7: 'GSSAPI',
  8: 'GSSAPI',
  9: 'SSPI',
}

/** Below this many iterations a SCRAM verifier protects badly (RFC 7677): worth a warning. */
const WEAK_ITERATIONS = 4096
const MAX_MECHANISMS = 16

/** What to do after an Authentication request. `warning` is for the log. */
export type AuthReply =
  | { type: 'send'; payload: Buffer; warning?: string }
  | { type: 'none' }
  | { type: 'failed'; reason: string; remedy?: string }

/** What a login depends on. */
export interface ServerAuthOptions {
  user: string
  credentials: Credentials
  /** End-point hash of the server's certificate where the connection is TLS. */
  tlsEndPointHash?: Buffer
  keyCache: ScramKeyCache
  /** Whether a password may be sent in clear text on this connection. */
  allowCleartext: boolean
  /** Highest SCRAM iteration count computed for a server. Default 1000000. */
  maxIterations?: number
}

/** One login at PostgreSQL. */
export interface ServerAuth {
  onRequest(authCode: number, body: Buffer): AuthReply | Promise<AuthReply>
  /** Whether the server has asked for any proof so far. */
  readonly askedForPassword: boolean
  /** Whether AuthenticationOk came, in its place. */
  readonly authenticated: boolean
}

export function createServerAuth(options: ServerAuthOptions): ServerAuth {
  return new Login(options)
}

type State = 'start' | 'password-sent' | 'sasl-first' | 'deriving' | 'sasl-final' | 'sasl-proven' | 'ok' | 'failed'

class Login implements ServerAuth {
  readonly #options: ServerAuthOptions
  #state: State = 'start'
  #asked = false
  #scram: ScramClient | undefined

  constructor(options: ServerAuthOptions) {
    this.#options = options
  }

  get askedForPassword(): boolean {
    return this.#asked
  }

  get authenticated(): boolean {
    return this.#state === 'ok'
  }

  onRequest(authCode: number, body: Buffer): AuthReply | Promise<AuthReply> {
    switch (authCode) {
      case AUTH_OK:
        return this.#onOk()
      case AUTH_CLEARTEXT:
        return this.#ask() ?? this.#onCleartext()
      case AUTH_MD5:
        return this.#ask() ?? this.#onMd5(body)
      case AUTH_SASL:
        return this.#ask() ?? this.#onSasl(body)
      case AUTH_SASL_CONTINUE:
        return this.#onSaslContinue(body)
      case AUTH_SASL_FINAL:
        return this.#onSaslFinal(body)
      default:
        return this.#fail(
          `the server asks for ${UNSUPPORTED[authCode] ?? `authentication method ${authCode}`}, which is not supported`,
          'change the line of pg_hba.conf that matches pgbun to scram-sha-256',
        )
    }
  }

  #onOk(): AuthReply {
    if (this.#state !== 'start' && this.#state !== 'password-sent' && this.#state !== 'sasl-proven') {
      const scram = this.#state === 'sasl-first' || this.#state === 'sasl-final' || this.#state === 'deriving'
      return this.#fail(
        scram
          ? 'the server let us in without proving in the SCRAM exchange that it knows the password'
          : 'the server sent AuthenticationOk out of order',
      )
    }
    this.#setState('ok')
    return { type: 'none' }
  }

  /** A request that begins an exchange: only as the first one. Returns the failure if it is not. */
  #ask(): AuthReply | undefined {
    if (this.#state !== 'start') return this.#fail('the server asked for a second authentication')
    this.#asked = true
    if (this.#options.credentials.kind !== 'none') return undefined
    return this.#fail(
      'the server asks for a password and none is known for the user',
      'write the password of the user into auth_file: a SCRAM verifier alone is not enough before the user has logged in',
    )
  }

  #onCleartext(): AuthReply {
    const { credentials, allowCleartext } = this.#options
    if (credentials.kind !== 'password') return this.#wrongKind('a cleartext password')
    if (!allowCleartext) {
      return this.#fail(
        'the server asks for a cleartext password on a connection that is not protected',
        'use TLS to the server (server_tls_mode), scram-sha-256 in its pg_hba.conf, or set allow_cleartext_password',
      )
    }
    this.#setState('password-sent')
    return { type: 'send', payload: terminated(encodePassword(credentials.password)) }
  }

  #onMd5(body: Buffer): AuthReply {
    const { user, credentials } = this.#options
    if (body.length !== MD5_SALT_LENGTH) return this.#fail('the md5 request of the server has no salt of 4 bytes')
    if (credentials.kind !== 'password' && credentials.kind !== 'md5') return this.#wrongKind('an md5 password')
    if (!md5Available()) {
      return this.#fail('MD5 is not available in this build of OpenSSL (FIPS mode)', 'use scram-sha-256 on the server')
    }
    const secret = credentials.kind === 'md5' ? credentials.hash : md5Secret(user, credentials.password)
    this.#setState('password-sent')
    return { type: 'send', payload: terminated(Buffer.from(md5Response(secret, body), 'latin1')) }
  }

  #onSasl(body: Buffer): AuthReply {
    const { credentials, tlsEndPointHash, keyCache, maxIterations } = this.#options
    const offered = readMechanisms(body)
    if (!offered) return this.#fail('the list of SASL mechanisms of the server is malformed')
    const mechanism = chooseMechanism(offered, tlsEndPointHash !== undefined)
    if (!mechanism) {
      const plusOnly = offered.includes(SCRAM_PLUS)
      return this.#fail(
        `the server offers no SASL mechanism that can be used here: ${offered.map(printable).join(', ')}`,
        plusOnly ? 'channel binding needs TLS to the server: set server_tls_mode' : undefined,
      )
    }
    if (credentials.kind !== 'password' && credentials.kind !== 'scram-keys') return this.#wrongKind('SCRAM-SHA-256')
    this.#scram = new ScramClient({
      mechanism,
      channelBinding: tlsEndPointHash,
      password: credentials.kind === 'password' ? credentials.password : undefined,
      keys: credentials.kind === 'scram-keys' ? credentials : undefined,
      keyCache,
      maxIterations,
    })
    this.#setState('sasl-first')
    const first = this.#scram.first()
    const length = Buffer.alloc(4)
    length.writeInt32BE(first.length)
    return { type: 'send', payload: Buffer.concat([terminated(Buffer.from(mechanism, 'latin1')), length, first]) }
  }

  #onSaslContinue(body: Buffer): AuthReply | Promise<AuthReply> {
    if (this.#state !== 'sasl-first') return this.#fail('the server sent a SASL challenge out of order')
    const result = this.#scram!.final(body)
    if (!(result instanceof Promise)) return this.#onClientFinal(result)
    this.#setState('deriving')
    return result.then(
      (known) => (this.#state === 'deriving' ? this.#onClientFinal(known) : this.#fail('the login has ended')),
      (error: unknown) => this.#fail(`PBKDF2 failed: ${String(error)}`),
    )
  }

  #onClientFinal(result: FinalResult): AuthReply {
    if (!result.ok) {
      return this.#fail(
        result.reason,
        result.malformed
          ? undefined
          : 'copy the verifier of the user from pg_authid.rolpassword to auth_file again, or write the password there',
      )
    }
    this.#setState('sasl-final')
    if (result.iterations >= WEAK_ITERATIONS) return { type: 'send', payload: result.data }
    return {
      type: 'send',
      payload: result.data,
      warning: `the SCRAM secret of the user has only ${result.iterations} iterations; ${WEAK_ITERATIONS} is the least one should use`,
    }
  }

  #onSaslFinal(body: Buffer): AuthReply {
    if (this.#state !== 'sasl-final') return this.#fail('the server ended the SASL exchange out of order')
    const result = this.#scram!.verify(body)
    if (!result.ok) return this.#fail(result.reason)
    this.#setState('sasl-proven')
    return { type: 'none' }
  }

  #wrongKind(wanted: string): AuthReply {
    const has = this.#options.credentials.kind === 'md5' ? 'an md5 hash' : 'SCRAM keys'
    return this.#fail(
      `the server asks for ${wanted} and only ${has} of the user is known`,
      'write the password of the user into auth_file, or use the same method in pg_hba.conf and auth_type',
    )
  }

  #fail(reason: string, remedy?: string): AuthReply {
    this.#setState('failed')
    return remedy === undefined ? { type: 'failed', reason } : { type: 'failed', reason, remedy }
  }

  #setState(next: State): void {
    this.#state = next
  }
}

/** Zero-terminated names ended by an empty one; undefined for anything else. */
function readMechanisms(body: Buffer): string[] | undefined {
  const names: string[] = []
  let offset = 0
  while (names.length <= MAX_MECHANISMS) {
    const end = body.indexOf(0, offset)
    if (end < 0) return undefined
    if (end === offset) return end === body.length - 1 ? names : undefined
    names.push(body.toString('latin1', offset, end))
    offset = end + 1
  }
  return undefined
}

function terminated(text: Buffer): Buffer {
  return Buffer.concat([text, Buffer.alloc(1)])
}
