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
import type { Wire } from '../../net/wire.ts'
import type { Pool } from '../../pool/pool.ts'
import {
  AUTHENTICATION_CLEARTEXT,
  authenticationMd5,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
} from '../../protocol/build.ts'
import { nameInServer } from '../../protocol/startup.ts'
import { guessPair, type TurnOver } from '../../routing/guess-delay.ts'
import { type Candidate, passthroughKey, type Unasked } from '../../routing/password-proof.ts'
import { LoginError } from '../../server/login.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import type { EndReason } from '../lifecycle/ending.ts'
import type { ClientPorts } from '../lifecycle/ports.ts'

/** The client is not let in. */
export class AuthRefused extends Error {
  readonly reason: EndReason

  constructor(reason: Extract<EndReason, { kind: 'error' | 'refused' }>) {
    super(reason.kind === 'error' ? reason.name : reason.fields.message)
    this.reason = reason
  }
}

/** A client that wants in. */
export interface Comer {
  readonly info: ClientInfo
  readonly ports: ClientPorts
  readonly wire: Pick<Wire, 'write'>
}

/** The client that is to be let in to `pool`. */
export interface AuthClient extends Comer {
  readonly pool: Pool
}

/** Who gives the client's answers. */
export interface PasswordSource {
  nextPassword(): Promise<Buffer>
  /** Aborted when the client leaves. */
  readonly signal: AbortSignal
  /** What the login waits for next is the client, or the end of a pause behind its wrong passwords. */
  tarries(): void
  /** The login goes on. */
  goesOn(): void
}

/** The client is who it says. */
export interface Authenticated {
  /** What PostgreSQL can be logged in to with. */
  credentials: Credentials
  /** AuthenticationSASLFinal, to be sent in front of AuthenticationOk. */
  final?: Buffer
}

/**
 * Authenticate `client`; at once, where nothing has to be asked of anybody.
 * @throws AuthRefused, or a LoginError where PostgreSQL refused
 */
export function authenticate(client: AuthClient, source: PasswordSource): Authenticated | Promise<Authenticated> {
  const { authType } = client.ports.config
  if (authType !== 'passthrough') return proveWithSecrets(client, source, authType)
  const key = passthroughKey(client.pool)
  const merit = client.ports.passthrough.meritOf(key)
  return merit === undefined ? passThrough(client, source, key) : letInUnasked(client, { merit })
}

/**
 * Refuse a client whose database there is not: it proves who it is as for any other, and hears of the database afterwards.
 * Where PostgreSQL would judge its password, nobody can, and none is right.
 * @throws AuthRefused always
 */
export async function refuseDatabase(client: Comer, source: PasswordSource): Promise<never> {
  const { info, ports } = client
  const { authType } = ports.config
  const unknown = { args: { database: info.database } }
  if (authType !== 'passthrough') {
    await proveWithSecrets(client, source, authType)
    throw new AuthRefused({ kind: 'error', name: 'no_such_database', args: unknown })
  }
  await askPassword(client, source)
  const pair = guessPair(info.origin.neighbourhood, nameInServer(info.user))
  const over = await turnOf(client, source, pair)
  ports.guesses.failed(pair)
  over()
  throw new AuthRefused({
    kind: 'error',
    name: 'auth_failed',
    args: { args: { user: info.user } },
    reason: `there is no database "${info.database}" in [databases]`,
    remedy: 'add a section [databases.NAME], or [databases."*"] for all that have none',
  })
}

function cleartextAllowed(client: Comer): boolean {
  return client.info.origin.local || client.info.origin.tls !== '' || client.ports.config.allowCleartextPassword
}

async function passThrough(client: AuthClient, source: PasswordSource, key: string): Promise<Authenticated> {
  const { prover } = client.ports
  const pool = client.pool
  const unasked = await findUnasked(client, source, key)
  if (unasked !== undefined) return letInUnasked(client, unasked)
  const password = await askPassword(client, source)
  const proof = await guarded(client, source, key, password, () => {
    return prover.prove(pool, password, candidateOf(client, source))
  })
  return proof === 'accepted' ? { credentials: { kind: 'password', password } } : letInUnasked(client, proof)
}

/** The client as one whose password is to be proven. */
export function candidateOf({ info: { origin } }: AuthClient, { signal }: PasswordSource): Candidate {
  return { neighbourhood: origin.neighbourhood, local: origin.local, signal }
}

/**
 * What `prove` says of `password`, unless it was proven a moment ago. Whoever has guessed wrong a few times waits
 * before, see routing/guess-delay.
 */
