/** SHOW CLIENTS, SERVERS, SOCKETS and ACTIVE_SOCKETS: one row for each connection. */

import type { Cell } from '../../client/lifecycle/console-backend.ts'
import type { ClientSnapshot, ServerSnapshot } from '../../observe/snapshot.ts'
import { columns, microsBehind, seconds, type Topic, timeText, type View } from '../view.ts'

const SOCKET =
  'type:s user:s database:s replication:s state:s addr:s port:i local_addr:s local_port:i connect_time:s request_time:s ' +
  'wait:i wait_us:i close_needed:i ptr:s link:s remote_pid:i tls:s application_name:s prepared_statements:i id:i'
const BUFFERS = 'recv_pos:i pkt_pos:i pkt_remain:i send_pos:i send_remain:i pkt_avail:i send_avail:i'
const PLAIN = columns(SOCKET).length

function clientPtr(id: number): string {
  return `c${id}`
}

function serverPtr(id: number): string {
  return `s${id}`
}

/** `10.0.0.5:50082` or `unix`: where a client comes from. */
function splitAddress(address: string): [string, number] {
  const colon = address.lastIndexOf(':')
  return colon < 0 ? [address, 0] : [address.slice(0, colon), Number(address.slice(colon + 1))]
}

/** As PgBouncer tells it: whoever has no server and waits for none is idle. */
export function clientState({ state }: ClientSnapshot): string {
  switch (state) {
    case 'startup':
    case 'login':
      return 'login'
    case 'canceling':
      return 'active_cancel_req'
    case 'idle':
    case 'waiting':
      return state
    default:
      return 'active'
  }
}

/** Servers that are made ready for the next client are tested; those that come to an end of what was canceled say so. */
export function serverState({ state }: ServerSnapshot): string {
  switch (state) {
    case 'busy':
      return 'tested'
    case 'draining':
    case 'beingCanceled':
      return 'being_canceled'
    default:
      return state
  }
}

function clientRow(client: ClientSnapshot, at: number, servers: ReadonlyMap<number, ServerSnapshot>): Cell[] {
  const [address, port] = splitAddress(client.address)
  return [
    'C',
    client.user || '(nouser)',
    client.database || '(nodb)',
    client.replication,
    clientState(client),
    address,
    port,
    client.localAddress || 'unix',
    client.localPort,
    timeText(at - client.age),
    timeText(at - client.request),
    seconds(client.waited),
    microsBehind(client.waited),
    Number(client.closing),
    clientPtr(client.id),
    servers.has(client.server) ? serverPtr(client.server) : '',
    0,
    client.tls,
    client.applicationName,
    client.prepared,
    client.id,
  ]
}

function serverRow(server: ServerSnapshot, at: number, clients: ReadonlyMap<number, ClientSnapshot>): Cell[] {
  const client = clients.get(server.id)
  return [
    'S',
    server.user,
    server.database,
    server.replication,
    serverState(server),
    server.host.startsWith('/') || server.host.startsWith('@') ? 'unix' : server.host,
    server.port,
    server.localAddress || 'unix',
    server.localPort,
    timeText(at - server.age),
    timeText(at - (client?.request ?? server.idle)),
    0,
    0,
    Number(server.closing !== ''),
    serverPtr(server.id),
    client === undefined ? '' : clientPtr(client.id),
    server.pid,
    server.tls,
    server.applicationName,
    server.prepared,
    server.id,
  ]
}

const CLIENT_ORDER = ['active', 'idle', 'waiting', 'active_cancel_req', 'login']
const SERVER_ORDER = ['active', 'idle', 'used', 'tested', 'new', 'active_cancel', 'being_canceled']

/** As PgBouncer walks its pools: by database and user, and within them by state. */
function sorted<T extends ClientSnapshot | ServerSnapshot>(
  items: readonly T[],
  state: (item: T) => string,
  order: readonly string[],
): T[] {
  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  return [...items].sort((a, b) => {
    return (
      text(a.database, b.database) ||
      text(a.user, b.user) ||
      order.indexOf(state(a)) - order.indexOf(state(b)) ||
      a.id - b.id
    )
  })
}

