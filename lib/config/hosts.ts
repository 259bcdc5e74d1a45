/**
 * The hosts of one server as they are written: `db.example.com`, `10.0.0.1:5433`, `[::1]:5433`, a socket directory; several
 * are separated by commas (libpq, PgBouncer). Pure.
 */

/** One place where PostgreSQL may be. A host that begins with / or @ is a socket directory. */
export interface HostAddress {
  readonly host: string
  readonly port: number
}

/** Whether `host` is the name of a service, `_postgresql._tcp.example.com`, which stands for the hosts in its SRV records. */
export function isSrvName(host: string): boolean {
  return /^_[^.]+\._tcp\./i.test(host)
}

/** As it is written: `db.example.com:5432`, `[::1]:5432`. */
export function hostPort({ host, port }: { host: string; port: number | string }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

const NAME = String.raw`[\p{L}\p{N}_][\p{L}\p{N}._-]*(?::\d{1,5})?`
const IPV6 = String.raw`(?=[0-9a-f.]*:[0-9a-f.]*:)[0-9a-f.:]+(?:%[\w.-]+)?`
const BRACKETS = String.raw`\[[0-9a-f:.]+(?:%[\w.-]+)?\](?::\d{1,5})?`
const SOCKET = String.raw`[/@][^,\s]*(?:\s+[^,\s]+)*`
const ONE = `(?:${SOCKET}|${NAME}|${IPV6}|${BRACKETS})`

/** What a list of hosts looks like. */
export const HOSTS = new RegExp(String.raw`^${ONE}(?:\s*,\s*${ONE})*$`, 'iu')
export const HOSTS_EXPECTED =
  'host names, addresses or socket directories, separated by commas; one with a port of its own is written host:port'

/** What weights of hosts look like. */
export const WEIGHTS = /^(?:[1-9]\d{0,2}(?:, ?[1-9]\d{0,2})*)?$/
export const WEIGHTS_EXPECTED = 'whole numbers from 1 to 999, separated by commas, one for each host'

/** The weights in `text`; none where it is empty. */
export function parseWeights(text: string): number[] {
  return text === '' ? [] : text.split(',').map(Number)
}

/** The hosts in `text`, those without a port with `port`. */
export function parseHosts(text: string, port: number): HostAddress[] {
  return text.split(',').map((part) => parseHost(part.trim(), port))
}

function parseHost(text: string, port: number): HostAddress {
  if (/^[/@]/.test(text)) return { host: text, port }
  const [, bracketed, name, own] = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [undefined, undefined, text]
  return { host: bracketed ?? name!, port: own === undefined ? port : Number(own) }
}
