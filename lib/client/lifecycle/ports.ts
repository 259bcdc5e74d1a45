/** What a client's session needs from the process it lives in. */

import type { Credentials } from '../../auth/credentials.ts'
import type { PassthroughMemory } from '../../auth/passthrough.ts'
import type { ScramKeyCache } from '../../auth/scram-keys.ts'
import type { UnknownUser } from '../../auth/unknown-user.ts'
import type { Config } from '../../config/options.ts'
import type { Secret } from '../../config/userlist.ts'
import type { ErrorName } from '../../errors.ts'
import type { Lease } from '../../pool/lease.ts'
import type { Pool } from '../../pool/pool.ts'
import type { QueryStats } from '../../pool/query-stats.ts'
import type { LoginTo } from '../../pool/target.ts'
import type { GuessDelay } from '../../routing/guess-delay.ts'
import type { PasswordProver } from '../../routing/password-proof.ts'
import type { ReadRoute } from '../../routing/read-route.ts'
import type { ClientCounts, ClientLimits } from '../../routing/routes.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { OpenedServer, ReplicationStartup } from '../../server/open.ts'
import type { Consumer } from '../../server/ports.ts'
import type { StatementStores } from '../../statements/statement-stores.ts'
import type { Logger } from '../../util/logger.ts'
import type { ClientInfo } from './client-info.ts'
import type { ConsoleBackend } from './console-backend.ts'
import type { EndCounts } from './ending.ts'
import type { SpanSink } from './span-sink.ts'

/** A client as the process knows it. */
export interface RegisteredClient {
  readonly info: ClientInfo
  /** End its session with an error of the catalogue. */
  endWith(name: ErrorName): void
  /** Somebody presented its cancel key. Resolves when nothing it sends from then on can be hit. */
  cancel(): Promise<void>
}

/** Knows all clients of the process. */
export interface Registry {
  /**
   * Count a client that wants to log in. Returns the reason where it may not; one that tarries may make way for it. Those of
   * the console (`toConsole`) get in when `max_client_conn` is reached, too.
   */
  admit(client: RegisteredClient, toConsole: boolean): ErrorName | undefined
  /** What the login of `client` waits for next is the client, or the end of a pause behind its wrong passwords. */
  tarries(client: RegisteredClient): void
  /** It goes on. */
  goesOn(client: RegisteredClient): void
  /**
   * Count a client that has proven who it is among those of its database and user. Returns the reason where there are too
   * many.
   */
  enter(client: RegisteredClient, database: string, limits: ClientCounts): ErrorName | undefined
  /** A cancel key nobody else has; `secretLength` is 4 in protocol 3.0. */
  createKey(client: RegisteredClient, secretLength: number): { pid: number; secret: Buffer }
  /**
   * Deliver a cancel request; resolves when it is done. One with a key that is not ours is passed on to whoever may know it.
   * @param hops how often it was passed on
   */
  cancel(pid: number, secret: Buffer, hops?: number): Promise<void>
  /** The session is over. */
  remove(client: RegisteredClient): void
}

/** Everything a session uses. */
export interface ClientPorts {
  /** The configuration in force; replaced by a reload. */
  readonly config: Config
  readonly log: Logger
  readonly registry: Registry
  /** How sessions have ended. */
  readonly ends: EndCounts
  /** Secrets of `auth_file`; undefined without one. */
  readonly secrets: ReadonlyMap<string, Secret> | undefined
  /** What is shown for users that are not among them. */
  readonly unknownUser: UnknownUser
  readonly keyCache: ScramKeyCache
  readonly passthrough: PassthroughMemory
  readonly prover: PasswordProver
  readonly guesses: GuessDelay
  readonly console: ConsoleBackend
  /** Statistics of statements. */
  readonly queryStats: QueryStats
  /** Told of statements with a `traceparent`; undefined where no spans are sent. */
  readonly spans: SpanSink | undefined
  /** The prepared statements that clients share. */
  readonly statements: StatementStores
  /** The pool for clients of a database and user, made on first need; undefined where there is no such database. */
  pool(database: string, user: string): Pool | undefined
  /** An operator lets in no new clients of `database`. */
  isDisabled(database: string): boolean
  /**
   * Resolves when a client of `database` may log in, for which PostgreSQL must be asked something if it `asks`; undefined
   * where it may now.
   */
  whenServed(database: string, asks: boolean): Promise<void> | undefined
  /** Whether nobody but the account that runs pgbun (and root) can connect to the unix socket. */
  onlyOwnerConnects(): boolean
  /** The pool of a database by which `user` can be proven, where PostgreSQL is to judge passwords. */
  poolToProve(user: string): Pool | undefined
  /** Where reads of the clients of `pool` may go; undefined where `route_reads` is off. */
  readsOf(pool: Pool): ReadRoute | undefined
  /** What a client of `database` is held to that calls itself `user`. */
  clientLimits(database: string, user: string): ClientLimits
  /** How many of them there may be. */
  clientCounts(database: string, user: string): ClientCounts
  /** Open a replication connection for one client. Rejects with a LoginError. */
  openDedicated(login: LoginTo, credentials: Credentials, startup: ReplicationStartup): Promise<OpenedServer>
  /** Lend what was opened for one client to it. */
  dedicate(pool: Pool, opened: OpenedServer, consumer: Consumer): Lease
  /** Close the connections to `database` of the servers of `pool` that nobody uses, and open none for a moment. */
  clearDatabase(pool: Pool, database: string): void
  /** Ask PostgreSQL to cancel what runs on `server`; resolves when it has, or could not be asked. */
  cancelServer(server: ServerConnection): Promise<void>
}
