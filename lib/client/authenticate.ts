/**
 * Proves who a client is, by its `auth_type`: with the secrets of `auth_file` (the exchange is auth/client-auth's), or,
 * for passthrough, by PostgreSQL's own judgement. What the client is told never depends on whether a user exists.
 *
 * passthrough: the password is asked for in clear, because it is needed to log in to PostgreSQL; therefore only where
 * nobody can listen. Where PostgreSQL does not ask pgbun for a password, it would have asked the client for one if that
 * had come from elsewhere: so only clients of this machine pass.
 */

import {
  type AuthRequest,
  type AuthStep,
  type ClientAuth,
  createClientAuth,
  readPassword,
} from '../auth/client-auth.ts'
import type { Credentials } from '../auth/credentials.ts'
import { decodePassword } from '../auth/password-text.ts'
import {
  AUTHENTICATION_CLEARTEXT,
  authenticationMd5,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from '../protocol/build.ts'
import { passthroughKey } from '../routing/prover.ts'
import { LoginError } from '../server/login.ts'
import type { EndReason } from './ending.ts'
import type { ClientSession } from './session.ts'

/** The client is not let in. */
export class AuthRefused extends Error {
  readonly reason: EndReason

  constructor(reason: Extract<EndReason, { kind: 'error' }>) {
    super(reason.name)
    this.reason = reason
  }
}

/** Who gives the client's answers. */
export interface PasswordSource {
  nextPassword(): Promise<Buffer>
}

/** The client is who it says. */
export interface Authenticated {
  /** What PostgreSQL can be logged in to with. */
  credentials: Credentials
  /** AuthenticationSASLFinal, to be sent in front of AuthenticationOk. */
  final?: Buffer
}

/**
 * Authenticate the client of `session`; at once, where nothing has to be asked of anybody.
 * @throws AuthRefused, or a LoginError where PostgreSQL refused
 */
export function authenticate(session: ClientSession, source: PasswordSource): Authenticated | Promise<Authenticated> {
  const { authType } = session.ports.config
  if (authType !== 'passthrough') return withSecrets(session, source, authType)
  const key = passthroughKey(session.pool!)
  if (session.ports.passthrough.asksPassword(key) === false) return letInUnasked(session)
  return passThrough(session, source, key)
}

function cleartextAllowed(session: ClientSession): boolean {
  return session.origin.local || session.origin.tls !== '' || session.ports.config.allowCleartextPassword
}

async function passThrough(session: ClientSession, source: PasswordSource, key: string): Promise<Authenticated> {
  const { passthrough: memory, prover } = session.ports
  const pool = session.pool!
  if (!(await asksPassword(session, key))) return letInUnasked(session)
  const password = await askPassword(session, source)
  if (memory.check(key, password) !== 'fresh') {
    const proof = await prover.prove(pool, password)
    if (proof === 'not-asked') return letInUnasked(session)
  }
  return { credentials: { kind: 'password', password } }
}

/** The client's password in clear. @throws AuthRefused where somebody could listen */
export async function askPassword(session: ClientSession, source: PasswordSource): Promise<string> {
  if (!cleartextAllowed(session)) {
    throw new AuthRefused({
      kind: 'error',
      name: 'cleartext_refused',
      remedy: 'set client_tls_mode and a certificate, or use auth_file with scram-sha-256, or allow_cleartext_password',
    })
  }
  session.wire.write(AUTHENTICATION_CLEARTEXT)
  const body = readPassword(await source.nextPassword())
  if (body === undefined) {
    throw new AuthRefused({
      kind: 'error',
      name: 'protocol_violation',
      args: { args: { what: 'invalid password packet' } },
    })
  }
  return decodePassword(body)
}

/** Whether PostgreSQL asks for a password here; found out by a login without one where that is not known. */
async function asksPassword(session: ClientSession, key: string): Promise<boolean> {
  const { passthrough: memory, prover } = session.ports
  const known = memory.asksPassword(key)
  if (known !== undefined) return known
  // A password that was once accepted is tried again by the login itself.
  if (memory.passwordFor(key) !== undefined) return true
  try {
    await prover.prove(session.pool!, undefined)
    return false
  } catch (error) {
    if (error instanceof LoginError && error.askedForPassword) {
      memory.markPassword(key)
      return true
    }
    throw error
  }
}

/** PostgreSQL asks nobody for a password here: only clients of this machine pass. @throws AuthRefused for all others */
export function letInUnasked(session: ClientSession): Authenticated {
  if (session.origin.local) return { credentials: { kind: 'none' } }
  throw new AuthRefused({
    kind: 'error',
    name: 'auth_unverified',
    args: { args: { user: session.user } },
    reason: 'PostgreSQL let pgbun in without a password, so there is nothing to check this client with',
    remedy: 'require a password for pgbun in pg_hba.conf, or give clients their own secrets with auth_file',
  })
}

function withSecrets(
  session: ClientSession,
  source: PasswordSource,
  authType: 'trust' | 'plain' | 'md5' | 'scram-sha-256',
): Authenticated | Promise<Authenticated> {
  const { config, secrets, keyCache } = session.ports
  const auth = createClientAuth({
    authType,
    user: session.user,
    secret: secrets?.get(session.user),
    tlsEndPointHash: session.origin.tlsEndPointHash,
    keyCache,
    scramIterations: config.scramIterations,
    cleartextAllowed: cleartextAllowed(session),
    knownUsersOnly: secrets !== undefined,
  })
  const request = auth.start()
  return request.type === 'ok' ? { credentials: request.credentials } : exchange(session, source, auth, request)
}

async function exchange(
  session: ClientSession,
  source: PasswordSource,
  auth: ClientAuth,
  request: AuthRequest,
): Promise<Authenticated> {
  let step: AuthRequest | AuthStep = request
  for (;;) {
    switch (step.type) {
      case 'ok':
        return { credentials: step.credentials }
      case 'done':
        return { credentials: step.credentials, final: step.finalData && authenticationSaslFinal(step.finalData) }
      case 'failed':
        throw new AuthRefused({
          kind: 'error',
          name: step.protocolViolation ? 'protocol_violation' : 'auth_failed',
          args: { args: step.protocolViolation ? { what: step.reason } : { user: session.user } },
          reason: step.reason,
          remedy: step.remedy,
        })
      case 'cleartext':
        session.wire.write(AUTHENTICATION_CLEARTEXT)
        break
      case 'md5':
        session.wire.write(authenticationMd5(step.salt))
        break
      case 'sasl':
        session.wire.write(authenticationSasl(step.mechanisms))
        break
      case 'sasl-continue':
        session.wire.write(authenticationSaslContinue(step.data))
        break
    }
    step = await auth.onPasswordMessage(await source.nextPassword())
  }
}
