/** SHOW PINS, PIPELINING, PREPARED, QUEUE, ERRORS and CERTIFICATES, which PgBouncer does not have. Times are microseconds. */

import type { Cell } from '../../client/lifecycle/console-backend.ts'
import { ERRORS as CATALOGUE } from '../../errors.ts'
import { type ClientSnapshot, connectionsOf, type PoolSnapshot } from '../../observe/snapshot.ts'
import { columns, type Topic, timeText } from '../view.ts'

export const PINS: Topic = {
  name: 'pins',
  help: 'clients that keep their server between transactions, and why',
  columns: columns('client:i user:s database:s addr:s application_name:s server:i reason:s age_us:q'),
  plain: 8,
  rows: ({ snapshot }) =>
    snapshot.clients
      .filter(({ pinned }) => pinned !== '')
      .sort((a, b) => b.pinnedFor - a.pinnedFor)
      .map((client) => [
        client.id,
        client.user,
        client.database,
        client.address,
        client.applicationName,
        client.server || null,
        client.pinned,
        client.pinnedFor * 1000,
      ]),
}

export const PIPELINING: Topic = {
  name: 'pipelining',
  help: 'requests of several clients on one server (server_pipelining)',
  columns: columns(
    'database:s user:s state:s servers:i requests:i deepest:i texts:i shared:q rerun:q expelled:q wrong:q',
  ),
  plain: 11,
  rows: ({ snapshot }) =>
    snapshot.pools.map(({ database, user, pipelining, counters }) => [
      database,
      user,
      pipelining.on ? 'on' : 'off',
      pipelining.servers,
      pipelining.requests,
      pipelining.deepest,
      pipelining.texts,
      counters.sharedRequests,
      counters.sharedReruns,
      counters.expelledTexts,
      counters.wrongGuesses,
    ]),
}

export const PROCESSES: Topic = {
  name: 'processes',
  help: 'this process, and those that it has succeeded (-R) and that have clients',
  columns: columns('pid:i version:s state:s start_time:s clients:i waiting:i servers:i'),
  plain: 7,
  rows: ({ processes }) =>
    processes().map((each) => [
      each.pid,
      each.version,
      each.accepting ? 'accepting' : 'leaving',
      timeText(each.startedAt),
      each.clients,
      each.waiting,
      each.servers,
    ]),
}

export const PREPARED: Topic = {
  name: 'prepared',
  help: 'texts that clients have prepared under names',
  // A text may have in it what is nobody else's business.
  adminOnly: true,
  columns: columns('database:s query:s users:i bytes:q'),
  plain: 4,
  rows: (view) => view.prepared().map(({ database, text, users, bytes }) => [database, text, users, bytes]),
}

/** Since when and for what a client has its server. */
function holding(client: ClientSnapshot): { what: string; ms: number } | undefined {
  if (client.server === 0) return undefined
  if (client.running) return { what: 'runs a request', ms: client.request }
  if (client.transaction > 0) return { what: 'idle in transaction', ms: client.transaction }
  if (client.pinned !== '') return { what: `keeps it: ${client.pinned}`, ms: client.pinnedFor }
  return { what: 'has it for its session', ms: client.age }
}

function whyWaiting(pool: PoolSnapshot | undefined): string {
  if (pool === undefined) return 'a server'
  if (pool.opening > 0) return 'a connection that is being opened'
  return connectionsOf(pool) >= pool.size ? `one of ${pool.size} servers (pool_size)` : 'a server'
}

export const QUEUE: Topic = {
  name: 'queue',
  help: 'who waits how long for what, and who holds the servers meanwhile',
  columns: columns('database:s user:s role:s client:i server:i since_us:q what:s addr:s application_name:s'),
  plain: 9,
  rows: ({ snapshot }) => {
    const key = (item: { database: string; user: string }): string => `${item.database}\0${item.user}`
    const pools = new Map(snapshot.pools.filter(({ reads }) => !reads).map((pool) => [key(pool), pool]))
    const servers = new Map(snapshot.servers.map((server) => [server.id, server]))
    const row = (client: ClientSnapshot, role: string, ms: number, what: string): Cell[] => {
      const { database, user, server, id, address, applicationName } = client
      return [
        database,
        servers.get(server)?.user ?? user,
        role,
        id,
        server || null,
        ms * 1000,
        what,
        address,
        applicationName,
      ]
    }
    const waiting = snapshot.clients
      .filter(({ state }) => state === 'waiting')
      .sort((a, b) => b.waited - a.waited)
      .map((client) => row(client, 'waits', client.waited, whyWaiting(pools.get(key(client)))))
    const databases = new Set(waiting.map(([database]) => database))
    const holders = snapshot.clients.flatMap((client) => {
      const held = databases.has(client.database) ? holding(client) : undefined
      return held === undefined ? [] : [{ client, ...held }]
    })
    holders.sort((a, b) => b.ms - a.ms)
    return [...waiting, ...holders.map(({ client, ms, what }) => row(client, 'holds', ms, what))]
  },
}

export const ERRORS: Topic = {
  name: 'errors',
  help: 'errors of PostgreSQL by SQLSTATE, and ends of sessions by reason, since the start',
  columns: columns('source:s sqlstate:s reason:s count:q'),
  plain: 4,
  rows: ({ snapshot }) => {
    const ends = Object.entries(snapshot.ends).map(([name, count]): Cell[] => {
      const row = Object.hasOwn(CATALOGUE, name) ? CATALOGUE[name as keyof typeof CATALOGUE] : undefined
      return ['end of a session', row?.sqlstate ?? null, name, count]
    })
    const errors = snapshot.errors.map(({ database, sqlstate, count }): Cell[] => [
      'PostgreSQL',
      sqlstate,
      `database ${database}`,
      count,
    ])
    return [...errors, ...ends].sort((a, b) => Number(b[3]) - Number(a[3]))
  },
}

export const CERTIFICATES: Topic = {
  name: 'certificates',
  help: 'certificates that pgbun shows, and how long they are good for',
  columns: columns('side:s file:s subject:s issuer:s not_before:s not_after:s days_left:i sha256:s'),
  plain: 8,
  rows: (view) =>
    view
      .certificates()
      .map(({ side, file, subject, issuer, notBefore, notAfter, fingerprint }) => [
        side,
        file,
        subject,
        issuer,
        timeText(notBefore),
        timeText(notAfter),
        Math.floor((notAfter - view.snapshot.at) / DAY_MS),
        fingerprint,
      ]),
}

const DAY_MS = 86_400_000
