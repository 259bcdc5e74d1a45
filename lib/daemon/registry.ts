/** All clients of the process: how many may come in, and whose cancel key is whose. */

import { timingSafeEqual } from 'node:crypto'
import type { RegisteredClient, Registry as RegistryPort } from '../client/lifecycle/ports.ts'
import type { ClientSession } from '../client/session.ts'
import type { ErrorName } from '../errors.ts'
import type { ClientCounts } from '../routing/routes.ts'
import { RandomPool } from '../util/random-pool.ts'
import { Tally } from '../util/tally.ts'

/** The clients of one process. */
export class Registry implements RegistryPort {
  /** Every connection, from its first packet on. */
  readonly sessions = new Set<ClientSession>()
  /** Those counted against max_client_conn: not cancel requests, which must get through when it is full. */
  readonly #admitted = new Set<RegisteredClient>()
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
  #closing = false

  /** @param limit `max_client_conn` */
  constructor(limit: () => number) {
    this.#limit = limit
  }

  /** Clients logged in or logging in. */
  get admitted(): number {
    return this.#admitted.size
  }

  /** Refuse all newcomers. */
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

  admit(client: RegisteredClient): ErrorName | undefined {
    if (this.#closing) return 'pool_closed'
    // Whoever stops in the middle of its login must not keep others out.
    if (this.#admitted.size >= this.#limit()) this.#longestTarrying()?.endWith('too_many_clients')
    if (this.#admitted.size >= this.#limit()) return 'too_many_clients'
    this.#admitted.add(client)
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

  /** Of the place with most of them: there is no harm to those who come from elsewhere. */
  #longestTarrying(): RegisteredClient | undefined {
    let most: Set<RegisteredClient> | undefined
    for (const some of this.#tarrying.values()) if (most === undefined || some.size > most.size) most = some
    return most?.values().next().value
  }

  createKey(client: RegisteredClient, secretLength: number): { pid: number; secret: Buffer } {
    let pid: number
    do pid = this.#random.take(4).readUInt32BE() >>> 1
    while (pid === 0 || this.#byPid.has(pid))
    this.#byPid.set(pid, client)
    return { pid, secret: this.#random.take(secretLength) }
  }

  async cancel(pid: number, secret: Buffer): Promise<void> {
    const client = this.#byPid.get(pid)
    if (client === undefined) return
    const own = Buffer.from(client.info.secret, 'latin1')
    if (own.length !== secret.length || !timingSafeEqual(own, secret)) return
    await client.cancel()
  }

  remove(session: ClientSession): void {
    this.sessions.delete(session)
    this.#arrive(session)
    this.goesOn(session)
    this.#admitted.delete(session)
    const entered = this.#entered.get(session)
    if (entered !== undefined) {
      this.#entered.delete(session)
      this.#ofDatabases.remove(entered.database)
      this.#ofUsers.remove(entered.user)
    }
    if (this.#byPid.get(session.info.pid) === session) this.#byPid.delete(session.info.pid)
  }
}
