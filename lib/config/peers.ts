/**
 * The peers of a pgbun, which pass cancel requests on to each other (PgBouncer's section `[peers]`): `2=10.0.0.2:6432` has
 * an id of its own, `2=10.0.0.2:6432 pool_size=5` a limit, and `pgbun.example.internal` is a name whose addresses are all
 * peers. Pure.
 */

import { HOSTS, parseHosts } from './hosts.ts'

/** Ids are 14 bits of a cancel key, as in PgBouncer. */
export const MOST_PEERS = 16_383
/** PgBouncer's port, where an entry names none. */
const PORT = 6432

/** One entry of `peers`. */
export interface PeerAddress {
  /** 0 for a name that stands for several. */
  readonly id: number
  readonly host: string
  readonly port: number
  /** Cancel requests on their way to it at a time; where it is missing, the general pool_size. */
  readonly poolSize?: number
}

const ENTRY = /^(?:(\d{1,6})\s*=\s*)?(\S+)(?:\s+pool_size\s*=\s*([1-9]\d{0,5}))?$/

/** The peers in `entries`. @throws Error that says what is wrong with the first entry that is none */
export function parsePeers(entries: readonly string[]): PeerAddress[] {
  const found = new Set<number>()
  return entries.map((entry) => {
    const [, id, where = '', size] = ENTRY.exec(entry.trim()) ?? []
    const address = HOSTS.test(where) && !/[@=,]/.test(where) ? parseHosts(where, PORT)[0] : undefined
    if (!address || address.port < 1 || address.port > 65535)
      throw new Error(`'${entry}' is no peer: write id=host:port, or the name of a host whose addresses are all peers`)
    const number = Number(id ?? 0)
    if (number > MOST_PEERS || (id !== undefined && number === 0))
      throw new Error(`'${entry}': the id of a peer must be between 1 and ${MOST_PEERS}`)
    if (number > 0 && found.has(number)) throw new Error(`'${entry}': another peer has the id ${number}`)
    found.add(number)
    return size === undefined ? { id: number, ...address } : { id: number, ...address, poolSize: Number(size) }
  })
}

const KEYS = ['host', 'port', 'pool_size']

/**
 * A line of a section `[peers]` as an entry of `peers`: `2 = "host=10.0.0.2 port=6432 pool_size=5"` as PgBouncer has it,
 * the same as a table, or `2 = "10.0.0.2:6432"`. What the host looks like is left to parsePeers: it may still be a variable.
 * @throws Error that says what is wrong with it
 */
export function peerEntry(id: string, value: unknown): string {
  if (typeof value === 'string' && !/^\s*\w+\s*=/.test(value)) return `${id}=${value.trim()}`
  const parts = typeof value === 'string' ? Object.fromEntries(words(id, value)) : value
  if (typeof parts !== 'object' || parts === null || Array.isArray(parts)) throw new Error(problemOf(id))
  const { host, port = PORT, pool_size: size } = parts as Record<string, unknown>
  const stranger = Object.keys(parts).find((key) => !KEYS.includes(key))
  if (stranger !== undefined) throw new Error(`${problemOf(id)}; '${stranger}' is none of ${KEYS.join(', ')}`)
  if (typeof host !== 'string' || host === '') throw new Error(`${problemOf(id)}; it has no host`)
  const socket = /^[/@]/.test(host)
  const address = socket ? host : `${/:.*:/.test(host) ? `[${host}]` : host}:${port}`
  return `${id}=${address}${size === undefined ? '' : ` pool_size=${size}`}`
}

function words(id: string, value: string): [string, string][] {
  return value
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [, key, text] = /^(\w+)=(\S+)$/.exec(word) ?? []
      if (key === undefined || text === undefined) throw new Error(problemOf(id))
      return [key, text]
    })
}

function problemOf(id: string): string {
  return `Peer ${id} must be written { host = "10.0.0.2", port = 6432, pool_size = 5 }, or "host:port"`
}
