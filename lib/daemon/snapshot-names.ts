/** Reads the databases and users of a Snapshot: those of the configuration, and others that somebody uses. */

import type { Config } from '../config/options.ts'
import { ANY_DATABASE, databaseValues, scopedValue } from '../config/options.ts'
import { connectionsOf, type DatabaseSnapshot, type Snapshot, type UserSnapshot } from '../observe/snapshot.ts'
import { OTHER_DATABASES } from '../pool/counters.ts'
import type { Routes } from '../routing/routes.ts'

/** What is known of databases and users. */
export interface NameParts {
  config: Config
  routes: Routes
  /** Users of `auth_file`. */
  users: Iterable<string>
  /** Databases whose clients are held, and those that take no new ones. */
  control: {
    isPaused(database: string): boolean
    isDisabled(database: string): boolean
    /** Those of them that were named one by one. */
    named(): Iterable<string>
  }
}

type Used = Pick<Snapshot, 'pools' | 'clients' | 'forgottenByDatabase'>

/** Databases by name. */
export function snapshotDatabases(used: Used, { config, routes, control }: NameParts): DatabaseSnapshot[] {
  const names = new Set([...config.databases.keys()].filter((name) => name !== ANY_DATABASE))
  for (const { database, counters } of used.pools) {
    if (counters.logins > 0 || counters.opened > 0) names.add(database)
  }
  for (const { database } of used.forgottenByDatabase) {
    if (database !== OTHER_DATABASES && routes.serves(database)) names.add(database)
  }
  for (const database of control.named()) names.add(database)
  const clients = countBy(used.clients, ({ database, state }) => (state === 'login' ? '' : database))
  const connections = new Map<string, number>()
  for (const pool of used.pools) add(connections, pool.database, connectionsOf(pool))
  return [...names].sort(byBytes).map((name) => {
    const { written, database: dbname, user, balance, hosts } = routes.target(name)
    const values = databaseValues(config, name)
    const settings = routes.settings(name, user?.name ?? '')
    return {
      name,
      host: written.map(({ host }) => host).join(','),
      port: written[0]?.port ?? config.serverPort,
      dbname,
      forceUser: user?.name ?? '',
      poolSize: settings.size,
      minPoolSize: settings.minSize,
      reservePoolSize: settings.reserveSize,
      serverLifetime: settings.lifetimeMs,
      poolMode: settings.mode,
      ownPoolMode: values?.poolMode !== undefined,
      balance: hosts.length > 1 ? balance : '',
      maxConnections: scopedValue(config, 'maxDbConnections', name, ''),
      maxClients: scopedValue(config, 'maxDbClientConnections', name, ''),
      connections: connections.get(name) ?? 0,
      clients: clients.get(name) ?? 0,
      paused: control.isPaused(name),
      disabled: control.isDisabled(name),
    }
  })
}

/** Users by name. */
export function snapshotUsers(used: Used, { config, users }: NameParts): UserSnapshot[] {
  const names = new Set([...config.users.keys(), ...users])
  for (const { user, counters } of used.pools) if (counters.logins > 0 || counters.opened > 0) names.add(user)
  const clients = countBy(used.clients, ({ user, state }) => (state === 'login' ? '' : user))
  for (const name of clients.keys()) names.add(name)
  names.delete('')
  const connections = new Map<string, number>()
  for (const pool of used.pools) add(connections, pool.user, connectionsOf(pool))
  return [...names].sort(byBytes).map((name) => {
    const values = config.users.get(name)
    return {
      name,
      poolSize: values?.poolSize ?? null,
      reservePoolSize: values?.reservePoolSize ?? null,
      poolMode: values?.poolMode ?? null,
      maxConnections: scopedValue(config, 'maxUserConnections', ANY_DATABASE, name),
      maxClients: scopedValue(config, 'maxUserClientConnections', ANY_DATABASE, name),
      connections: connections.get(name) ?? 0,
      clients: clients.get(name) ?? 0,
    }
  })
}

function countBy<T>(items: readonly T[], key: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) add(counts, key(item), 1)
  return counts
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}

/** As PgBouncer sorts names. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
