/**
 * How we authenticate one client: the exchange of Authentication requests and password messages as a state machine
 * without I/O (protocol chapter "Start-up").
 *
 * The login of a client creates one, sends what start() asks for, hands the body of each 'p' message to
 * onPasswordMessage() and sends what that returns, until 'done', 'ok' or 'failed'. What must hold: an unknown user, an
 * unusable secret and a wrong password take the same messages and the same result, so the client gets 28P01 for all;
 * `reason` and `remedy` are for the log. Comparisons are constant time. Results are plain values unless PBKDF2 is needed.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { ScramSecret, Secret } from '../config/userlist.ts'
import type { AuthProblem, ClientAuthType, ClientMethod } from './client-methods.ts'
import { chooseMethod } from './client-methods.ts'
import { type Credentials, credentialsOfSecret } from './credentials.ts'
import { MD5_SALT_LENGTH, md5Available, md5Secret, verifyMd5Response } from './md5.ts'
import { decodePassword } from './password-text.ts'
import { SCRAM, SCRAM_PLUS, ScramServer } from './scram.ts'
import type { KeyAsker, ScramKeyCache, ScramKeys, Verifier } from './scram-keys.ts'
import type { UnknownUser } from './unknown-user.ts'

/** Longest password message, in bytes: PostgreSQL's PG_MAX_AUTH_TOKEN_LENGTH. */
const MAX_PASSWORD_MESSAGE = 65535

/** The end of a login. `protocolViolation` tells a malformed message (08P01) from a wrong password (28P01). */
export interface AuthFailed {
  type: 'failed'
  reason: string
  remedy?: string
  protocolViolation?: boolean
}

/** The first request to a client. */
export type AuthRequest =
  | { type: 'ok'; credentials: Credentials }
  | { type: 'cleartext' }
  | { type: 'md5'; salt: Buffer }
  | { type: 'sasl'; mechanisms: string[] }
  | AuthFailed

/** What follows a password message. `finalData` goes out as AuthenticationSASLFinal before AuthenticationOk. */
export type AuthStep =
  | { type: 'sasl-continue'; data: Buffer }
  | { type: 'done'; finalData?: Buffer; credentials: Credentials }
  | AuthFailed

/** What an exchange depends on. */
export interface ClientAuthOptions {
  authType: ClientAuthType
  /** The user of the startup packet. */
  user: string
  /** What the user list has for that user. */
  secret: Secret | undefined
  /** End-point hash of our certificate where the connection is TLS: offers SCRAM-SHA-256-PLUS. */
  tlsEndPointHash?: Buffer
  keyCache: ScramKeyCache
  /** For whom keys are computed. Default: nobody who leaves. */
  asker?: KeyAsker
  /** Iterations of verifiers made of plain secrets. */
  scramIterations: number
  /** Whether this connection may carry a cleartext password (TLS, loopback, unix socket, or allowed by the operator). */
  cleartextAllowed: boolean
  /** auth_type trust with a user list: a user that is not in it is refused, as by PgBouncer. Default false. */
  knownUsersOnly?: boolean
  /** What a user that is not in the list is treated as. */
  unknownUser: UnknownUser
}

/** One client's exchange. */
export interface ClientAuth {
  start(): AuthRequest
  /** `body` is the payload of the message, without type and length. */
  onPasswordMessage(body: Buffer): AuthStep | Promise<AuthStep>
}

export function createClientAuth(options: ClientAuthOptions): ClientAuth {
  return new Exchange(options)
}

type State = 'new' | 'cleartext' | 'md5' | 'sasl-initial' | 'sasl-first' | 'sasl-final' | 'checking' | 'ended'

class Exchange implements ClientAuth {
  readonly #options: ClientAuthOptions
  readonly #method: ClientMethod
  /** Set where the exchange can only end in failure, however it goes. */
  readonly #problem: AuthProblem | undefined
  #state: State = 'new'
  #md5Salt = Buffer.alloc(0)
  #scram: ScramServer | undefined
  #verifier: Verifier | ScramSecret | undefined

  constructor(options: ClientAuthOptions) {
    this.#options = options
    const choice = chooseMethod(options.authType, options.secret, options.unknownUser.kind)
    this.#method = choice.method
    this.#problem = choice.problem
  }

