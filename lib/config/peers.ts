/**
 * The peers of a pgbun, which pass cancel requests on to each other (PgBouncer's section `[peers]`): `2=10.0.0.2:6432` has
 * an id of its own, and `pgbun.example.internal` is a name whose addresses are all peers. Pure.
 */

import { parseHosts } from './hosts.ts'

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
}

/** The peers in `entries`. @throws Error that says what is wrong with the first entry that is none */
export function parsePeers(entries: readonly string[]): PeerAddress[] {
  const found = new Set<number>()
  return entries.map((entry) => {
    const [, id = '0', where = ''] = /^(?:(\d{1,6})\s*=\s*)?(\S+)$/.exec(entry.trim()) ?? []
    const address = where === '' ? undefined : parseHosts(where, PORT)[0]
    if (!address?.host || /[@=]/.test(where) || address.port < 1 || address.port > 65535)
      throw new Error(`'${entry}' is no peer: write id=host:port, or the name of a host whose addresses are all peers`)
    const number = Number(id)
    if (number > MOST_PEERS || (where !== entry.trim() && number === 0))
      throw new Error(`'${entry}': the id of a peer must be between 1 and ${MOST_PEERS}`)
    if (number > 0 && found.has(number)) throw new Error(`'${entry}': another peer has the id ${number}`)
    found.add(number)
    return { id: number, ...address }
  })
}
