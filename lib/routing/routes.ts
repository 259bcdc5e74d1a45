/**
 * What the configuration says of databases and users: which databases there are, where they lead, and what counts for
 * the pools and clients of each. One object for each configuration; a reload makes another. Plain data in, plain data out.
 */

import { DATABASE_ROWS } from '../config/database-options.ts'
import { parseWeights } from '../config/hosts.ts'
import {
  ANY_DATABASE,
  type Config,
  type DatabaseValues,
  databaseValues,
  hostsOf,
  scopedValue,
} from '../config/options.ts'
import { lookupSrv } from '../net/resolve-srv.ts'
import type { Limits } from '../pool/server-limits.ts'
import { type PoolSettings, poolSettings, serverLimits } from '../pool/settings.ts'
import { type PasswordSource, placeOf, type ServerUser, type Target } from '../pool/target.ts'
import { SrvNames } from './srv-names.ts'

/** What a client is held to: timeouts in milliseconds, 0 for none. */
export type ClientLimits = Pick<
  Config,
  'queryTimeout' | 'transactionTimeout' | 'idleTransactionTimeout' | 'clientIdleTimeout' | 'logMinDuration'
>

/** How many clients there may be of a database and of a user; 0 is no limit. */
export interface ClientCounts {
  readonly database: number
  readonly user: number
}

/** Databases and users of one configuration. */
export class Routes {
  readonly #config: Config
  readonly #names: SrvNames
  /** What differs from the general limits, by section of database and of user. */
  readonly #clientLimits = new Map<string, ClientLimits>()

  /** @param names what SRV names in `config` stand for; default: for themselves */
  constructor(config: Config, names = new SrvNames(lookupSrv)) {
    this.#config = config
    this.#names = names
  }

  /** Whether there is such a database, as far as the configuration says. */
  serves(database: string): boolean {
    return this.#config.databases.size === 0 || databaseValues(this.#config, database) !== undefined
  }

  /** A database in which PostgreSQL can be asked for the password of any user; undefined where there is none. */
  databaseToProve(): string | undefined {
    if (this.serves(MAINTENANCE) && !this.hasOneUser(MAINTENANCE)) return MAINTENANCE
    return [...this.#config.databases.keys()].find((name) => name !== ANY_DATABASE && !this.hasOneUser(name))
  }

  /** Whether all clients of `database` are logged in as one user. */
  hasOneUser(database: string): boolean {
    return Boolean(databaseValues(this.#config, database)?.user)
  }

  /** Databases whose clients are all logged in as one user, by their names. */
  *withOneUser(): Generator<string> {
    for (const [database, values] of this.#config.databases) {
      if (database !== ANY_DATABASE && values.user) yield database
    }
  }

  /** Where `database` is. */
  target(database: string): Target {
    const config = this.#config
    const values = databaseValues(config, database) ?? NO_VALUES
    const written = hostsOf(config, values)
    const weights = parseWeights(values.loadBalanceWeights ?? config.loadBalanceWeights)
    const listed = this.#names.expand(written, weights)
    const user = userOf(values)
    const parameters = PARAMETERS.flatMap(([key, name]) => (values[key] ? [[name, values[key]] as const] : []))
    const dbname = values.dbname || database
    const tls = tlsSection(config, database)
    const place = placeOf({ written, database: dbname })
    const balance = values.loadBalanceHosts ?? config.loadBalanceHosts
    const asked = values.targetSessionAttrs ?? config.targetSessionAttrs
    const routes = (values.routeReads ?? config.routeReads) === 'replicas'
    const attrs = routes && asked === 'any' ? 'primary' : asked
    const signature = JSON.stringify([
      place,
      attrs,
      user?.name,
      parameters,
      tlsValues({ ...config, ...(values as Partial<Config>) }),
    ])
    return {
      hosts: listed.map(({ address }) => address),
      written,
      balance,
      weights: listed.map(({ weight }) => weight),
      priorities: listed.map(({ priority }) => priority),
      attrs,
      database: dbname,
      user,
      reads: false,
      parameters,
      tls,
      place,
      signature,
    }
  }

  /** What the pool of `database` and `user` is held to; `user` is the one that pgbun logs in as. */
  settings(database: string, user: string): PoolSettings {
    return poolSettings(this.#config, database, user)
  }

  /** How many connections to servers there may be. */
  serverLimits(database: string, user: string): Limits {
    return serverLimits(this.#config, database, user)
  }

  /** How many clients there may be. */
  clientCounts(database: string, user: string): ClientCounts {
    const config = this.#config
    return {
      database: scopedValue(config, 'maxDbClientConnections', database, user),
      user: scopedValue(config, 'maxUserClientConnections', database, user),
    }
  }

  /** What the client that calls itself `user` is held to in `database`. */
  clientLimits(database: string, user: string): ClientLimits {
    const config = this.#config
    const { databases, users } = config
    if (databases.size === 0 && users.size === 0) return config
    // Names made up by strangers have no section, and take no place here.
    const key = `${databases.has(database) ? `=${database}` : '*'}\0${users.has(user) ? `=${user}` : ''}`
    let limits = this.#clientLimits.get(key)
    if (limits === undefined) {
      limits = {
        queryTimeout: scopedValue(config, 'queryTimeout', database, user),
        transactionTimeout: scopedValue(config, 'transactionTimeout', database, user),
        idleTransactionTimeout: scopedValue(config, 'idleTransactionTimeout', database, user),
        clientIdleTimeout: scopedValue(config, 'clientIdleTimeout', database, user),
        logMinDuration: scopedValue(config, 'logMinDuration', database, user),
      }
      this.#clientLimits.set(key, limits)
    }
    return limits
  }
}

/** Every PostgreSQL has it, for those who look after the server. */
const MAINTENANCE = 'postgres'

const NO_VALUES: DatabaseValues = {}

/** Startup parameters by the key of their setting, in the names of PostgreSQL. */
const PARAMETERS = [
  ['applicationName', 'application_name'],
  ['clientEncoding', 'client_encoding'],
  ['datestyle', 'DateStyle'],
  ['timezone', 'TimeZone'],
] as const

function userOf(values: DatabaseValues | undefined): ServerUser | undefined {
  return values?.user ? { name: values.user, password: passwordOf(values) } : undefined
}

function passwordOf({ password, passwordFile, passwordCommand, passwordLifetime }: DatabaseValues): PasswordSource {
  const lifetimeMs = passwordLifetime ?? DATABASE_ROWS.password_lifetime.default
  if (typeof password === 'function') return { kind: 'function', ask: password, lifetimeMs }
  if (password !== undefined) return { kind: 'text', password }
  if (passwordFile) return { kind: 'file', path: passwordFile }
  return passwordCommand ? { kind: 'command', command: passwordCommand, lifetimeMs } : { kind: 'auth_file' }
}

/** The section of `[databases]` that has `server_tls_*` of its own for `database`. */
function tlsSection(config: Config, database: string): string | undefined {
  const values = databaseValues(config, database)
  if (values === undefined || !hasOwnTls(values)) return undefined
  return config.databases.has(database) ? database : ANY_DATABASE
}

/** How TLS is done with servers: what was opened in another way is not used again (PgBouncer). Files count by their names. */
function tlsValues(effective: Config): unknown[] {
  return Object.entries(effective).filter(([key]) => key.startsWith('serverTls'))
}

/** Whether a database has a way of its own to do TLS with its servers. */
export function hasOwnTls(values: DatabaseValues): boolean {
  return Object.keys(values).some((key) => key.startsWith('serverTls'))
}
