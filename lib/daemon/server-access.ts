/** How this process reaches PostgreSQL: opens connections for pools, and delivers cancel requests. */

import type { Credentials } from '../auth/credentials.ts'
import type { PassthroughMemory } from '../auth/passthrough.ts'
import type { ScramKeyCache } from '../auth/scram-keys.ts'
import type { HostAddress } from '../config/hosts.ts'
import type { Config } from '../config/options.ts'
import { type DialOptions, sendAndWaitClose } from '../net/dial.ts'
import { probe } from '../net/probe.ts'
import type { Resolver } from '../net/resolve.ts'
import type { Wire } from '../net/wire.ts'
import { isHostFault } from '../pool/opening.ts'
import type { OpeningPool } from '../pool/ports.ts'
import type { ServerLimits, Slot } from '../pool/server-limits.ts'
import { LEADS_ELSEWHERE, type LoginTo, loginTo, type Target } from '../pool/target.ts'
import { writeCancelRequest } from '../protocol/startup.ts'
import type { HostBook } from '../routing/host-book.ts'
import { passthroughKey } from '../routing/password-proof.ts'
import { ServerConnection } from '../server/connection.ts'
import { LoginError } from '../server/login.ts'
import { type OpenedServer, type OpenOptions, openServer, type ReplicationStartup } from '../server/open.ts'
import type { ServerOwner } from '../server/ports.ts'
import type { StatementStores } from '../statements/statement-stores.ts'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import type { ServerPasswords } from './server-passwords.ts'
import type { ServerTlsStores } from './server-tls.ts'

/** What it works with. */
export interface ServerAccessParts {
  config: () => Config
  tls: ServerTlsStores
  passwords: ServerPasswords
  keyCache: ScramKeyCache
  passthrough: PassthroughMemory
  /** PostgreSQL refuses the pool's user, or its password, which it took before. */
  loginRefused: (pool: OpeningPool) => void
  statements: StatementStores
  limits: ServerLimits
  hosts: HostBook
  resolver: Resolver
  log: Logger
}

/** So long one of several hosts has for a login, in ms. */
const HOST_TIMEOUT_MS = 3000

/** The way to PostgreSQL. */
export class ServerAccess {
  readonly #parts: ServerAccessParts
  /** Where each connection leads: a cancel request goes there in the same way. */
  readonly #targets = new WeakMap<Wire, Target>()
  /** Cancel requests under way, and how much their server had answered when they were sent. */
  readonly #cancels = new Map<ServerConnection, { answered: number; over: Promise<void> }>()
  /** What is under way: connections being opened, and cancel requests. */
  readonly #attempts = new Set<AbortController>()
  #closed = false

  constructor(parts: ServerAccessParts) {
    this.#parts = parts
  }

  /** One more connection of `pool` in `slot`, with its credentials. Rejects with a LoginError. */
  async open(pool: OpeningPool, slot: Slot): Promise<ServerConnection> {
    const { config, passthrough } = this.#parts
    const { credentials } = pool
    const login = loginTo(pool)
    if (login.target.user !== undefined) return this.keep(pool, await this.#openAsOneUser(slot, login))
    const key = passthroughKey(login)
    const passing = config().authType === 'passthrough'
    try {
      const opened = await this.#openIn(slot, login, async () => credentials)
      // A password was asked for when the client came in: whoever comes next finds out what it is that counts now.
      if (passing && !opened.askedForPassword && passthrough.asksPassword(key) !== false) passthrough.forget(key)
      return this.keep(pool, opened)
    } catch (error) {
      // The password we had is no longer the right one: whoever comes next has to prove another.
      const refused = error instanceof LoginError && error.sqlstate.startsWith('28')
      if (passing && refused) {
        passthrough.forget(key)
        this.#parts.loginRefused(pool)
      }
      if (!passing && refused && error.fromServer && error.askedForPassword) error.remedy ??= this.#wrongSecret(pool)
      throw error
    }
  }

  /** As the user for all clients of the target. A password that has become old is asked for once more. */
  async #openAsOneUser(slot: Slot, login: LoginTo): Promise<OpenedServer> {
    const { passwords, config } = this.#parts
    const user = login.target.user!
    const credentials = (): Promise<Credentials> => passwords.credentials(user, config().serverConnectTimeout)
    slot.hold()
    try {
      return await this.#openIn(slot, login, credentials)
    } catch (error) {
      if (!(error instanceof LoginError && error.fromServer && error.sqlstate.startsWith('28'))) throw error
      if (passwords.refused(user)) {
        slot.hold()
        return await this.#openIn(slot, login, credentials)
      }
      error.remedy ??= `correct the password of user "${user.name}" in [databases], or in PostgreSQL (ALTER ROLE)`
      throw error
    } finally {
      slot.release()
    }
  }

