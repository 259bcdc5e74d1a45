/**
 * Proves who a client is, by its `auth_type`: with the secrets of `auth_file` (the exchange is auth/client-auth's), or,
 * for passthrough, by PostgreSQL's own judgement. What the client is told never depends on whether a user exists.
 *
 * passthrough: the password is asked for in clear, because it is needed to log in to PostgreSQL; therefore only where
 * nobody can listen; whoever cannot be asked is refused before PostgreSQL is. Where PostgreSQL does not ask pgbun for a
 * password, nothing is proven: a client passes only where PostgreSQL would have let in the client itself as well, which
 * is where both are on this machine and PostgreSQL knows nothing else of pgbun (server/own-merit).
 */

import {
  type AuthRequest,
  type AuthStep,
  type ClientAuth,
  createClientAuth,
  readPassword,
} from '../../auth/client-auth.ts'
import type { Credentials } from '../../auth/credentials.ts'
import { decodePassword } from '../../auth/password-text.ts'
import {
  AUTHENTICATION_CLEARTEXT,
  authenticationMd5,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from '../../protocol/build.ts'
import { guessPair, type TurnOver } from '../../routing/guess-delay.ts'
import { type Candidate, passthroughKey, type Unasked } from '../../routing/password-proof.ts'
import { LoginError } from '../../server/login.ts'
import type { EndReason } from '../ending.ts'
import type { ClientSession } from '../session.ts'

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
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal
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
  const merit = session.ports.passthrough.meritOf(key)
  return merit === undefined ? passThrough(session, source, key) : letInUnasked(session, { merit })
}

function cleartextAllowed(session: ClientSession): boolean {
  return session.info.origin.local || session.info.origin.tls !== '' || session.ports.config.allowCleartextPassword
}

async function passThrough(session: ClientSession, source: PasswordSource, key: string): Promise<Authenticated> {
  const { prover } = session.ports
  const pool = session.pool!
  const unasked = await findUnasked(session, source, key)
  if (unasked !== undefined) return letInUnasked(session, unasked)
  const password = await askPassword(session, source)
  const proof = await guarded(session, source, key, password, () => {
    return prover.prove(pool, password, candidateOf(session, source))
  })
  return proof === 'accepted' ? { credentials: { kind: 'password', password } } : letInUnasked(session, proof)
}

/** The client as one whose password is to be proven. */
export function candidateOf({ info: { origin } }: ClientSession, { signal }: PasswordSource): Candidate {
  return { neighbourhood: origin.neighbourhood, local: origin.local, signal }
}

/**
 * What `prove` says of `password`, unless it was proven a moment ago. Whoever has guessed wrong a few times waits
 * before, see routing/guess-delay.
 */
export async function guarded<P>(
  session: ClientSession,
  source: PasswordSource,
  key: string,
  password: string,
  prove: () => Promise<P>,
): Promise<P | 'accepted'> {
  const { passthrough: memory, guesses } = session.ports
  const pair = guessPair(session.info.origin.neighbourhood, session.pool!.user)
  // Also where it is to be proven again: others' guesses must not keep out whoever has the right one.
  const verdict = memory.check(key, password)
  const welcome = guesses.isWelcome(pair) && (verdict === 'fresh' || verdict === 'stale')
  const over = welcome ? undefined : await turnOf(session, source, pair)
  try {
    const proof = memory.check(key, password) === 'fresh' ? 'accepted' : await prove()
    guesses.succeeded(pair)
    return proof
  } catch (error) {
    if (error instanceof LoginError && error.fromServer && error.sqlstate.startsWith('28')) guesses.failed(pair)
    throw error
  } finally {
    over?.()
  }
}

