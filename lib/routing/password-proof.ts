/**
 * auth_type passthrough: proves a client's password by logging in to PostgreSQL with it. The connection that proved it
 * goes into the pool where that has room, so a first login costs nothing extra.
 *
 * A server that is starting up (57P03) is waited for, as by clients that are logged in.
 *
 * What must hold: however many clients come with the same password at once, it is tried once. What is not proven opens
 * at most `max_unproven_logins` connections, whatever names and passwords are made up, and no address has all of them;
 * what waits for its turn leaves with its client. A password that was proven before waits for no guess.
 */

import { createHmac, randomBytes } from 'node:crypto'
import type { Credentials } from '../auth/credentials.ts'
import type { PassthroughMemory } from '../auth/passthrough.ts'
import { isStartingUp, STARTING_UP_RETRY_MS } from '../pool/opening.ts'
import type { Pool } from '../pool/pool.ts'
import { type LoginTo, loginTo, placeOf } from '../pool/target.ts'
import type { ServerConnection } from '../server/connection.ts'
import { LoginError } from '../server/login.ts'
import type { OpenedServer } from '../server/open.ts'
import { ownMerit } from '../server/own-merit.ts'
import { delay, now } from '../util/clock.ts'
import { FairGate } from '../util/fair-gate.ts'
import { SharedWork } from '../util/shared-work.ts'

/** How long a server that is starting up is asked again: clients give up earlier (client_login_timeout). */
const PATIENCE_MS = 60_000

/** Opens connections for passwords that are to be proven. */
export interface PasswordProverPorts {
  /** A connection with these credentials, `proven` before or not. Rejects with a LoginError. */
  open(login: LoginTo, credentials: Credentials, proven: boolean): Promise<OpenedServer>
  /** The password of the user in `key` is another than it was. */
  passwordChanged(key: string): void
  /** Make a connection of the pool of it. */
  keep(pool: Pool, opened: OpenedServer): ServerConnection
  /** `max_unproven_logins` */
  readonly limit: number
  /** `allow_unproven_local_clients` */
  readonly trustsLocal: boolean
}

/** Who wants to get in. */
export interface Candidate {
  /** Where it comes from: see net/neighbourhood. */
  neighbourhood: string
  /** It is on this machine. */
  local: boolean
  /** Aborted when it leaves. */
  signal: AbortSignal
}

/** PostgreSQL accepted a password, or asked for none. */
export type Proof = 'accepted' | Unasked

/** PostgreSQL asked for no password. */
export interface Unasked {
  /** What it may have let pgbun in for, see server/own-merit; '' where any program of this machine would do. */
  merit: string
}

/** Tries passwords with PostgreSQL. */
export class PasswordProver {
  readonly #ports: PasswordProverPorts
  readonly #memory: PassthroughMemory
  readonly #key = randomBytes(32)
  readonly #attempts = new SharedWork<Proof>()
  readonly #unproven: FairGate

