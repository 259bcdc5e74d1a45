/** All clients of the process: how many may come in, and whose cancel key is whose. */

import { timingSafeEqual } from 'node:crypto'
import type { RegisteredClient, Registry as RegistryPort } from '../client/lifecycle/ports.ts'
import type { ClientSession } from '../client/session.ts'
import type { ErrorName } from '../errors.ts'
import type { ClientCounts } from '../routing/routes.ts'
import { RandomPool } from '../util/random-pool.ts'
import { Tally } from '../util/tally.ts'
import { pidOfPeer } from './cancel-keys.ts'

/** So many may log in to the console, whoever else is connected. */
const CONSOLE_LIMIT = 100

/** Have another process cancel what the client with this key runs; resolves when it was asked. */
export type PassOn = (pid: number, secret: Buffer, hops: number) => Promise<void>

/** The clients of one process. */
export class Registry implements RegistryPort {
  /** Every connection, from its first packet on. */
  readonly sessions = new Set<ClientSession>()
  /** Those counted against max_client_conn: not cancel requests, which must get through when it is full. */
  readonly #admitted = new Set<RegisteredClient>()
  /** Clients of the console, which are not counted there. */
  readonly #atConsole = new Set<RegisteredClient>()
  /** Those of them whose login waits for the client itself, or for the end of a pause, by where they come from. */
  readonly #tarrying = new Map<string, Set<RegisteredClient>>()
  /** What is done when a client has told who it is, or has left without that. */
  readonly #arrivals = new Map<RegisteredClient, () => void>()
  /** Those that have proven who they are, and how many there are of each database and user. */
  readonly #entered = new Map<RegisteredClient, { database: string; user: string }>()
  readonly #ofDatabases = new Tally()
  readonly #ofUsers = new Tally()
  readonly #byPid = new Map<number, RegisteredClient>()
  readonly #random = new RandomPool()
  readonly #limit: () => number
  readonly #passOn: PassOn
  readonly #peerId: () => number
  #closing = false

  /**
   * @param limit `max_client_conn`
   * @param passOn takes cancel requests for clients that are not here
   * @param peerId `peer_id`, which keys tell
   */
  constructor(limit: () => number, passOn: PassOn = async () => {}, peerId: () => number = () => 0) {
    this.#limit = limit
    this.#passOn = passOn
    this.#peerId = peerId
  }

  /** Clients logged in or logging in. */
  get admitted(): number {
    return this.#admitted.size
  }

  /** Connections that have not told who they are. */
  get arriving(): number {
    return this.#arrivals.size
  }

  /** Refuse all newcomers but those who come to the console. */
  close(): void {
    this.#closing = true
  }

  /** A connection; `arrived` is called once, when it is admitted or gone. */
  add(session: ClientSession, arrived: () => void): void {
    this.sessions.add(session)
    this.#arrivals.set(session, arrived)
  }

  #arrive(client: RegisteredClient): void {
    this.#arrivals.get(client)?.()
    this.#arrivals.delete(client)
  }

  admit(client: RegisteredClient, toConsole: boolean): ErrorName | undefined {
    if (this.#closing && !toConsole) return 'pool_closed'
    const admitted = toConsole ? this.#atConsole : this.#admitted
    const limit = toConsole ? CONSOLE_LIMIT : this.#limit()
    // Whoever stops in the middle of its login must not keep others out.
    if (admitted.size >= limit) this.#longestTarrying(admitted)?.endWith('too_many_clients')
    if (admitted.size >= limit) return 'too_many_clients'
    admitted.add(client)
    this.#arrive(client)
    return undefined
  }

  tarries(client: RegisteredClient): void {
    const { neighbourhood } = client.info.origin
    const others = this.#tarrying.get(neighbourhood)
    if (others === undefined) this.#tarrying.set(neighbourhood, new Set([client]))
    else others.add(client)
  }

  goesOn(client: RegisteredClient): void {
    const { neighbourhood } = client.info.origin
    const tarrying = this.#tarrying.get(neighbourhood)
    tarrying?.delete(client)
    if (tarrying?.size === 0) this.#tarrying.delete(neighbourhood)
  }

  enter(client: RegisteredClient, database: string, limits: ClientCounts): ErrorName | undefined {
    const { user } = client.info
    if (limits.database > 0 && this.#ofDatabases.count(database) >= limits.database)
      return 'too_many_clients_of_database'
    if (limits.user > 0 && this.#ofUsers.count(user) >= limits.user) return 'too_many_clients_of_user'
    this.#ofDatabases.add(database)
    this.#ofUsers.add(user)
    this.#entered.set(client, { database, user })
    return undefined
  }

  /** Of those `admitted`, and of the place with most of them: there is no harm to those who come from elsewhere. */
  #longestTarrying(admitted: ReadonlySet<RegisteredClient>): RegisteredClient | undefined {
    let most = 0
    let longest: RegisteredClient | undefined
    for (const tarrying of this.#tarrying.values()) {
      if (tarrying.size <= most) continue
      // Those of the console are few: one of the others is soon found, and the other way round there is hardly anybody.
      const first = firstOf(tarrying, admitted)
      if (first === undefined) continue
      longest = first
      most = tarrying.size
    }
    return longest
  }

  createKey(client: RegisteredClient, secretLength: number): { pid: number; secret: Buffer } {
    let pid: number
    do pid = pidOfPeer(this.#peerId(), this.#random.take(4).readUInt32BE() >>> 1)
    while (pid === 0 || this.#byPid.has(pid))
    this.#byPid.set(pid, client)
    return { pid, secret: this.#random.take(secretLength) }
  }

  async cancel(pid: number, secret: Buffer, hops = 0): Promise<void> {
    const client = this.#byPid.get(pid)
    if (client === undefined) return this.#passOn(pid, secret, hops)
    const own = Buffer.from(client.info.secret, 'latin1')
    if (own.length !== secret.length || !timingSafeEqual(own, secret)) return
    await client.cancel()
  }

  remove(session: ClientSession): void {
    this.sessions.delete(session)
    this.#arrive(session)
    this.goesOn(session)
    this.#admitted.delete(session)
    this.#atConsole.delete(session)
    const entered = this.#entered.get(session)
    if (entered !== undefined) {
      this.#entered.delete(session)
      this.#ofDatabases.remove(entered.database)
      this.#ofUsers.remove(entered.user)
    }
    if (this.#byPid.get(session.info.pid) === session) this.#byPid.delete(session.info.pid)
  }
}

/** The first of `clients` that is among `others`. */
function firstOf<T>(clients: Iterable<T>, others: ReadonlySet<T>): T | undefined {
  for (const client of clients) if (others.has(client)) return client
  return undefined
}
