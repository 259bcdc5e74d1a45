/**
 * Logs in to a console, with pgbun's own way of opening connections to servers. What goes wrong is said in the words of
 * who typed the command: libpq's names for parameters instead of those of the configuration, and what to do.
 */
import { ScramKeyCache } from '../../auth/scram-keys.ts'
import { DialError, type DialTarget, describe } from '../../net/dial-error.ts'
import { loadTlsContext, TlsConfigError } from '../../net/tls-context.ts'
import { LoginError } from '../../server/login.ts'
import { type OpenedServer, openServer } from '../../server/open.ts'
import { describeHost } from '../ready-line.ts'
import type { ConsolePlace } from './console-place.ts'
import { SimpleSession } from './simple-session.ts'

/** Nobody is logged in. The message has lines: what is wrong and, often, what to do. */
export class ConsoleUnreachable extends Error {
  override readonly name = 'ConsoleUnreachable'
  readonly sqlstate: string

  constructor(message: string, sqlstate: string) {
    super(message)
    this.sqlstate = sqlstate
  }
}

/** A console that is logged in to. */
export interface OpenConsole {
  session: SimpleSession
  /** `127.0.0.1:6432`, for a head line. */
  where: string
}

/** Largest message; a console's row has some kB. */
const MAX_MESSAGE = 64 * 1024 * 1024

/** Derived keys, so that a lost connection is not paid for with another derivation. */
const keyCache = new ScramKeyCache()

/**
 * Log in at the first target that answers.
 * @param ask asks a person for the password, where none is known and one is wanted
 * @throws ConsoleUnreachable
 */
export async function openConsole(place: ConsolePlace, ask?: () => Promise<string>): Promise<OpenConsole> {
  const failures: ConsoleUnreachable[] = []
  for (const target of place.targets) {
    try {
      return { session: new SimpleSession((await logIn(place, target, ask)).wire), where: describeHost(target) }
    } catch (error) {
      const failure = inWords(error, place, target)
      failures.push(failure)
      // What answers and refuses is the one that was meant (libpq).
      if (!(error instanceof LoginError) || !(error.cause instanceof DialError)) break
    }
  }
  if (failures.length === 1) throw failures[0]!
  throw new ConsoleUnreachable(failures.map(({ message }) => message).join('\n'), failures.at(-1)!.sqlstate)
}

async function logIn(
  place: ConsolePlace,
  target: DialTarget,
  ask: (() => Promise<string>) | undefined,
): Promise<OpenedServer> {
  const context = loadTlsContext('server', place.tls)
  const attempt = (password: string | undefined): Promise<OpenedServer> =>
    openServer({
      target,
      dial: {
        timeoutMs: place.timeoutMs,
        keepAlive: true,
        keepIdleMs: 60_000,
        tls: context && { context, negotiation: place.negotiation },
      },
      user: place.user,
      database: place.database,
      parameters: [
        ['application_name', place.applicationName],
        ['client_encoding', 'UTF8'],
      ],
      credentials: password === undefined ? { kind: 'none' } : { kind: 'password', password },
      keyCache,
      allowCleartext: place.allowCleartext,
      maxPacketSize: MAX_MESSAGE,
    })
  const known = place.passwordFor(target)
  try {
    return await attempt(known)
  } catch (error) {
    const wanted = error instanceof LoginError && error.askedForPassword && known === undefined
    if (!wanted || ask === undefined) throw error
    return await attempt(await ask())
  }
}

function inWords(error: unknown, place: ConsolePlace, target: DialTarget): ConsoleUnreachable {
  if (error instanceof TlsConfigError) return new ConsoleUnreachable(namedAsLibpq(error.message), '08001')
  if (!(error instanceof LoginError)) throw error
  const dialed = error.cause instanceof DialError ? error.cause : undefined
  const what = dialed
    ? namedAsLibpq(error.message)
    : `${describe(target, undefined)}, database "${place.database}", user "${place.user}": ${namedAsLibpq(error.message)}`
  const code = error.fromServer ? ` (SQLSTATE ${error.sqlstate})` : ''
  const remedy = dialed ? reach(dialed.code, place) : allow(error, place)
  return new ConsoleUnreachable(`${what}${code}${remedy === undefined ? '' : `\n${remedy}`}`, error.sqlstate)
}

const WHOSE: Readonly<Record<ConsolePlace['source'], string>> = {
  URL: 'the URL names that address',
  environment: 'PGHOST and PGPORT name that address; --url names another',
  configuration: 'the configuration has that address (--config, --listen-port); --url names another',
}

/** What to do where nobody answers. */
function reach(code: string, { source }: ConsolePlace): string | undefined {
  if (code === 'TLS_UNSUPPORTED') return 'is TLS switched off there (client_tls_mode)? sslmode=prefer does without'
  if (code.startsWith('TLS_') || code.startsWith('ERR_')) return undefined
  return `does a pooler run there? ${WHOSE[source]}`
}

/** What to do where the login is refused. */
function allow(error: LoginError, place: ConsolePlace): string | undefined {
  if (!error.fromServer && error.askedForPassword && /none is known/.test(error.message)) {
    return 'name it in the URL, in PGPASSWORD or in ~/.pgpass (host:port:database:user:password)'
  }
  if (!error.fromServer) return error.remedy === undefined ? undefined : namedAsLibpq(error.remedy)
  switch (error.sqlstate) {
    case '28P01':
      return `is the password of "${place.user}" right? PGPASSWORD, ~/.pgpass or the URL name it, PGUSER or the URL the user`
    case '3D000':
      return 'no pooler has its console there: is it PostgreSQL itself, or a database of another name?'
    case '42501':
      return 'admin_users and stats_users of the pooler name who may use its console; PGUSER or the URL names another user'
    default:
      return undefined
  }
}

/** What libpq calls the options that messages about servers name. */
function namedAsLibpq(message: string): string {
  return message
    .replaceAll('server_tls_mode', 'sslmode')
    .replaceAll('server_tls_ca_file', 'sslrootcert')
    .replaceAll('server_tls_cert_file', 'sslcert')
    .replaceAll('server_tls_key_file', 'sslkey')
    .replaceAll('server_tls_negotiation', 'sslnegotiation')
    .replace('and none is known for the user', 'and none is known')
}
