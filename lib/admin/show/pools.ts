/** SHOW POOLS, DATABASES, USERS, LISTS, PEERS and PEER_POOLS: what there is, and how much of it. */

import type { Cell } from '../../client/lifecycle/console-backend.ts'
import { CONSOLE_NAMES } from '../../config/console-names.ts'
import type { PoolSnapshot } from '../../observe/snapshot.ts'
import { columns, microsBehind, seconds, type Topic } from '../view.ts'
import { clientState } from './sockets.ts'

/** The console is a database like others in PgBouncer's lists. */
const CONSOLE = CONSOLE_NAMES[0]
const CONSOLE_POOL_SIZE = 2

const POOL_COLUMNS =
  'database:s user:s cl_active:i cl_waiting:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active:i ' +
  'sv_active_cancel:i sv_being_canceled:i sv_idle:i sv_used:i sv_tested:i sv_login:i maxwait:i maxwait_us:i ' +
  'pool_mode:s load_balance_hosts:s'

function poolRow(pool: PoolSnapshot): Cell[] {
  const { clientStates: clients, servers } = pool
  return [
    pool.database,
    pool.user,
    // A pool of standbys serves clients that are counted in the pool of their database.
    clients.active + clients.idle,
    pool.waiting + clients.login,
    pool.cancels,
    0,
    servers.active,
    pool.cancels,
    servers.draining + servers.beingCanceled,
    servers.idle,
    0,
    servers.busy,
    pool.opening,
    seconds(pool.maxWait),
    microsBehind(pool.maxWait),
    pool.mode,
    pool.balance || null,
    pool.reads ? 'standbys' : 'all',
    pool.pinned,
    pool.replication,
    pool.size,
  ]
}

export const POOLS: Topic = {
  name: 'pools',
  help: 'pools: one for each database and user',
  columns: columns(`${POOL_COLUMNS} serves:s cl_pinned:i cl_replication:i pool_size:i`),
  plain: columns(POOL_COLUMNS).length,
  rows: ({ snapshot }) => {
    const atConsole = snapshot.clients.filter(({ state }) => state === 'console').length
    const console = [CONSOLE, CONSOLE, atConsole, ...Array(12).fill(0), 'statement', null, 'console', 0, 0, 0]
    const rows = [...snapshot.pools.map(poolRow), console]
    return rows.sort((a, b) => compare(a[0], b[0]) || compare(a[1], b[1]) || compare(a[17], b[17]))
  },
}

function compare(a: Cell | undefined, b: Cell | undefined): number {
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0
}

const DATABASE_COLUMNS =
  'name:s host:s port:i database:s force_user:s pool_size:i min_pool_size:i reserve_pool_size:i server_lifetime:i ' +
  'pool_mode:s load_balance_hosts:s max_connections:i current_connections:i max_client_connections:i ' +
  'current_client_connections:i paused:i disabled:i'

export const DATABASES: Topic = {
  name: 'databases',
  help: 'databases of the configuration, and others that are in use',
  columns: columns(DATABASE_COLUMNS),
  plain: columns(DATABASE_COLUMNS).length,
  rows: ({ snapshot, port }) => {
    const rows = snapshot.databases.map((database): Cell[] => [
      database.name,
      isSocket(database.host) ? null : database.host,
      database.port,
      database.dbname,
      database.forceUser || null,
      database.poolSize,
      database.minPoolSize,
      database.reservePoolSize,
      seconds(database.serverLifetime),
      database.ownPoolMode ? database.poolMode : null,
      database.balance || null,
      database.maxConnections,
      database.connections,
      database.maxClients,
      database.clients,
      Number(database.paused),
      Number(database.disabled),
    ])
    rows.push([CONSOLE, null, port, CONSOLE, CONSOLE, CONSOLE_POOL_SIZE, 0, 0, 0, 'statement', null, 0, 0, 0, 0, 0, 0])
    rows.at(-1)![14] = snapshot.clients.filter(({ state }) => state === 'console').length
    return rows.sort((a, b) => compare(a[0], b[0]))
  },
}