/** The client's password in clear. @throws AuthRefused where somebody could listen */
export async function askPassword(session: ClientSession, source: PasswordSource): Promise<string> {
  refuseCleartext(session)
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

/** @throws AuthRefused where somebody could listen to a password in clear */
export function refuseCleartext(session: ClientSession): void {
  if (cleartextAllowed(session)) return
  throw new AuthRefused({
    kind: 'error',
    name: 'cleartext_refused',
    remedy:
      'connect with TLS (sslmode=prefer; client_tls_mode not disable), use auth_file with scram-sha-256, or set ' +
      'allow_cleartext_password',
  })
}

/** Whether PostgreSQL asks for no password here; found out by a login without one where that is not known. */
async function findUnasked(session: ClientSession, source: PasswordSource, key: string): Promise<Unasked | undefined> {
  const { passthrough: memory, prover } = session.ports
  if (mustAsk(session, key)) return undefined
  try {
    const proof = await prover.prove(session.pool!, undefined, candidateOf(session, source))
    return proof === 'accepted' ? undefined : proof
  } catch (error) {
    if (error instanceof LoginError && error.askedForPassword) {
      memory.markPassword(key)
      return undefined
    }
    throw error
  }
}

/**
 * The client has to be asked for its password, whatever PostgreSQL would say without: it is from elsewhere, or PostgreSQL
 * is known to want one.
 * @throws AuthRefused where it may not be asked, before PostgreSQL is bothered
 */
export function mustAsk(session: ClientSession, key: string): boolean {
  refuseCleartext(session)
  const { passthrough: memory } = session.ports
  // A password that was once accepted is tried again by the login itself.
  return !session.info.origin.local || memory.asksPassword(key) === true || memory.passwordFor(key) !== undefined
}

/** PostgreSQL asked pgbun for no password: only clients of this machine may pass. @throws AuthRefused for all others */
export function letInUnasked(session: ClientSession, unasked: Unasked): Authenticated {
  const { prover, passthrough, log } = session.ports
  if (prover.admits(unasked, session.info.origin.local)) {
    if (passthrough.noteUnproven()) {
      log.warn('PostgreSQL asks for no password here, so every account of this machine gets in as any user', {
        database: session.info.database,
        user: session.info.user,
        remedy: 'require a password for pgbun in pg_hba.conf, or give clients their own secrets with auth_file',
      })
    }
    return { credentials: { kind: 'none' } }
  }
  const why = session.info.origin.local ? unasked.merit : 'the client is on another host'
  throw new AuthRefused({
    kind: 'error',
    name: 'auth_unverified',
    args: { args: { user: session.info.user } },
    reason: `PostgreSQL let pgbun in without a password, which proves nothing of this client: ${why}`,
    remedy:
      'require a password for pgbun in pg_hba.conf, or give clients their own secrets with auth_file' +
      (session.info.origin.local ? ', or set allow_unproven_local_clients' : ''),
  })
}

function withSecrets(
  session: ClientSession,
  source: PasswordSource,
  authType: 'trust' | 'plain' | 'md5' | 'scram-sha-256',
): Authenticated | Promise<Authenticated> {
  const { config, secrets, unknownUser, keyCache } = session.ports
  const auth = createClientAuth({
    authType,
    user: session.info.user,
    secret: secrets?.get(session.info.user),
    tlsEndPointHash: session.info.origin.tlsEndPointHash,
    keyCache,
    asker: {
      neighbourhood: session.info.origin.neighbourhood,
      get signal() {
        return source.signal
      },
    },
    unknownUser,
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
  const { guesses } = session.ports
  const pair = guessPair(session.info.origin.neighbourhood, session.pool!.user)
  // Whoever has logged in from there with the right password does not wait for those who try wrong ones.
  const welcome = guesses.isWelcome(pair)
  let step: AuthRequest | AuthStep = request
  for (;;) {
    switch (step.type) {
      case 'ok':
        return { credentials: step.credentials }
      case 'done':
        guesses.succeeded(pair)
        return { credentials: step.credentials, final: step.finalData && authenticationSaslFinal(step.finalData) }
      case 'failed':
        if (welcome && !step.protocolViolation) {
          guesses.failed(pair)
          const over = await turnOf(session, source, pair)
          over()
        }
        throw new AuthRefused({
          kind: 'error',
          name: step.protocolViolation ? 'protocol_violation' : 'auth_failed',
          args: { args: step.protocolViolation ? { what: step.reason } : { user: session.info.user } },
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
    const answer = await source.nextPassword()
    // The first message of SCRAM guesses nothing: whoever stops behind it has taken no turn.
    if (welcome || step.type === 'sasl') step = await auth.onPasswordMessage(answer)
    else step = await judge(session, source, pair, () => auth.onPasswordMessage(answer))
  }
}

/** What `look` says of a password, when it is its turn. */
async function judge(
  session: ClientSession,
  source: PasswordSource,
  pair: string,
  look: () => AuthStep | Promise<AuthStep>,
): Promise<AuthStep> {
  const over = await turnOf(session, source, pair)
  try {
    const step = await look()
    if (step.type === 'failed' && !step.protocolViolation) session.ports.guesses.failed(pair)
    return step
  } finally {
    over()
  }
}

/** Waits until the next password of `pair` may be looked at. The result is to be called when it was. */
function turnOf(session: ClientSession, source: PasswordSource, pair: string): TurnOver | Promise<TurnOver> {
  const { guesses, registry } = session.ports
  const turn = guesses.turn(pair, () => source.signal)
  if (!(turn instanceof Promise)) return turn
  registry.tarries(session)
  return turn.finally(() => registry.goesOn(session))
}
