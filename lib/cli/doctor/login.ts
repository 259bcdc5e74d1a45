/**
 * Logins of `pgbun doctor`: what PostgreSQL asks a user for, and a whole login as pgbun does it, with a look at the
 * server. What PostgreSQL asks for is in its first message, behind which the connection is closed: no password is sent,
 * and nothing fails there. Each connection is closed before the function returns.
 */

import type { Credentials } from '../../auth/credentials.ts'
import { ScramKeyCache } from '../../auth/scram-keys.ts'
import { parseServerFirst } from '../../auth/scram-message.ts'
import type { AuthReply, ServerAuth } from '../../auth/server-auth.ts'
import type { HostAddress } from '../../config/hosts.ts'
import type { Config } from '../../config/options.ts'
import { type Dialed, type DialOptions, dial, type ServerTls } from '../../net/dial.ts'
import { DialError } from '../../net/dial-error.ts'
import { isUnixDirectory } from '../../net/unix-path.ts'
import { Wire } from '../../net/wire.ts'
import { Scanner } from '../../protocol/scanner.ts'
import { PROTOCOL_3_0, writeStartup } from '../../protocol/startup.ts'
import { BACKEND_TABLE, backendName } from '../../protocol/types.ts'
import { Login, LoginError } from '../../server/login.ts'
import { type OpenedServer, openServer } from '../../server/open.ts'
import { isLoopback } from '../../server/own-merit.ts'
import { after } from '../../util/clock.ts'
import { SessionEnd, SimpleSession } from '../console/simple-session.ts'

/** The way to one host. */
export interface Way {
  host: HostAddress
  tls: ServerTls | undefined
  config: Config
  timeoutMs: number
}

/** Who logs in, and where. */
export interface Who {
  user: string
  database: string
  parameters?: readonly (readonly [string, string])[]
}

/** What PostgreSQL asks for first. */
export interface Asked {
  kind: 'nothing' | 'password' | 'md5' | 'scram' | 'other'
  /** The salt and iterations of its SCRAM verifier. */
  scram?: { salt: Buffer; iterations: number }
  /** A password may be sent in clear here. */
  cleartextAllowed: boolean
}

/** What a server says of itself. */
export interface Facts {
  version: string
  standby: boolean
  readOnly: boolean
  maxConnections: number
  /** Connections that only superusers and the like may have. */
  reserved: number
  /** Sessions of others now. */
  others: number
}

const keyCache = new ScramKeyCache()

/**
 * What PostgreSQL asks `who` for.
 * @throws LoginError where it refuses before, or cannot be reached
 */
export async function firstRequest(way: Way, who: Who): Promise<Asked> {
  try {
    return await ask(way, who, way.tls)
  } catch (error) {
    // As openServer: pg_hba.conf may admit a user with TLS only, or without only.
    const { tls } = way
    const other = tls?.context.mode === 'allow' ? 'tls' : tls?.context.mode === 'prefer' ? 'plain' : undefined
    const refused = error instanceof LoginError && error.fromServer && error.sqlstate === '28000'
    if (!tls || other === undefined || !refused || tls.negotiation === 'direct') throw error
    return await ask(way, who, { ...tls, attempt: other }).catch(() => Promise.reject(error))
  }
}

async function ask(way: Way, { user, database, parameters = [] }: Who, tls: ServerTls | undefined): Promise<Asked> {
  const dialed = await connectTo(way, tls)
  const auth = new FirstRequest()
  const scanner = new Scanner(BACKEND_TABLE, { cap: way.config.maxPacketSize, name: backendName })
  const startup = writeStartup(PROTOCOL_3_0, [['user', user], ['database', database], ...parameters])
  const login = new Login((handler) => new Wire(dialed.socket, scanner, handler), startup, auth)
  const late = new LoginError('the server did not complete the login in time', { sqlstate: '08001' })
  const cancel = after(way.timeoutMs, () => login.abort(late))
  try {
    await login.done
  } catch (error) {
    if (auth.kind === undefined) throw error
  } finally {
    cancel()
    dialed.socket.destroy()
  }
  const unencrypted = dialed.tls === undefined && !isUnixDirectory(way.host.host) && !isLoopback(dialed.remoteAddress)
  return {
    kind: auth.kind ?? 'nothing',
    ...(auth.scram ? { scram: auth.scram } : {}),
    cleartextAllowed: way.config.allowCleartextPassword || !unencrypted,
  }
}

async function connectTo(way: Way, tls: ServerTls | undefined): Promise<Dialed> {
  try {
    return await dial(way.host, dialOptions(way, tls))
  } catch (error) {
    if (!(error instanceof DialError)) throw error
    throw new LoginError(error.message, { sqlstate: '08001', cause: error })
  }
}