function isSocket(host: string): boolean {
  return host.startsWith('/') || host.startsWith('@')
}

export const USERS: Topic = {
  name: 'users',
  help: 'users of the configuration, and others that are in use',
  columns: columns(
    'name:s pool_size:s reserve_pool_size:s pool_mode:s max_user_connections:i current_connections:i ' +
      'max_user_client_connections:i current_client_connections:i',
  ),
  plain: 8,
  rows: ({ snapshot }) =>
    snapshot.users.map((user) => [
      user.name,
      sizeText(user.poolSize),
      sizeText(user.reservePoolSize),
      user.poolMode,
      user.maxConnections,
      user.connections,
      user.maxClients,
      user.clients,
    ]),
}

/** PgBouncer fills them up with spaces. */
function sizeText(size: number | null): string {
  return size === null ? '' : String(size).padStart(9)
}

export const LISTS: Topic = {
  name: 'lists',
  help: 'how much there is of everything',
  columns: columns('list:s items:i'),
  plain: 2,
  rows: ({ snapshot }) => {
    const logins = snapshot.clients.filter((client) => clientState(client) === 'login').length
    const used = snapshot.servers.filter(({ state }) => state !== 'idle').length
    return [
      ['databases', snapshot.databases.length + 1],
      ['users', snapshot.users.length],
      ['peers', snapshot.peers.length],
      ['pools', snapshot.pools.length + 1],
      ['peer_pools', snapshot.peers.length],
      ['free_clients', 0],
      ['used_clients', snapshot.clients.length - logins],
      ['login_clients', logins],
      ['free_servers', snapshot.servers.length - used],
      ['used_servers', used],
      ['dns_names', snapshot.dns.length],
      ['dns_zones', 0],
      ['dns_queries', 0],
      ['dns_pending', 0],
    ]
  },
}

export const DNS_HOSTS: Topic = {
  name: 'dns_hosts',
  help: 'names of servers with their addresses',
  columns: columns('hostname:s ttl:q addrs:s'),
  plain: 3,
  rows: ({ snapshot }) =>
    snapshot.dns.map(({ name, ttl, addresses }) => [name, Math.ceil(ttl / 1000), addresses.join(',')]),
}

export const DNS_ZONES: Topic = {
  name: 'dns_zones',
  help: 'zones of the name service; pgbun watches none (dns_max_ttl bounds the age of addresses)',
  columns: columns('zonename:s serial:q count:i'),
  plain: 3,
  rows: () => [],
}

export const HOSTS: Topic = {
  name: 'hosts',
  help: 'hosts of PostgreSQL: role, health, latency, lag',
  columns: columns(
    'host:s port:i state:s role:s connections:i answered:q latency_us:q lag_us:q last_error:s last_error_us:q',
  ),
  plain: 10,
  rows: ({ snapshot }) =>
    snapshot.hosts.map((host) => [
      host.host,
      host.port,
      host.up ? 'up' : 'down',
      host.role,
      host.connections,
      host.answered,
      host.latency * 1000,
      host.lag === null || !Number.isFinite(host.lag) ? null : host.lag * 1000,
      host.lastError || null,
      host.lastError === '' ? null : host.failed * 1000,
    ]),
}

export const PEERS: Topic = {
  name: 'peers',
  help: 'other processes that cancel requests are passed to',
  columns: columns('peer_id:i host:s port:i pool_size:i'),
  plain: 4,
  rows: ({ snapshot }) => snapshot.peers.map(({ id, host, port, poolSize }) => [id, host, port, poolSize]),
}

export const PEER_POOLS: Topic = {
  name: 'peer_pools',
  help: 'cancel requests on their way to other processes',
  columns: columns('peer_id:i cl_active_cancel_req:i cl_waiting_cancel_req:i sv_active_cancel:i sv_login:i'),
  plain: 5,
  rows: ({ snapshot }) => snapshot.peers.map(({ id, active, waiting }) => [id, active, waiting, active, 0]),
}