export async function guarded<P>(
  client: AuthClient,
  source: PasswordSource,
  key: string,
  password: string,
  prove: () => Promise<P>,
): Promise<P | 'accepted'> {
  const { passthrough: memory, guesses } = client.ports
  const pair = guessPair(client.info.origin.neighbourhood, client.pool.user)
  // Also where it is to be proven again: others' guesses must not keep out whoever has the right one.
  const verdict = memory.check(key, password)
  const welcome = guesses.isWelcome(pair) && (verdict === 'fresh' || verdict === 'stale')
  const over = welcome ? undefined : await turnOf(client, source, pair)
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
export async function askPassword(client: Comer, source: PasswordSource): Promise<string> {
  refuseCleartext(client)
  client.wire.write(AUTHENTICATION_CLEARTEXT)
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
export function refuseCleartext(client: Comer): void {
  if (cleartextAllowed(client)) return
  throw new AuthRefused({
    kind: 'error',
    name: 'cleartext_refused',
    remedy:
      'connect with TLS (sslmode=prefer; client_tls_mode not disable), use auth_file with scram-sha-256, or set ' +
      'allow_cleartext_password',
  })
}

/** Whether PostgreSQL asks for no password here; found out by a login without one where that is not known. */
async function findUnasked(client: AuthClient, source: PasswordSource, key: string): Promise<Unasked | undefined> {
  const { passthrough: memory, prover } = client.ports
  if (mustAsk(client, key)) return undefined
  try {
    const proof = await prover.prove(client.pool, undefined, candidateOf(client, source))
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
export function mustAsk(client: AuthClient, key: string): boolean {
  refuseCleartext(client)
  const { passthrough: memory } = client.ports
  // A password that was once accepted is tried again by the login itself.
  return !client.info.origin.local || memory.asksPassword(key) === true || memory.passwordFor(key) !== undefined
}

/** PostgreSQL asked pgbun for no password: only clients of this machine may pass. @throws AuthRefused for all others */
export function letInUnasked(client: AuthClient, unasked: Unasked): Authenticated {
  const { prover, passthrough, log } = client.ports
  if (prover.admits(unasked, client.info.origin.local)) {
    if (passthrough.noteUnproven()) {
      log.warn('PostgreSQL asks for no password here, so every account of this machine gets in as any user', {
        database: client.info.database,
        user: client.info.user,
        remedy: 'require a password for pgbun in pg_hba.conf, or give clients their own secrets with auth_file',
      })
    }
    return { credentials: { kind: 'none' } }
  }
  const why = client.info.origin.local ? unasked.merit : 'the client is on another host'
  throw new AuthRefused({
    kind: 'error',
    name: 'auth_unverified',
    args: { args: { user: client.info.user } },
    reason: `PostgreSQL let pgbun in without a password, which proves nothing of this client: ${why}`,
    remedy:
      'require a password for pgbun in pg_hba.conf, or give clients their own secrets with auth_file' +
      (client.info.origin.local ? ', or set allow_unproven_local_clients' : ''),
  })
}

/** Authenticate `client` with the secrets of `auth_file`. @throws AuthRefused */
export function proveWithSecrets(
  client: Comer,
  source: PasswordSource,
  authType: 'trust' | 'plain' | 'md5' | 'scram-sha-256',
): Authenticated | Promise<Authenticated> {
  const { config, secrets, unknownUser, keyCache } = client.ports
  const auth = createClientAuth({
    authType,
    user: client.info.user,
    secret: secrets?.get(client.info.user),
    tlsEndPointHash: client.info.origin.tlsEndPointHash,
    keyCache,
    asker: {
      neighbourhood: client.info.origin.neighbourhood,
      get signal() {
        return source.signal
      },
    },
    unknownUser,
    scramIterations: config.scramIterations,
    cleartextAllowed: cleartextAllowed(client),
    knownUsersOnly: secrets !== undefined,
  })
  const request = auth.start()
  return request.type === 'ok' ? { credentials: request.credentials } : exchange(client, source, auth, request)
}

async function exchange(
  client: Comer,
  source: PasswordSource,
  auth: ClientAuth,
  request: AuthRequest,
): Promise<Authenticated> {
  const { guesses } = client.ports
  const pair = guessPair(client.info.origin.neighbourhood, nameInServer(client.info.user))
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
          const over = await turnOf(client, source, pair)
          over()
        }
        throw new AuthRefused({
          kind: 'error',
          name: step.protocolViolation ? 'protocol_violation' : 'auth_failed',
          args: { args: step.protocolViolation ? { what: step.reason } : { user: client.info.user } },
          reason: step.reason,
          remedy: step.remedy,
        })
      case 'cleartext':
        client.wire.write(AUTHENTICATION_CLEARTEXT)
        break
      case 'md5':
        client.wire.write(authenticationMd5(step.salt))
        break
      case 'sasl':
        client.wire.write(authenticationSasl(step.mechanisms))
        break
      case 'sasl-continue':
        client.wire.write(authenticationSaslContinue(step.data))
        break
    }
    const answer = await source.nextPassword()
    // The first message of SCRAM guesses nothing: whoever stops behind it has taken no turn.
    if (welcome || step.type === 'sasl') step = await auth.onPasswordMessage(answer)
    else step = await judge(client, source, pair, () => auth.onPasswordMessage(answer))
  }
}

/** What `look` says of a password, when it is its turn. */
async function judge(
  client: Comer,
  source: PasswordSource,
  pair: string,
  look: () => AuthStep | Promise<AuthStep>,
): Promise<AuthStep> {
  const over = await turnOf(client, source, pair)
  try {
    const step = await look()
    if (step.type === 'failed' && !step.protocolViolation) client.ports.guesses.failed(pair)
    return step
  } finally {
    over()
  }
}

/** Waits until the next password of `pair` may be looked at. The result is to be called when it was. */
function turnOf(client: Comer, source: PasswordSource, pair: string): TurnOver | Promise<TurnOver> {
  const { guesses } = client.ports
  const turn = guesses.turn(pair, () => source.signal)
  if (!(turn instanceof Promise)) return turn
  source.tarries()
  return turn.finally(() => source.goesOn())
}
