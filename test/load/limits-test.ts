/**
 * `npm run limits-test`: limits of server connections under churn. Many clients of many databases and users come, work and
 * go; meanwhile pg_stat_activity of each host is watched. No limit may be passed at any moment, and no client may starve.
 *
 *   npm run limits-test -- --seconds 20 --clients 500
 *
 * Prints figures as JSON. Exit code 1 where a limit was passed, a client failed, or one waited out of proportion.
 */
import { parseArgs } from 'node:util'
import pg from 'pg'
import { createPooler } from '../../lib/index.ts'
import { Owner } from '../bench/owner.ts'
import { startPostgres } from '../fixtures/postgres.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    clients: { type: 'string', default: '500' },
    names: { type: 'string', default: '20' },
  },
})
const SECONDS = Number(values.seconds)
const CLIENTS = Number(values.clients)
const NAMES = Number(values.names)
/** Per host, database and user. */
const LIMITS = { host: 30, database: 5, user: 6 }
/** A client that waits for so many times as long as in an ideal queue starves. */
const MOST_TIMES = 5
/** How often pg_stat_activity is looked at, in ms. */
const LOOK_MS = 20

const nameOf = (kind: 'd' | 'u', i: number): string => `${kind}${i}`
const all = Array.from({ length: NAMES }, (_, i) => i)

/** The most connections there were at once: to a host, of a database, of a user. */
interface Most {
  host: number
  database: number
  user: number
}

/** When each transaction was sent and answered, in ms. */
interface Exchange {
  database: string
  sent: number
  answered: number
}

const exchanges: Exchange[] = []
const errors: string[] = []
const owner = new Owner()
let failed = false
try {
  const bootstrapSql = all.map((i) => `CREATE ROLE ${nameOf('u', i)} LOGIN PASSWORD 'x'`)
  const settings = { max_connections: '100' }
  const hosts = [
    await startPostgres(owner, { bootstrapSql, settings }),
    await startPostgres(owner, { bootstrapSql, settings }),
  ]
  const pooler = await createPooler({
    listenHost: '127.0.0.1',
    listenPort: 0,
    poolMode: 'transaction',
    poolSize: 3,
    maxClientConn: CLIENTS + 10,
    maxServerConnections: LIMITS.host,
    maxDbConnections: LIMITS.database,
    maxUserConnections: LIMITS.user,
    maxUnprovenLogins: 50,
    checkFunctions: false,
    logLevel: 'error',
    // The databases of pgbun are spread over the hosts; where each is, is its own.
    databases: Object.fromEntries(
      all.map((i) => {
        const { host, port } = hosts[i % hosts.length]!
        return [nameOf('d', i), { host: `${host}:${port}`, dbname: 'postgres', applicationName: nameOf('d', i) }]
      }),
    ),
  })
  owner.teardown(() => pooler.close({ timeoutMs: 1000 }))
  const { port } = pooler.address as { port: number }

  const until = performance.now() + SECONDS * 1000
  const most: Most = { host: 0, database: 0, user: 0 }
  let looks = 0
  const watchers = await Promise.all(hosts.map((host) => host.connect()))
  await Promise.all([watch(watchers), ...Array.from({ length: CLIENTS }, (_, i) => churn(i))])
  const sorted = exchanges.map(({ sent, answered }) => answered - sent).sort((a, b) => a - b)
  const at = (share: number): number => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0)
  const ideal = Math.round(longestInOrder(exchanges))
  if (at(1) > ideal * MOST_TIMES) errors.push(`a client has waited for ${at(1)} ms, in an ideal queue ${ideal} ms`)
  const figures = {
    clients: CLIENTS,
    databases: NAMES,
    users: NAMES,
    hosts: hosts.length,
    seconds: SECONDS,
    transactions: exchanges.length,
    limits: LIMITS,
    most,
    looks,
    answer_ms: { median: at(0.5), p99: at(0.99), longest: at(1), ideal_longest: ideal },
    errors,
  }
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
  failed = errors.length > 0 || most.host > LIMITS.host || most.database > LIMITS.database || most.user > LIMITS.user

  /** Look at all hosts again and again. A database has one host, a user may be on all of them. */
  async function watch(clients: readonly pg.Client[]): Promise<void> {
    const sql = `SELECT usename, application_name FROM pg_stat_activity WHERE usename ~ '^u[0-9]+$'`
    while (performance.now() < until) {
      const found = await Promise.all(clients.map((client) => client.query(sql)))
      looks++
      const users = new Map<string, number>()
      for (const { rows } of found) {
        const databases = new Map<string, number>()
        for (const { usename, application_name: database } of rows) {
          users.set(usename, (users.get(usename) ?? 0) + 1)
          databases.set(database, (databases.get(database) ?? 0) + 1)
        }
        most.host = Math.max(most.host, rows.length)
        most.database = Math.max(most.database, ...databases.values())
      }
      most.user = Math.max(most.user, ...users.values())
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  /** One client after the other, each with a few transactions. */
  async function churn(i: number): Promise<void> {
    for (let round = 0; performance.now() < until; round++) {
      const database = nameOf('d', (i + round) % NAMES)
      const user = nameOf('u', (i * 7 + round) % NAMES)
      const client = new pg.Client({ host: '127.0.0.1', port, user, password: 'x', database })
      client.on('error', () => {})
      try {
        await client.connect()
        for (let n = 0; n < 3 && performance.now() < until; n++) {
          const began = performance.now()
          await client.query('SELECT pg_sleep(0.002)')
          exchanges.push({ database, sent: began, answered: performance.now() })
        }
      } catch (error) {
        if (errors.length < 10) errors.push(String(error))
      } finally {
        await client.end().catch(() => {})
      }
    }
  }
} finally {
  await owner.end()
}
process.exit(failed ? 1 : 0)

/** The longest wait if the same answers had gone, in each database, to whoever had asked first: no queue does better. */
function longestInOrder(all: readonly Exchange[]): number {
  let longest = 0
  for (const name of new Set(all.map(({ database }) => database))) {
    const own = all.filter(({ database }) => database === name)
    const answers = own.map(({ answered }) => answered).sort((a, b) => a - b)
    const requests = own.map(({ sent }) => sent).sort((a, b) => a - b)
    for (const [i, sent] of requests.entries()) longest = Math.max(longest, answers[i]! - sent)
  }
  return longest
}