  start(): AuthRequest {
    const { secret, knownUsersOnly, cleartextAllowed, tlsEndPointHash } = this.#options
    if (this.#state !== 'new') return this.#fail({ reason: 'the exchange has been started already' })
    if (this.#method === 'none') {
      this.#setState('ended')
      if (!secret && knownUsersOnly) return failed({ reason: 'the user is not in auth_file' })
      return { type: 'ok', credentials: credentialsOfSecret(secret) }
    }
    if (this.#method === 'cleartext') {
      if (!cleartextAllowed) {
        return this.#fail({
          reason: 'auth_type plain would send the password in clear text over an unencrypted connection',
          remedy: 'connect over TLS (client_tls_mode), use scram-sha-256, or set allow_cleartext_password',
        })
      }
      this.#setState('cleartext')
      return { type: 'cleartext' }
    }
    if (this.#method === 'md5') {
      if (!md5Available()) return this.#fail(NO_MD5)
      this.#md5Salt = randomBytes(MD5_SALT_LENGTH)
      this.#setState('md5')
      return { type: 'md5', salt: this.#md5Salt }
    }
    this.#setState('sasl-initial')
    return { type: 'sasl', mechanisms: tlsEndPointHash ? [SCRAM_PLUS, SCRAM] : [SCRAM] }
  }

  onPasswordMessage(body: Buffer): AuthStep | Promise<AuthStep> {
    if (body.length > MAX_PASSWORD_MESSAGE) return this.#malformed('the password message is too long')
    switch (this.#state) {
      case 'cleartext':
        return this.#onCleartext(body)
      case 'md5':
        return this.#onMd5(body)
      case 'sasl-initial':
        return this.#onSaslInitial(body)
      case 'sasl-first':
        return this.#onClientFirst(body)
      case 'sasl-final':
        return this.#onClientFinal(body)
      case 'new':
      case 'checking':
      case 'ended':
        return this.#malformed('a password message came that was not asked for')
    }
  }

