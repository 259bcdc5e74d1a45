/** All clients of the process: how many may come in, and whose cancel key is whose. */

import { timingSafeEqual } from 'node:crypto'
import { cancelSession } from '../client/cancel.ts'
import type { Registry as RegistryPort } from '../client/ports.ts'
import type { ClientSession } from '../client/session.ts'
import type { ErrorName } from '../errors.ts'
import { RandomPool } from '../util/random-pool.ts'

/** The clients of one process. */
export class Registry implements RegistryPort {
  /** Every connection, from its first packet on. */
  readonly sessions = new Set<ClientSession>()
  /** Those counted against max_client_conn: not cancel requests, which must get through when it is full. */
  readonly #admitted = new Set<ClientSession>()
  /** Those of them whose login waits for the client itself, or for the end of a pause, by where they come from. */
  readonly #tarrying = new Map<string, Set<ClientSession>>()
  /** What is done when a client has told who it is, or has left without that. */
  readonly #arrivals = new Map<ClientSession, () => void>()
  readonly #byPid = new Map<number, ClientSession>()
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

  #arrive(session: ClientSession): void {
    this.#arrivals.get(session)?.()
    this.#arrivals.delete(session)
  }

  admit(session: ClientSession): ErrorName | undefined {
    if (this.#closing) return 'pool_closed'
    // Whoever stops in the middle of its login must not keep others out.
    if (this.#admitted.size >= this.#limit()) this.#longestTarrying()?.endWith('too_many_clients')
    if (this.#admitted.size >= this.#limit()) return 'too_many_clients'
    this.#admitted.add(session)
    this.#arrive(session)
    return undefined
  }

  tarries(session: ClientSession): void {
    const { neighbourhood } = session.info.origin
    const others = this.#tarrying.get(neighbourhood)
    if (others === undefined) this.#tarrying.set(neighbourhood, new Set([session]))
    else others.add(session)
  }

  goesOn(session: ClientSession): void {
    const { neighbourhood } = session.info.origin
    const tarrying = this.#tarrying.get(neighbourhood)
    tarrying?.delete(session)
    if (tarrying?.size === 0) this.#tarrying.delete(neighbourhood)
  }

  /** Of the place with most of them: there is no harm to those who come from elsewhere. */
  #longestTarrying(): ClientSession | undefined {
    let most: Set<ClientSession> | undefined
    for (const some of this.#tarrying.values()) if (most === undefined || some.size > most.size) most = some
    return most?.values().next().value
  }

  createKey(session: ClientSession, secretLength: number): { pid: number; secret: Buffer } {
    let pid: number
    do pid = this.#random.take(4).readUInt32BE() >>> 1
    while (pid === 0 || this.#byPid.has(pid))
    this.#byPid.set(pid, session)
    return { pid, secret: this.#random.take(secretLength) }
  }

  async cancel(pid: number, secret: Buffer): Promise<void> {
    const session = this.#byPid.get(pid)
    if (session === undefined) return
    const own = Buffer.from(session.info.secret, 'latin1')
    if (own.length !== secret.length || !timingSafeEqual(own, secret)) return
    await cancelSession(session)
  }

  remove(session: ClientSession): void {
    this.sessions.delete(session)
    this.#arrive(session)
    this.goesOn(session)
    this.#admitted.delete(session)
    if (this.#byPid.get(session.info.pid) === session) this.#byPid.delete(session.info.pid)
  }
}
