/**
 * Opens one connection to PostgreSQL: dial, TLS, login. Called by a pool's opener, one at a time per pool, and by the
 * prover of client passwords. Goes out: a wire between two messages and what the login told, or a LoginError that says
 * what failed in words for an operator.
 */

import { tlsServerEndPoint } from '../auth/cert-hash.ts'
import type { Credentials } from '../auth/credentials.ts'
import type { ScramKeyCache } from '../auth/scram-keys.ts'
import { createServerAuth, type ServerAuth } from '../auth/server-auth.ts'
import { type Dialed, type DialOptions, dial } from '../net/dial.ts'
import { DialError, type DialTarget } from '../net/dial-error.ts'
import { Wire, type WireHandler } from '../net/wire.ts'
import type { ReplicationMode } from '../protocol/replication-mode.ts'
import { Scanner } from '../protocol/scanner.ts'
import { PROTOCOL_3_0, writeStartup } from '../protocol/startup.ts'
import { BACKEND_TABLE, backendName } from '../protocol/types.ts'
import { after, now } from '../util/clock.ts'
import type { ServerIdentity } from './connection.ts'
import { Login, LoginError, type LoginResult } from './login.ts'
import { isLoopback, type ServerWay } from './own-merit.ts'

/** What is needed to log in. */
export interface OpenOptions {
  target: DialTarget
  dial: DialOptions
  user: string
  database: string
  /** Startup parameters beside them. */
  parameters: readonly (readonly [string, string])[]
  credentials: Credentials
  keyCache: ScramKeyCache
  /** The password may be sent in clear over plain TCP to another host. */
  allowCleartext: boolean
  maxPacketSize: number
  /** Told of each wire as soon as there is one: of a login that fails, too. */
  onWire?: ((wire: Wire) => void) | undefined
  /** For a replication connection: of which kind, and its startup parameters apart from the user. */
  replication?: ReplicationStartup
}

/** What makes a connection one to a walsender. */
export interface ReplicationStartup {
  mode: ReplicationMode
  /** `replication` among them, and `database` where it is to be named. */
  parameters: readonly (readonly [string, string])[]
}

/** A logged-in connection. */
export interface OpenedServer {
  wire: Wire
  identity: ServerIdentity
  /** PostgreSQL asked for a proof of the user's identity. */
  askedForPassword: boolean
  /** What PostgreSQL may know of pgbun by the way it came. */
  way: ServerWay
}

/** pg_hba.conf may admit a user with TLS only, or without only. */
const NOT_ADMITTED = '28000'

/**
 * Connect and log in. In the modes allow and prefer the other way is tried where PostgreSQL does not admit the user.
 * @throws LoginError
 */
export async function openServer(options: OpenOptions): Promise<OpenedServer> {
  const deadline = now() + options.dial.timeoutMs
  const tls = options.dial.tls
  const mode = tls?.context.mode
  try {
    return await attempt(options, deadline)
  } catch (error) {
    const other = mode === 'allow' ? 'tls' : mode === 'prefer' ? 'plain' : undefined
    const refused = error instanceof LoginError && error.fromServer && error.sqlstate === NOT_ADMITTED
    if (!tls || other === undefined || !refused || tls.negotiation === 'direct') throw error
    try {
      return await attempt({ ...options, dial: { ...options.dial, tls: { ...tls, attempt: other } } }, deadline)
    } catch (second) {
      // Where PostgreSQL asks for a password it would admit the user; otherwise the first answer is the one that speaks
      // of how the operator configured it.
      throw second instanceof LoginError && second.askedForPassword ? second : error
    }
  }
}

async function attempt(options: OpenOptions, deadline: number): Promise<OpenedServer> {
  const dialed = await connect(options, deadline)
  const { host, port } = options.target
  const unix = dialed.remotePort === 0 || host.startsWith('/') || host.startsWith('@')
  const endPoint = dialed.tls?.endPointCertificate
  const auth = createServerAuth({
    user: options.user,
    credentials: options.credentials,
    tlsEndPointHash: endPoint && tlsServerEndPoint(endPoint),
    keyCache: options.keyCache,
    allowCleartext: options.allowCleartext || unix || dialed.tls !== undefined || isLoopback(dialed.remoteAddress),
  })
  const scanner = new Scanner(BACKEND_TABLE, { cap: options.maxPacketSize, name: backendName })
  const startup = writeStartup(PROTOCOL_3_0, [
    ['user', options.user],
    ...(options.replication?.parameters ?? [['database', options.database] as const, ...options.parameters]),
  ])
  const makeWire = (handler: WireHandler): Wire => {
    const wire = new Wire(dialed.socket, scanner, handler)
    options.onWire?.(wire)
    return wire
  }
  const login = new Login(makeWire, startup, auth)
  const result = await completed(login, auth, deadline - now(), options.dial.signal)
  return {
    wire: login.wire,
    identity: {
      ...result,
      user: options.user,
      database: options.database,
      target: unix ? options.target : { ...options.target, address: dialed.remoteAddress },
      address: unix ? dialed.remoteAddress : address(host, dialed.remoteAddress, port),
      replication: options.replication?.mode ?? 'none',
      tls: dialed.tls ? `${dialed.tls.protocol}/${dialed.tls.cipher}` : '',
    },
    askedForPassword: auth.askedForPassword,
    way: {
      unix,
      remoteAddress: dialed.remoteAddress,
      localAddress: dialed.localAddress,
      certificate: dialed.tls !== undefined && options.dial.tls?.context.leaf !== undefined,
    },
  }
}

/** The login's result, within `timeoutMs` and before `signal` is aborted. */
async function completed(
  login: Login,
  auth: ServerAuth,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<LoginResult> {
  const abort = (reason: string): void => login.abort(new LoginError(reason, { sqlstate: '08001' }))
  const cancel = after(timeoutMs, () => abort('the server did not complete the login in time'))
  const onAbort = (): void => abort('the login was given up')
  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()
  try {
    return await login.done
  } catch (error) {
    if (error instanceof LoginError) error.askedForPassword = auth.askedForPassword
    throw error
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

async function connect(options: OpenOptions, deadline: number): Promise<Dialed> {
  try {
    return await dial(options.target, { ...options.dial, timeoutMs: Math.max(1, deadline - now()) })
  } catch (error) {
    if (!(error instanceof DialError)) throw error
    throw new LoginError(error.message, { sqlstate: '08001', cause: error })
  }
}

function address(host: string, ip: string, port: number): string {
  return host === ip ? `${host}, port ${port}` : `${host} (${ip}), port ${port}`
}
