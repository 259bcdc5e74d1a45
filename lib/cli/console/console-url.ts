/**
 * The URL of a console, as of any database of PostgreSQL, -> its parts: `postgres://user:password@host:6432/pgbouncer?sslmode=…`,
 * `host:port`, the directory of a unix socket. Parameters and rules are libpq's. Pure.
 *
 * The text is never repeated in a message, because it may contain a password.
 */
import { HOSTS } from '../../config/hosts.ts'
import { decodePercent, splitOnce } from '../../config/url-parts.ts'

/** A URL that cannot be used. The message says why and what would do. */
export class ConsoleUrlError extends Error {
  override readonly name = 'ConsoleUrlError'
}

/** What a URL can name beside hosts and ports, by libpq's names. */
export const PARAMETERS = [
  'user',
  'password',
  'passfile',
  'dbname',
  'sslmode',
  'sslrootcert',
  'sslcert',
  'sslkey',
  'sslnegotiation',
  'connect_timeout',
  'application_name',
] as const
export type ParameterName = (typeof PARAMETERS)[number]

/** What was named; an empty value is as good as none. */
export type ConsoleSettings = Partial<Record<ParameterName | 'host' | 'port', string>>

const FORMS = 'Write postgres://user@host:6432, host:6432 or the directory of a unix socket'

/** The parts of a URL or of an address. @throws ConsoleUrlError */
export function parseConsoleUrl(text: string): ConsoleSettings {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme) {
    if (!/^postgres(ql)?$/i.test(scheme[1]!))
      fail('is no URL of PostgreSQL. It begins with postgres:// or postgresql://')
    return parseUrl(text.slice(scheme[0].length))
  }
  if (text === '') fail(`is empty. ${FORMS}`)
  if (/^[/@]/.test(text)) return socketOf(text)
  if (/[@?\s]/.test(text)) fail(`is neither a URL nor an address. ${FORMS}`)
  const [address, dbname] = splitOnce(text, '/')
  return clean({ ...hostsOf(address), dbname })
}

function parseUrl(text: string): ConsoleSettings {
  const [before, query] = splitOnce(text, '?')
  // A slash cannot stand in user, password or hosts: it is written %2F.
  const [authority, path] = splitOnce(before, '/')
  const at = authority.lastIndexOf('@')
  const [user, password] = splitOnce(at < 0 ? '' : authority.slice(0, at), ':')
  return clean({
    user: decode(user),
    password: decode(password),
    ...hostsOf(authority.slice(at + 1)),
    dbname: decode(path),
    ...parametersOf(query),
  })
}

/** `host:port`, and lists of them: one text of hosts and one of ports, as libpq has them. */
function hostsOf(text: string): { host: string; port: string } {
  const hosts: string[] = []
  const ports: string[] = []
  for (const part of text.split(',')) {
    const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(part)
    // A bare IPv6 address has more than one colon.
    const bare = match === null && /^[0-9a-f:.]+(%\w+)?$/i.test(part) && /::|(:[^:]*){7}/.test(part)
    if (match === null && !bare) fail(`does not name a host and its port. ${FORMS}`)
    hosts.push(decode(match ? (match[1] ?? match[2] ?? '') : part))
    ports.push(match?.[3] ?? '')
  }
  return { host: hosts.join(','), port: ports.some((port) => port !== '') ? ports.join(',') : '' }
}

/** A directory, or the socket itself, which names its port. */
function socketOf(text: string): ConsoleSettings {
  const socket = /^(.+)\/\.s\.PGSQL\.(\d+)$/.exec(text)
  return socket ? { host: socket[1]!, port: socket[2]! } : { host: text }
}

function parametersOf(query: string): ConsoleSettings {
  const found: ConsoleSettings = {}
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [key, value] = splitOnce(pair, '=').map(decode) as [string, string]
    const known = ['host', 'port', ...PARAMETERS]
    if (!known.includes(key)) {
      const named = /^\w{1,32}$/.test(key) ? ` '${key}'` : ''
      fail(`has an unknown parameter${named}. Known are ${known.join(', ')}`)
    }
    found[key as keyof ConsoleSettings] = value
  }
  return found
}

/** Hosts with their ports. @throws ConsoleUrlError */
export function pairHosts(host: string, port: string): { host: string; port: number }[] {
  const ports = port.split(',').map((text) => (text === '' ? DEFAULT_PORT : Number(text)))
  for (const number of ports) {
    if (!Number.isInteger(number) || number < 1 || number > 65_535) fail('has a port that is not 1 to 65535')
  }
  const hosts = host.split(',')
  if (ports.length > 1 && ports.length !== hosts.length) {
    fail(`names ${hosts.length} hosts and ${ports.length} ports. Name one port for all, or one for each`)
  }
  return hosts.map((name, i) => {
    const one = name === '' ? 'localhost' : name
    // A port of its own, as in `?host=db:6432`, is libpq's mistake, too.
    if (!HOSTS.test(one) || /^[^:/@]*:[^:]*$/.test(one)) fail(`does not name a host. ${FORMS}`)
    return { host: one.replace(/^\[(.*)\]$/, '$1'), port: ports[ports.length > 1 ? i : 0]! }
  })
}

/** Where poolers listen: PgBouncer's default and pgbun's. */
export const DEFAULT_PORT = 6432

function clean(settings: ConsoleSettings): ConsoleSettings {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== ''))
}

function decode(text: string): string {
  return (
    decodePercent(text) ?? fail('has a % that is not followed by two hexadecimal digits. A % itself is written %25')
  )
}

function fail(what: string): never {
  throw new ConsoleUrlError(`the URL of the console ${what}`)
}
