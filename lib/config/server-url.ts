/**
 * The server argument of the command line -> option values: `postgres://host:port?sslmode=…`, `host`, `host:port`,
 * `[::1]:5433`, `/socket/dir`, `@abstract`; several hosts with commas. The parameters are libpq's.
 *
 * A user, password or database in it is an error: pgbun forwards those of each client, and taking them from here would
 * suggest otherwise. The argument is never repeated in a message, because it may contain a password.
 */
import { hostPort } from './hosts.ts'
import type { OptionName } from './options.ts'
import { ConfigError, type RawValue } from './raw-value.ts'
import { decodePercent, splitOnce } from './url-parts.ts'

const WHERE = 'the server argument'
const FORWARDS =
  "pgbun forwards each client's own user, password and database, so give only the host and port: postgres://host:5432"

/** libpq's names for what can be said in a URL's query. */
const PARAMETERS: Readonly<Record<string, OptionName>> = {
  host: 'server_host',
  port: 'server_port',
  target_session_attrs: 'target_session_attrs',
  sslmode: 'server_tls_mode',
  sslrootcert: 'server_tls_ca_file',
  sslcert: 'server_tls_cert_file',
  sslkey: 'server_tls_key_file',
  sslnegotiation: 'server_tls_negotiation',
}

/** The values in the server argument. Throws ConfigError where it is none; values are converted later. */
export function parseServerArgument(text: string): RawValue[] {
  const found = new Map<OptionName, string>()
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(text)
  if (scheme) {
    if (!/^postgres(ql)?$/i.test(scheme[1]!)) fail('Must be a URL that begins with postgres:// or postgresql://')
    const [address, query] = splitOnce(text.slice(scheme[0].length), '?')
    readAddress(address, found, decode)
    readQuery(query, found)
  } else {
    readAddress(text, found, (host) => host)
  }
  if (found.size === 0) fail('Names no server. Give a host, host:port, a postgres:// URL or a socket directory')
  return [...found].map(([name, value]) => ({ name, value, source: { kind: 'command line', where: WHERE } }))
}

function readAddress(text: string, found: Map<OptionName, string>, decodeHost: (host: string) => string): void {
  // A socket directory is taken whole; the path of the socket itself names its port too.
  if (/^[/@]/.test(text) && text.length > 1) {
    const socket = /^(.+)\/\.s\.PGSQL\.(\d+)$/.exec(text)
    found.set('server_host', socket ? socket[1]! : text)
    if (socket) found.set('server_port', socket[2]!)
    return
  }
  if (text.includes('@')) fail(`Contains a user name or password. ${FORWARDS}`)
  const [hostPort, database] = splitOnce(text, '/')
  if (database !== '') fail(`Contains a database name. ${FORWARDS}`)
  const hosts = hostPort.split(',').map((part) => readHost(part, decodeHost))
  const [first] = hosts
  if (hosts.length > 1) {
    if (hosts.some(({ host }) => host === '')) fail('Names a server without a host in a list of several')
    found.set('server_host', hosts.map(writtenHost).join(','))
    return
  }
  if (first!.host !== '') found.set('server_host', first!.host)
  if (first!.port !== undefined) found.set('server_port', first!.port)
}

interface Host {
  host: string
  port: string | undefined
}

/** [::1]:5433, or host:5433, or a bare ::1. */
function readHost(text: string, decodeHost: (host: string) => string): Host {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d*))?$/.exec(text)
  const bare = /^[0-9a-f:.]+(%\w+)?$/i.test(text) && /::|(:.*){7}/.test(text)
  if (!match && !bare) fail('Is not host, host:port, [IPv6 address]:port or a postgres:// URL')
  const host = match ? (match[1] ?? match[2] ?? '') : text
  const checked = host === '' ? '' : checkHost(decodeHost(host), bare || match?.[1] !== undefined)
  return { host: checked, port: match?.[3] || undefined }
}

function writtenHost({ host, port }: Host): string {
  return port === undefined ? host : hostPort({ host, port })
}

/** A host as it is, where it may be one. A socket directory is written in percent code in a URL. */
function checkHost(host: string, isAddress: boolean): string {
  if (!isAddress && !/^[\p{L}\p{N}_][\p{L}\p{N}._-]*$/u.test(host) && !/^[/@]/.test(host)) {
    fail('Is not host, host:port, [IPv6 address]:port or a postgres:// URL')
  }
  return host
}

function readQuery(query: string, found: Map<OptionName, string>): void {
  for (const pair of query.split('&').filter((part) => part !== '')) {
    const [key, value] = splitOnce(pair, '=').map(decode) as [string, string]
    if (['user', 'password', 'dbname'].includes(key)) fail(`Contains ${key}. ${FORWARDS}`)
    const name = Object.hasOwn(PARAMETERS, key) ? PARAMETERS[key] : undefined
    if (!name) {
      fail(`Contains an unknown parameter${/^\w{1,32}$/.test(key) ? ` ${key}` : ''}. Known: ${known()}`)
    } else {
      found.set(name, value)
    }
  }
}

function known(): string {
  return Object.keys(PARAMETERS).join(', ')
}

function decode(text: string): string {
  return decodePercent(text) ?? fail('Contains a % that is not followed by two hexadecimal digits')
}

function fail(message: string): never {
  throw new ConfigError([{ where: WHERE, message }])
}
