/**
 * Host names to addresses, for dial. getaddrinfo through node:dns, so that /etc/hosts and nsswitch count as they do for
 * every other program; but it runs on the runtime's few threads, so there is one lookup per name at a time and its
 * answer is kept (PgBouncer's dns_max_ttl; getaddrinfo does not tell the record's own).
 *
 * What must hold: a name service that fails does not take down what was reachable: the last answer stays in use.
 */

import { lookup } from 'node:dns'
import { isIP } from 'node:net'

/** How long an answer is used without asking again, and a failure remembered, in ms (PgBouncer's defaults). */
export interface DnsTtl {
  readonly answerMs: number
  readonly failureMs: number
}

const DEFAULT_TTL: DnsTtl = { answerMs: 15_000, failureMs: 15_000 }
/** Names come from the configuration, so there are few; a wildcard database may yet name many. */
const MAX_NAMES = 1000

/** Finds all addresses of a name, best first, or throws. */
export type Lookup = (host: string) => Promise<string[]>

interface Entry {
  addresses: string[]
  error: Error | undefined
  expires: number
  pending: Promise<string[]> | undefined
}

/** A cache of addresses. One serves the whole process; tests make their own. */
export class Resolver {
  readonly #lookup: Lookup
  readonly #now: () => number
  readonly #ttl: () => DnsTtl
  readonly #entries = new Map<string, Entry>()

  constructor(
    find: Lookup = lookupAll,
    now: () => number = () => performance.now(),
    ttl: () => DnsTtl = () => DEFAULT_TTL,
  ) {
    this.#lookup = find
    this.#now = now
    this.#ttl = ttl
  }

  /**
   * All addresses of a host, in the order to try them. An IP address is its own answer.
   * @throws the error of the lookup, where there is no earlier answer to fall back on
   */
  resolve(host: string): Promise<string[]> {
    if (isIP(host) !== 0) return Promise.resolve([host])
    const entry = this.#entries.get(host)
    if (entry?.pending) return entry.pending
    if (entry && this.#now() < entry.expires) {
      return entry.error ? Promise.reject(entry.error) : Promise.resolve(entry.addresses)
    }
    return this.#ask(host, entry)
  }

  /** Ask again next time: what was found does not answer any more. The old answer stays for the case that DNS fails. */
  expire(host: string): void {
    const entry = this.#entries.get(host)
    if (entry && !entry.error) entry.expires = 0
  }

  /** The names that are known, with how long their answers are used without asking again (ms). */
  *known(): Generator<{ name: string; addresses: readonly string[]; ttl: number }> {
    const at = this.#now()
    for (const [name, { addresses, expires }] of this.#entries) {
      yield { name, addresses, ttl: Math.max(0, expires - at) }
    }
  }

  #ask(host: string, known: Entry | undefined): Promise<string[]> {
    const entry = known ?? { addresses: [], error: undefined, expires: 0, pending: undefined }
    if (!known) this.#add(host, entry)
    const pending = this.#lookup(host).then(
      (addresses) => {
        entry.pending = undefined
        entry.addresses = addresses
        entry.error = undefined
        entry.expires = this.#now() + this.#ttl().answerMs
        return addresses
      },
      (error: Error) => {
        entry.pending = undefined
        entry.expires = this.#now() + this.#ttl().failureMs
        if (entry.addresses.length > 0) return entry.addresses
        entry.error = error
        throw error
      },
    )
    entry.pending = pending
    return pending
  }

  #add(host: string, entry: Entry): void {
    if (this.#entries.size >= MAX_NAMES) {
      for (const oldest of this.#entries.keys()) {
        this.#entries.delete(oldest)
        break
      }
    }
    this.#entries.set(host, entry)
  }
}

/** The resolver of the process. */
export const defaultResolver = new Resolver()

function lookupAll(host: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    // In the order of getaddrinfo (RFC 6724), as every C program would try them.
    lookup(host, { all: true, order: 'verbatim' }, (error, found) => {
      if (error) reject(error)
      else resolve([...new Set(found.map(({ address }) => address))])
    })
  })
}