  constructor(ports: PasswordProverPorts, memory: PassthroughMemory) {
    this.#ports = ports
    this.#memory = memory
    this.#unproven = new FairGate(
      () => ports.limit,
      (limit) => Math.ceil(limit / 2),
    )
  }

  /**
   * Log in to PostgreSQL with `password`, or, without one, find out whether it asks for any.
   * @throws LoginError with PostgreSQL's refusal; its `askedForPassword` tells whether there is a password to be had
   */
  prove(pool: Pool, password: string | undefined, candidate: Candidate): Promise<Proof> {
    const login = loginTo(pool)
    const key = passthroughKey(login)
    // Others' guesses of the same password stand in queues of their own.
    const who = this.#isProven(key, password) ? '' : `${candidate.neighbourhood} ${candidate.local}`
    const digest = createHmac('sha256', this.#key)
      .update(`${key}\0${who}\0${password === undefined ? '' : `=${password}`}`)
      .digest('base64')
    return this.#attempts.join(digest, candidate.signal, (signal) => {
      return this.#attempt(pool, login, password, { ...candidate, signal })
    })
  }

  async #attempt(pool: Pool, login: LoginTo, password: string | undefined, candidate: Candidate): Promise<Proof> {
    const key = passthroughKey(login)
    const proven = this.#isProven(key, password)
    const open = (credentials: Credentials): Promise<OpenedServer> => this.#ports.open(login, credentials, proven)
    const { opened, proof } = await this.login(key, password, candidate, open)
    this.#keep(pool, opened, proof === 'accepted' || this.admits(proof, candidate.local))
    return proof
  }

  /** Whether a client may get in although PostgreSQL asked for no password. */
  admits({ merit }: Unasked, local: boolean): boolean {
    return local && (merit === '' || this.#ports.trustsLocal)
  }

  /**
   * Log in to PostgreSQL with `password`, or without one, by `open`, and remember under `key` what that has proven. The
   * connection is the caller's.
   * @throws LoginError as prove
   */
  async login(
    key: string,
    password: string | undefined,
    candidate: Candidate,
    open: (credentials: Credentials) => Promise<OpenedServer>,
  ): Promise<{ opened: OpenedServer; proof: Proof }> {
    const { neighbourhood, signal } = candidate
    const leave = this.#isProven(key, password) ? undefined : await this.#unproven.enter(neighbourhood, signal)
    try {
      const credentials: Credentials = password === undefined ? { kind: 'none' } : { kind: 'password', password }
      const opened = await this.#patiently(() => open(credentials), signal)
      return { opened, proof: await this.#remember(key, password, opened) }
    } catch (error) {
      // Refused now, and it is the one we had: whoever is in stays in, but nobody gets in with it any more.
      const refused = error instanceof LoginError && error.fromServer && error.sqlstate.startsWith('28')
      if (refused && password !== undefined && this.#memory.passwordFor(key) === password) this.#memory.forget(key)
      throw error
    } finally {
      leave?.()
    }
  }

  /** PostgreSQL has accepted this password before. */
  #isProven(key: string, password: string | undefined): boolean {
    if (password === undefined) return false
    const verdict = this.#memory.check(key, password)
    return verdict === 'fresh' || verdict === 'stale'
  }

  async #remember(key: string, password: string | undefined, opened: OpenedServer): Promise<Proof> {
    if (opened.askedForPassword && password !== undefined) {
      const before = this.#memory.passwordFor(key)
      this.#memory.remember(key, password)
      // It was changed, perhaps with all else of the role.
      if (before !== undefined && before !== password) this.#ports.passwordChanged(key)
      return 'accepted'
    }
    const merit = await ownMerit(opened.way)
    this.#memory.markNoPassword(key, merit)
    return { merit }
  }

  async #patiently(open: () => Promise<OpenedServer>, signal: AbortSignal): Promise<OpenedServer> {
    const patience = now() + PATIENCE_MS
    for (;;) {
      try {
        return await open()
      } catch (error) {
        if (!(error instanceof LoginError && isStartingUp(error)) || now() > patience || signal.aborted) throw error
        await delay(STARTING_UP_RETRY_MS)
      }
    }
  }

  #keep(pool: Pool, opened: OpenedServer, wanted: boolean): void {
    const { hasRoom } = pool
    const server = this.#ports.keep(pool, opened)
    if (!wanted) server.close('opened for a client that is not let in')
    else if (hasRoom) pool.adopt(server)
    else server.close('proved a password; the pool is full')
  }
}

/**
 * The key under which the passwords of a login are remembered: they hold where PostgreSQL has judged them, and nowhere else.
 * @param replicates by a physical walsender, which pg_hba.conf knows by no database
 */
export function passthroughKey({ target, user }: Pick<LoginTo, 'target' | 'user'>, replicates = false): string {
  return `${replicates ? placeOf({ ...target, database: '' }) : target.place}\0${user}`
}
