/**
 * SRV records (RFC 2782): where a service is, as `_postgresql._tcp.example.com` says. The name service itself is asked:
 * getaddrinfo knows no such records.
 */

import { Resolver } from 'node:dns'

/** One place where the service is. */
export interface SrvRecord {
  readonly host: string
  readonly port: number
  /** Those with the lowest are used first. */
  readonly priority: number
  /** What is due to this one among those of the same priority. */
  readonly weight: number
}

/** Finds the records of a name, or throws. */
export type SrvLookup = (name: string) => Promise<SrvRecord[]>

/** One question waits so long, in ms, and is asked so often: a name service that is down must hold up no start for long. */
const TIMEOUT_MS = 2000
const TRIES = 2

/** Asks the name service that the system is configured to. */
export function lookupSrv(name: string): Promise<SrvRecord[]> {
  return new Promise((resolve, reject) => {
    new Resolver({ timeout: TIMEOUT_MS, tries: TRIES }).resolveSrv(name, (error, found) => {
      if (error) reject(error)
      else resolve(found.map(({ name: host, port, priority, weight }) => ({ host, port, priority, weight })))
    })
  })
}
