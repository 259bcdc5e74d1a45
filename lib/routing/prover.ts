/**
 * auth_type passthrough: proves a client's password by logging in to PostgreSQL with it. The connection that proved it
 * goes into the pool where that has room, so a first login costs nothing extra.
 *
 * A server that is starting up (57P03) is waited for, as by clients that are logged in.
 *
 * However many clients come with the same password at once, it is tried once; and only a few passwords of one pool are
 * tried at a time, so that a guesser cannot keep PostgreSQL busy through us.
 */

import { createHmac, randomBytes } from 'node:crypto'
import type { Credentials } from '../auth/credentials.ts'
import type { PassthroughMemory } from '../auth/passthrough.ts'
import { isStartingUp, STARTING_UP_RETRY_MS } from '../pool/opening.ts'
import type { Pool } from '../pool/pool.ts'
import type { ServerConnection } from '../server/connection.ts'
import { LoginError } from '../server/login.ts'
import type { OpenedServer } from '../server/open.ts'
import { delay, now } from '../util/clock.ts'

/** Passwords of one pool tried at the same time. */
const CONCURRENCY = 4

/** How long a server that is starting up is asked again: clients give up earlier (client_login_timeout). */
const PATIENCE_MS = 60_000

/** Opens connections for passwords that are to be proven. */
export interface ProverPorts {
  /** A connection for `pool` with these credentials. Rejects with a LoginError. */
  open(pool: Pool, credentials: Credentials): Promise<OpenedServer>
  /** Make a connection of the pool of it. */
  keep(pool: Pool, opened: OpenedServer): ServerConnection
}

/** What PostgreSQL said to a password: it accepted it, or it would have let anybody in. */
export type Proof = 'accepted' | 'not-asked'

/** Tries passwords with PostgreSQL. */
export class Prover {
  readonly #ports: ProverPorts
  readonly #memory: PassthroughMemory
  readonly #key = randomBytes(32)
  readonly #running = new Map<string, Promise<Proof>>()
  readonly #busy = new Map<Pool, { count: number; queue: (() => void)[] }>()

  constructor(ports: ProverPorts, memory: PassthroughMemory) {
    this.#ports = ports
    this.#memory = memory
  }

  /**
   * Log in to PostgreSQL with `password`, or, without one, find out whether it asks for any.
   * @throws LoginError with PostgreSQL's refusal; its `askedForPassword` tells whether there is a password to be had
   */
  prove(pool: Pool, password: string | undefined): Promise<Proof> {
    const key = passthroughKey(pool)
    const digest = createHmac('sha256', this.#key)
      .update(`${key}\0${password === undefined ? '' : `=${password}`}`)
      .digest('base64')
    let running = this.#running.get(digest)
    if (running === undefined) {
      running = this.#attempt(pool, key, password).finally(() => this.#running.delete(digest))
      this.#running.set(digest, running)
    }
    return running
  }

  async #attempt(pool: Pool, key: string, password: string | undefined): Promise<Proof> {
    const opened = await this.login(pool, key, password, (credentials) => this.#ports.open(pool, credentials))
    this.#keep(pool, opened)
    return opened.askedForPassword ? 'accepted' : 'not-asked'
  }

  /**
   * Log in to PostgreSQL with `password`, or without one, by `open`, and remember under `key` what that has proven. The
   * connection is the caller's.
   * @throws LoginError as prove
   */
  async login(
    pool: Pool,
    key: string,
    password: string | undefined,
    open: (credentials: Credentials) => Promise<OpenedServer>,
  ): Promise<OpenedServer> {
    await this.#enter(pool)
    try {
      const credentials: Credentials = password === undefined ? { kind: 'none' } : { kind: 'password', password }
      const opened = await this.#patiently(() => open(credentials))
      if (opened.askedForPassword && password !== undefined) this.#memory.remember(key, password)
      else this.#memory.markNoPassword(key)
      return opened
    } catch (error) {
      // Refused now, and it is the one we had: whoever is in stays in, but nobody gets in with it any more.
      const refused = error instanceof LoginError && error.fromServer && error.sqlstate.startsWith('28')
      if (refused && password !== undefined && this.#memory.passwordFor(key) === password) this.#memory.forget(key)
      throw error
    } finally {
      this.#leave(pool)
    }
  }

  async #patiently(open: () => Promise<OpenedServer>): Promise<OpenedServer> {
    const patience = now() + PATIENCE_MS
    for (;;) {
      try {
        return await open()
      } catch (error) {
        if (!(error instanceof LoginError && isStartingUp(error)) || now() > patience) throw error
        await delay(STARTING_UP_RETRY_MS)
      }
    }
  }

  #keep(pool: Pool, opened: OpenedServer): void {
    const { hasRoom } = pool
    const server = this.#ports.keep(pool, opened)
    if (hasRoom) pool.adopt(server)
    else server.close('proved a password; the pool is full')
  }

  async #enter(pool: Pool): Promise<void> {
    let busy = this.#busy.get(pool)
    if (busy === undefined) {
      busy = { count: 0, queue: [] }
      this.#busy.set(pool, busy)
    }
    if (busy.count >= CONCURRENCY) await new Promise<void>((resolve) => busy.queue.push(resolve))
    else busy.count++
  }

  #leave(pool: Pool): void {
    const busy = this.#busy.get(pool)!
    const next = busy.queue.shift()
    if (next) next()
    else if (--busy.count === 0) this.#busy.delete(pool)
  }
}

/** The key under which a pool's passwords are remembered. */
export function passthroughKey(pool: { database: string; user: string }): string {
  return `${pool.database}\0${pool.user}`
}