  /** What to do where PostgreSQL has refused what pgbun logged in with of its own. */
  #wrongSecret({ user }: OpeningPool): string {
    const { authFile } = this.#parts.config()
    if (authFile === '') return 'pgbun has no password for the user: set auth_file, or auth_type to passthrough'
    return (
      `the secret of "${user}" in auth_file ${authFile} is not the one PostgreSQL has: correct it and send pgbun SIGHUP, ` +
      'or give PostgreSQL the same (ALTER ROLE)'
    )
  }

  /** A connection like those of a pool with other credentials, not yet part of the pool. Rejects with a LoginError. */
  openWith(login: LoginTo, credentials: Credentials, proven: boolean): Promise<OpenedServer> {
    const { serverConnectTimeout } = this.#parts.config()
    const { limits, hosts } = this.#parts
    const { database, user, target } = login
    const seeker = {
      database,
      user,
      get hosts() {
        return hosts.candidates(target, now())
      },
    }
    return this.#onSomeHost(target, async () => {
      const slot = await this.#attempt((signal) => limits.enter(seeker, proven, serverConnectTimeout, signal))
      const opened = await this.#openIn(slot, login, async () => credentials)
      limits.proven(slot)
      return opened
    })
  }

  /**
   * A connection to `host`, which must be one of the login's target, for `owner` alone, who asks how the host is: what comes
   * of it decides nothing here. Rejects with a LoginError.
   */
  async openOn(
    host: HostAddress,
    login: LoginTo,
    credentials: Credentials,
    owner: ServerOwner<ServerConnection>,
  ): Promise<ServerConnection> {
    const { serverConnectTimeout } = this.#parts.config()
    const { limits, passwords } = this.#parts
    const { database, user, target } = login
    const seeker = { database, user, hosts: [host] }
    const slot = await this.#attempt((signal) => limits.enter(seeker, true, serverConnectTimeout, signal))
    const own = target.user
    const find = async (): Promise<Credentials> =>
      own === undefined ? credentials : await passwords.credentials(own, serverConnectTimeout)
    const opened = await this.#openIn(slot, login, find, true)
    return this.keepFor(owner, database, opened)
  }

  /** What `open` gives, which is tried again where its host has failed, and `target` has another. */
  async #onSomeHost(target: Target, open: () => Promise<OpenedServer>): Promise<OpenedServer> {
    const { hosts } = this.#parts
    for (let left = target.hosts.length; ; left--) {
      try {
        return await open()
      } catch (error) {
        if (left <= 1 || !isHostFault(error) || hosts.fitting(target, now()).length === 0) throw error
      }
    }
  }

  /** A replication connection of one client, which takes no slot. Rejects with a LoginError. */
  async openReplication(
    login: LoginTo,
    credentials: Credentials,
    { mode, parameters }: ReplicationStartup,
  ): Promise<OpenedServer> {
    const { target } = login
    const { user, database } = target
    const { passwords, config, hosts } = this.#parts
    const own = user === undefined ? credentials : await passwords.credentials(user, config().serverConnectTimeout)
    const there = parameters.map(([name, value]) => [name, name === 'database' ? database : value] as const)
    const replication = { mode, parameters: there }
    return await this.#onSomeHost(target, () => {
      return this.#openServer(login, hosts.candidates(target, now())[0]!, own, { replication })
    })
  }

  /** Open a connection in `slot`, which is given back when it is closed, or comes to nothing. */
  async #openIn(
    slot: Slot,
    login: LoginTo,
    credentials: () => Promise<Credentials>,
    asks = false,
  ): Promise<OpenedServer> {
    try {
      const onWire = (wire: Wire): void => this.#parts.limits.bind(slot, wire)
      return await this.#openServer(login, slot.host, await credentials(), { onWire }, asks)
    } finally {
      slot.release()
    }
  }

  async #openServer(
    { user, target }: LoginTo,
    host: HostAddress,
    credentials: Credentials,
    more: Pick<OpenOptions, 'onWire' | 'replication'>,
    asks = false,
  ): Promise<OpenedServer> {
    const { keyCache, hosts } = this.#parts
    const config = this.#parts.config()
    const state = hosts.of(host)
    const began = now()
    // With others in its place, a host that does not answer is not waited for for long.
    const several = target.hosts.length > 1
    const timeoutMs = several ? Math.min(HOST_TIMEOUT_MS, config.serverConnectTimeout) : config.serverConnectTimeout
    if (!asks) hosts.took(target, state, began)
    try {
      const opened = await this.#attempt((signal) =>
        openServer({
          ...more,
          target: host,
          dial: this.#dialOptions(target, timeoutMs, signal),
          user,
          database: target.database,
          parameters: target.parameters,
          credentials,
          keyCache,
          allowCleartext: config.allowCleartextPassword,
          maxPacketSize: config.maxPacketSize,
        }),
      )
      if (!asks) state.answered(now(), now() - began)
      this.#targets.set(opened.wire, target)
      return opened
    } catch (error) {
      if (asks) throw error
      if (isHostFault(error)) state.failed(now(), error.message, config.serverLoginRetry)
      else if (error instanceof LoginError && error.fromServer) state.answered(now(), now() - began)
      throw error
    }
  }

  /** Ask `host` for a sign of life. Rejects with a DialError. */
  probe(host: HostAddress, timeoutMs: number): Promise<void> {
    return this.#attempt((signal) => probe(host, { timeoutMs, signal, resolver: this.#parts.resolver }))
  }

  /** Give up what is under way, and all that comes: nobody waits for it any more. */
  close(): void {
    this.#closed = true
    for (const attempt of this.#attempts) attempt.abort()
  }

  async #attempt<T>(begin: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const attempt = new AbortController()
    if (this.#closed) attempt.abort()
    this.#attempts.add(attempt)
    try {
      return await begin(attempt.signal)
    } finally {
      this.#attempts.delete(attempt)
    }
  }

  /**
   * Make a server connection of `pool` of what was opened for it. If the pool leads elsewhere by now, it is not to be used.
   * @throws LoginError where it has ended by now: nobody would ever hear of that
   */
  keep(pool: OpeningPool, opened: OpenedServer): ServerConnection {
    const server = this.keepFor(pool, pool.database, opened)
    if (this.#targets.get(opened.wire)?.signature !== pool.target.signature) server.retire(LEADS_ELSEWHERE)
    return server
  }

  /** The same for an `owner` that has asked for this very connection to `database`, as clients call it. */
  keepFor(owner: ServerOwner<ServerConnection>, database: string, { wire, identity }: OpenedServer): ServerConnection {
    if (wire.ended) throw new LoginError('server closed the connection after login', { sqlstate: '08006' })
    return new ServerConnection(wire, identity, owner, this.#parts.statements.of(database), this.#parts.log)
  }

  /** Ask PostgreSQL to cancel what runs on `server`. Never rejects; the server is not reused before it is over. */
  cancel(server: ServerConnection): Promise<void> {
    const { answered } = server
    const running = this.#cancels.get(server)
    if (running === undefined) {
      const over = this.#sendCancel(server).finally(() => this.#cancels.delete(server))
      this.#cancels.set(server, { answered, over })
      return over
    }
    // More of them for the same query say nothing new.
    if (running.answered === answered) return running.over
    // That one is for what ran before, and may have come too early for this.
    return running.over.then(() => (server.answered === answered ? this.cancel(server) : undefined))
  }

  async #sendCancel(server: ServerConnection): Promise<void> {
    const { pid, secret, target } = server.identity
    if (pid === 0) return
    server.cancelBegan()
    try {
      const packet = writeCancelRequest(pid, secret)
      const timeoutMs = this.#parts.config().cancelWaitTimeout || 10_000
      const options = (signal: AbortSignal): DialOptions =>
        this.#dialOptions(this.#targets.get(server.wire)!, timeoutMs, signal)
      await this.#attempt((signal) => sendAndWaitClose(target, options(signal), packet))
    } catch (error) {
      // Whether it arrived is not known: it may still hit whatever runs there later.
      server.retire('a cancel request was not acknowledged')
      const what =
        'cancel request not acknowledged by PostgreSQL: the query may go on, its server connection is not used again'
      this.#parts.log.warn(what, { ...server.about(), reason: (error as Error).message })
    } finally {
      server.cancelEnded()
    }
  }

  #dialOptions(target: Target, timeoutMs: number, signal: AbortSignal): DialOptions {
    const { tcpKeepalive, tcpKeepidle } = this.#parts.config()
    return {
      timeoutMs,
      signal,
      keepAlive: tcpKeepalive,
      keepIdleMs: tcpKeepidle,
      resolver: this.#parts.resolver,
      tls: this.#parts.tls.of(target),
    }
  }
}