/** Clients with what pgbun says besides. Those that have not said who they are do not belong to a database. */
function clientRows({ snapshot }: View): { client: ClientSnapshot; row: Cell[] }[] {
  const servers = new Map(snapshot.servers.map((server) => [server.id, server]))
  const clients = snapshot.clients.filter(({ state }) => state !== 'startup')
  return sorted(clients, clientState, CLIENT_ORDER).map((client) => ({
    client,
    row: clientRow(client, snapshot.at, servers),
  }))
}

function serverRows({ snapshot }: View): { server: ServerSnapshot; row: Cell[] }[] {
  const clients = new Map(snapshot.clients.filter(({ server }) => server > 0).map((client) => [client.server, client]))
  return sorted(snapshot.servers, serverState, SERVER_ORDER).map((server) => ({
    server,
    row: serverRow(server, snapshot.at, clients),
  }))
}

/** What the client is doing, for those who look at one. */
function activity(client: ClientSnapshot): string {
  if (client.running) return 'running'
  if (client.transaction > 0) return 'idle in transaction'
  if (client.state === 'waiting') return 'waiting for a server'
  return client.pinned === '' ? 'idle' : 'idle, keeps its server'
}

export const CLIENTS: Topic = {
  name: 'clients',
  help: 'connections of clients',
  columns: columns(`${SOCKET} activity:s transaction_us:q pinned:s age_us:q`),
  plain: PLAIN,
  rows: (view) =>
    clientRows(view).map(({ client, row }) => [
      ...row,
      activity(client),
      client.transaction * 1000,
      client.pinned,
      client.age * 1000,
    ]),
}

export const SERVERS: Topic = {
  name: 'servers',
  help: 'connections to servers',
  columns: columns(`${SOCKET} close_reason:s age_us:q`),
  plain: PLAIN,
  rows: (view) => serverRows(view).map(({ server, row }) => [...row, server.closing, server.age * 1000]),
}

/** Buffers are looked at nowhere else than in PgBouncer's source; here nothing is left in them between two turns. */
const NO_BUFFERS: Cell[] = [0, 0, 0, 0, 0, 0, 0]

function sockets(view: View, wanted: (state: string) => boolean): Cell[][] {
  const clients = clientRows(view).map(({ client, row }) => ({ state: `cl_${clientState(client)}`, row }))
  const servers = serverRows(view).map(({ server, row }) => ({ state: `sv_${serverState(server)}`, row }))
  return [...clients, ...servers]
    .filter(({ state }) => wanted(state))
    .map(({ state, row }) => [...row.slice(0, 4), state, ...row.slice(5), ...NO_BUFFERS])
}

const SOCKET_COLUMNS = columns(`${SOCKET} ${BUFFERS}`)

export const SOCKETS: Topic = {
  name: 'sockets',
  help: 'all connections',
  columns: SOCKET_COLUMNS,
  plain: SOCKET_COLUMNS.length,
  rows: (view) => sockets(view, () => true),
}

export const ACTIVE_SOCKETS: Topic = {
  name: 'active_sockets',
  help: 'connections in use',
  columns: SOCKET_COLUMNS,
  plain: SOCKET_COLUMNS.length,
  rows: (view) => sockets(view, (state) => state.endsWith('_active')),
}

export const FDS: Topic = {
  name: 'fds',
  help: 'connections as PgBouncer hands them to its successor; pgbun hands over none, so descriptors are not told',
  adminOnly: true,
  columns: columns(
    'fd:i task:s user:s database:s addr:s port:i cancel:q link:i client_encoding:s std_strings:s datestyle:s timezone:s ' +
      'password:s scram_client_key:b scram_server_key:b',
  ),
  plain: 15,
  rows: (view) => {
    const row = (task: string, cells: Cell[]): Cell[] => {
      const [user, database, address, port] = [cells[1]!, cells[2]!, cells[5]!, cells[6]!]
      // Secrets are shown to nobody.
      return [null, task, user, database, address, port, null, null, null, null, null, null, null, null, null]
    }
    return [
      ...clientRows(view).map((client) => row('client', client.row)),
      ...serverRows(view).map((server) => row('server', server.row)),
    ]
  },
}
