/**
 * `npm run demo`: a real PostgreSQL, pgbun in front of it in transaction mode, and 200 `pg` clients that share 10 server
 * connections. Shows progress, then a table, then stays up until Ctrl-C so that one can connect.
 *
 * `--once` ends after the table: exit code 0, or 1 when anything failed. `--seconds <n>` changes the length of the load.
 */
import { parseArgs } from 'node:util'
import { startPgbun } from '../fixtures/pgbun.ts'
import { isFree } from '../fixtures/ports.ts'
import { startPostgres, type Teardown } from '../fixtures/postgres.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { connectClients, runLoad } from './load.ts'
import { Screen } from './screen.ts'

const clientCount = 200
const poolSize = 10

const { values: options } = parseArgs({
  options: { once: { type: 'boolean', default: false }, seconds: { type: 'string', default: '8' } },
})
const seconds = Number(options.seconds)
if (!(seconds > 0)) throw new Error(`--seconds ${options.seconds}: a number above 0 is needed`)

const screen = new Screen()
const cleanups: (() => unknown)[] = []
const owner: Teardown = { teardown: (cleanup: () => unknown) => void cleanups.unshift(cleanup) }
let ending = false

/** Stops what was started, the newest first, and ends the process. */
async function end(code: number): Promise<never> {
  ending = true
  screen.stop()
  for (const cleanup of cleanups)
    await Promise.resolve(cleanup()).catch((error: Error) => screen.problem(error.message))
  process.exit(code)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!ending) void end(0)
  })
}

try {
  process.exitCode = await demo()
} catch (error) {
  if (!ending) {
    screen.problem((error as Error).message)
    await end(1)
  }
}

async function demo(): Promise<number> {
  screen.title(`pgbun demo: ${clientCount} clients share ${poolSize} server connections in transaction mode`)

  let opened = 0
  const postgres = await screen.step('starting a PostgreSQL', async () => {
    const server = await startPostgres(owner, {
      settings: { max_connections: '50', log_connections: 'on' },
      bootstrapSql: [
        'CREATE TABLE account (id int PRIMARY KEY, balance bigint NOT NULL)',
        'INSERT INTO account SELECT id, 1000 FROM generate_series(1, 1000) AS id',
      ],
      log: (line) => {
        if (line.includes('connection authorized')) opened++
      },
    })
    return { result: server, done: `PostgreSQL ${server.version.match(/^\d+\.\d+/)} on ${server.host}:${server.port}` }
  })

  const pgbun = await screen.step('starting pgbun', async () => {
    const proxy = await startPgbun(owner, {
      target: postgres,
      poolMode: 'transaction',
      poolSize,
      args: ['--max-client-conn', '250'],
      listenPort: (await isFree(6432)) ? 6432 : 0,
      detached: true,
    })
    return { result: proxy, done: `pgbun on ${proxy.host}:${proxy.port} (${pgbunRuntime().kind})` }
  })

  const clients = await screen.step(`connecting ${clientCount} clients`, async (progress) => {
    const connected = await connectClients(pgbun.url, clientCount, (count) => progress(count / clientCount, `${count}`))
    return { result: connected, done: `${clientCount} clients connected` }
  })
  owner.teardown(() => Promise.all(clients.map((client) => client.end().catch(() => {}))))

  const load = await screen.step('running queries', async (progress) => {
    const result = await runLoad(clients, seconds * 1000, (share, soFar) =>
      progress(share, `${soFar.queries.toLocaleString('en-US')} queries, ${soFar.perSecond.toLocaleString('en-US')}/s`),
    )
    return { result, done: `${seconds} s of queries and transactions` }
  })

  const ms = (value: number): string => `${value.toFixed(1)} ms`
  screen.table([
    ['clients', clientCount],
    ['server connections opened', opened],
    ['queries', load.queries],
    ['queries/s', load.perSecond],
    ['latency p50', ms(load.percentile(50))],
    ['latency p95', ms(load.percentile(95))],
    ['latency p99', ms(load.percentile(99))],
    ['queries per server connection', Math.round(load.queries / Math.max(opened, 1))],
    ['errors', load.errors.length],
  ])
  for (const error of new Set(load.errors)) screen.problem(error)
  const balance = await postgres.query('SELECT sum(balance)::int AS total FROM account')
  const lost = balance[0]?.total !== 1_000_000
  if (lost)
    screen.problem(`the balances add up to ${balance[0]?.total} and not to 1000000: a transaction was torn apart`)
  const failed = lost || load.errors.length > 0

  if (options.once) return end(failed ? 1 : 0)
  screen.say(`Connect to it:  psql ${pgbun.url}`)
  screen.say('Ctrl-C ends it and removes everything.')
  const { code, signal } = await pgbun.exit
  if (ending) return 0
  screen.problem(`pgbun ended by itself (${code ?? signal})\n${pgbun.logs()}`)
  return end(1)
}