function dialOptions({ timeoutMs }: Way, tls: ServerTls | undefined): DialOptions {
  return { timeoutMs, keepAlive: false, keepIdleMs: 0, tls }
}

const SEEN: AuthReply = { type: 'failed', reason: 'seen' }

/** Notes what is asked for, and gives up. Of SCRAM it also begins the exchange, to see which verifier PostgreSQL has. */
class FirstRequest implements ServerAuth {
  readonly askedForPassword = false
  readonly authenticated = false
  kind: Asked['kind'] | undefined
  scram: Asked['scram']

  onRequest(code: number, body: Buffer): AuthReply {
    if (code === 11) {
      const { value } = parseServerFirst(body) as { value?: { salt: Buffer; iterations: number } }
      if (value) this.scram = { salt: value.salt, iterations: value.iterations }
      return SEEN
    }
    this.kind = KINDS[code] ?? 'other'
    if (this.kind !== 'scram' || !body.toString('latin1').includes('SCRAM-SHA-256\0')) return SEEN
    const first = Buffer.from('n,,n=,r=cGdidW4gZG9jdG9yIGxvb2tz', 'latin1')
    const length = Buffer.alloc(4)
    length.writeInt32BE(first.length)
    return { type: 'send', payload: Buffer.concat([Buffer.from('SCRAM-SHA-256\0', 'latin1'), length, first]) }
  }
}

const KINDS: Readonly<Record<number, Asked['kind']>> = { 0: 'nothing', 3: 'password', 5: 'md5', 10: 'scram' }

/** What its sessions are known by, so that they are not counted as those of others. */
const OWN_NAME = ['application_name', 'pgbun doctor'] as const

/** UNDEFINED_DATABASE */
const NO_DATABASE = '3D000'

/**
 * Log in as pgbun does, and look at the server. Of several `databases` the first that exists counts.
 * @throws LoginError
 */
export async function logIn(
  way: Way,
  who: Omit<Who, 'database'>,
  databases: readonly string[],
  credentials: Credentials,
): Promise<Facts> {
  const [database = '', ...others] = databases
  try {
    const opened = await openServer({
      target: way.host,
      dial: dialOptions(way, way.tls),
      user: who.user,
      database,
      parameters: [...(who.parameters ?? []).filter(([name]) => name !== OWN_NAME[0]), OWN_NAME],
      credentials,
      keyCache,
      allowCleartext: way.config.allowCleartextPassword,
      maxPacketSize: way.config.maxPacketSize,
    })
    return await look(opened, way.timeoutMs)
  } catch (error) {
    const missing = error instanceof LoginError && error.sqlstate === NO_DATABASE
    if (!missing || others.length === 0) throw error
    return logIn(way, who, others, credentials)
  }
}

/** One row; backends that count against max_connections are those of a user in a database. */
const FACTS = `SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),
  pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool, pg_catalog.current_setting('max_connections'),
  pg_catalog.current_setting('superuser_reserved_connections'),
  pg_catalog.current_setting('reserved_connections', true),
  (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity
    WHERE application_name IS DISTINCT FROM '${OWN_NAME[1]}' AND usesysid IS NOT NULL AND datid IS NOT NULL)`

const FACT_COUNT = 7

async function look({ wire }: OpenedServer, timeoutMs: number): Promise<Facts> {
  if (wire.ended) {
    wire.destroy()
    throw new LoginError('server closed the connection after login', { sqlstate: '08006' })
  }
  const session = new SimpleSession(wire)
  const cancel = after(timeoutMs, () => session.abort('the server did not answer in time'))
  try {
    const row = await firstRow(session)
    const number = (index: number): number => {
      const value = Number(row[index] ?? 0)
      if (Number.isFinite(value) && row.length === FACT_COUNT) return value
      throw new LoginError('the server does not answer as PostgreSQL does', { sqlstate: '08P01' })
    }
    return {
      version: row[0] ?? '',
      standby: row[1] === 't',
      readOnly: row[2] === 't',
      maxConnections: number(3),
      reserved: number(4) + number(5),
      others: number(6),
    }
  } finally {
    cancel()
    await session.close()
  }
}

async function firstRow(session: SimpleSession): Promise<(string | null)[]> {
  try {
    const { error, results } = await session.ask(FACTS)
    if (error) throw new LoginError(error.message, { sqlstate: '08006' })
    return results[0]?.rows[0] ?? []
  } catch (error) {
    if (error instanceof SessionEnd) throw new LoginError(error.message, { sqlstate: error.sqlstate })
    throw error
  }
}