  #onCleartext(body: Buffer): AuthStep | Promise<AuthStep> {
    const bytes = readPassword(body)
    if (!bytes) return this.#malformed('the password message is not one zero-terminated string')
    if (bytes.length === 0) return this.#conclude(false, { kind: 'none' }) // PostgreSQL accepts no empty password
    const { user, secret, keyCache, unknownUser, asker } = this.#options
    const password = decodePassword(bytes)
    const credentials: Credentials = { kind: 'password', password }
    if (secret?.kind === 'md5' && !md5Available()) return this.#fail(NO_MD5)
    if (secret?.kind !== 'scram' && !unknownUser.derives) {
      return this.#conclude(matchesPlainly(user, password, secret), credentials)
    }
    // Where one password takes time, all do: how long it takes says nothing of the user.
    const verifier = secret?.kind === 'scram' ? secret : keyCache.mockSecret(user, unknownUser)
    const keys = keyCache.keys(password, verifier.salt, verifier.iterations, asker)
    return this.#whenKnown(keys, (known) => {
      const matches =
        secret?.kind === 'scram'
          ? timingSafeEqual(known.storedKey, secret.storedKey)
          : matchesPlainly(user, password, secret)
      return this.#conclude(matches, credentials)
    })
  }

  #onMd5(body: Buffer): AuthStep {
    const response = readPassword(body)
    if (!response) return this.#malformed('the password message is not one zero-terminated string')
    const { user, secret } = this.#options
    const known =
      secret?.kind === 'md5' ? secret.hash : md5Secret(user, secret?.kind === 'plain' ? secret.password : '')
    return this.#conclude(verifyMd5Response(known, this.#md5Salt, response), credentialsOfSecret(secret))
  }

  /** SASLInitialResponse: mechanism name, length or -1, client-first-message. */
  #onSaslInitial(body: Buffer): AuthStep {
    const { tlsEndPointHash } = this.#options
    const end = body.indexOf(0)
    if (end < 0 || body.length < end + 5) return this.#malformed('the SASLInitialResponse is truncated')
    const mechanism = body.toString('latin1', 0, end)
    const plus = mechanism === SCRAM_PLUS
    if (mechanism !== SCRAM && !(plus && tlsEndPointHash)) {
      return this.#malformed('the client selected a SASL mechanism that was not offered')
    }
    const length = body.readInt32BE(end + 1)
    const rest = body.subarray(end + 5)
    if (length < -1 || Math.max(length, 0) !== rest.length) {
      return this.#malformed('the length in the SASLInitialResponse does not fit the message')
    }
    const verifier = this.#chooseVerifier()
    this.#verifier = verifier
    this.#scram = new ScramServer({
      salt: verifier.salt,
      iterations: verifier.iterations,
      plus,
      channelBinding: tlsEndPointHash,
    })
    if (length === -1) {
      // The mechanism begins with the client; one that sent no initial response gets an empty challenge (RFC 4422).
      this.#setState('sasl-first')
      return { type: 'sasl-continue', data: Buffer.alloc(0) }
    }
    return this.#onClientFirst(rest)
  }

  #onClientFirst(payload: Buffer): AuthStep {
    const result = this.#scram!.first(payload)
    if (!result.ok) return this.#malformed(result.reason)
    this.#setState('sasl-final')
    return { type: 'sasl-continue', data: result.data }
  }

  #onClientFinal(payload: Buffer): AuthStep | Promise<AuthStep> {
    // A view of the caller's buffer would not outlive its turn.
    const message = Buffer.from(payload)
    const verifier = this.#verifier!
    const keys = 'keys' in verifier ? verifier.keys : verifier
    return this.#whenKnown(keys, (known) => {
      const result = this.#scram!.final(message, known)
      if (!result.ok) return result.malformed ? this.#malformed(result.reason) : this.#conclude(false, { kind: 'none' })
      return this.#conclude(true, this.#scramCredentials(result.clientKey), result.serverFinal)
    })
  }

  #chooseVerifier(): Verifier | ScramSecret {
    const { user, secret, keyCache, scramIterations, unknownUser, asker } = this.#options
    if (secret?.kind === 'scram') return secret
    if (secret?.kind === 'plain' && !this.#problem) {
      return keyCache.verifier(user, secret.password, scramIterations, asker)
    }
    return keyCache.mockSecret(user, unknownUser)
  }

  #scramCredentials(clientKey: Buffer): Credentials {
    const { secret } = this.#options
    if (secret?.kind !== 'scram') return credentialsOfSecret(secret)
    const { serverKey, salt, iterations } = secret
    return { kind: 'scram-keys', clientKey, serverKey, salt, iterations }
  }

  /** Continues at once where the keys are there, else when they are; a second message in between is a breach. */
  #whenKnown<K extends Pick<ScramKeys, 'storedKey' | 'serverKey'>>(
    keys: K | Promise<K>,
    next: (keys: K) => AuthStep,
  ): AuthStep | Promise<AuthStep> {
    if (!(keys instanceof Promise)) return next(keys)
    this.#setState('checking')
    return keys.then(
      (known) => (this.#state === 'checking' ? next(known) : failed({ reason: 'the exchange has ended' })),
      (error: unknown) => this.#fail({ reason: `PBKDF2 failed: ${String(error)}` }),
    )
  }

  #conclude(matches: boolean, credentials: Credentials, finalData?: Buffer): AuthStep {
    if (this.#problem) return this.#fail(this.#problem)
    if (!matches) return this.#fail({ reason: 'wrong password' })
    this.#setState('ended')
    return finalData ? { type: 'done', finalData, credentials } : { type: 'done', credentials }
  }

  #malformed(reason: string): AuthFailed {
    return { ...this.#fail({ reason }), protocolViolation: true }
  }

  #fail(problem: AuthProblem): AuthFailed {
    this.#setState('ended')
    return failed(problem)
  }

  #setState(next: State): void {
    this.#state = next
  }
}

const NO_MD5: AuthProblem = {
  reason: 'MD5 is not available in this build of OpenSSL (FIPS mode)',
  remedy: 'use scram-sha-256',
}

function failed(problem: AuthProblem): AuthFailed {
  return { type: 'failed', ...problem }
}

/** The string of a PasswordMessage without its terminator, or undefined if it is not exactly one string. */
export function readPassword(body: Buffer): Buffer | undefined {
  return body.length > 0 && body.indexOf(0) === body.length - 1 ? body.subarray(0, -1) : undefined
}

/** Whether `password` is that of a secret that is no SCRAM verifier; none has one that matches nothing. */
function matchesPlainly(user: string, password: string, secret: Exclude<Secret, ScramSecret> | undefined): boolean {
  if (secret?.kind === 'md5') return equalText(md5Secret(user, password), secret.hash)
  return equalText(password, secret?.password ?? '')
}

const compareKey = randomBytes(32)

/** Constant-time equality of texts of any length. */
function equalText(a: string, b: string): boolean {
  const digest = (text: string) => createHmac('sha256', compareKey).update(JSON.stringify(text)).digest()
  return timingSafeEqual(digest(a), digest(b))
}
