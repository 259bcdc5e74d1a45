/**
 * `npm run reload-test`: a configuration of many databases, users and hosts. How long pgbun takes to start with it and what it
 * takes of memory, beside an empty one; and what clients feel while it is changed and reloaded again and again.
 *
 *   npm run reload-test -- --seconds 10 --databases 500 --users 2000 --hosts 50
 *
 * Prints figures as JSON. Exit code 1 where a client failed or a reload was not done.
 */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import pg from 'pg'
import { Owner, type Program } from '../bench/owner.ts'
import { readResident } from '../bench/process-meter.ts'
import { freePort } from '../fixtures/ports.ts'
import { startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    databases: { type: 'string', default: '500' },
    users: { type: 'string', default: '2000' },
    hosts: { type: 'string', default: '50' },
    clients: { type: 'string', default: '20' },
  },
})
const [SECONDS, DATABASES, USERS, HOSTS, CLIENTS] = [
  ...[values.seconds, values.databases, values.users, values.hosts, values.clients].map(Number),
] as [number, number, number, number, number]
/** Between two reloads, in ms. */
const RELOAD_MS = 500
/** Databases that are used. */
const USED = 5
const PROGRAM = fileURLToPath(new URL('../../bin/pgbun.js', import.meta.url))

interface Pgbun {
  readonly program: Program
  readonly port: number
  readonly ready_ms: number
}

const owner = new Owner()
let failed = false
try {
  const postgres = await startPostgres(owner, { settings: { max_connections: '100' } })
  const dir = owner.directory('reload')
  const large = path.join(dir, 'large.toml')
  const empty = path.join(dir, 'empty.toml')
  writeFileSync(large, configuration(postgres, 0))
  writeFileSync(empty, `[server]\nserver_host = "${postgres.host}"\nserver_port = ${postgres.port}\n`)

  const small = await start(empty)
  const smallBytes = readResident(small.program.child.pid!)
  await small.program.stop('SIGTERM')
  const pgbun = await start(large)
  const unusedBytes = readResident(pgbun.program.child.pid!)

  const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => connect(pgbun.port, `db${i % USED}`)))
  await run(clients, 2)
  const before = await run(clients, SECONDS)
  let reloads = 0
  const during = await run(clients, SECONDS, async () => {
    reloads++
    writeFileSync(large, configuration(postgres, reloads))
    pgbun.program.child.kill('SIGHUP')
  })
  await waitFor(() => reloaded(pgbun) >= reloads, { timeout: 30_000, what: () => `${reloads} reloads` })
  const calm = await run(clients, SECONDS)
  await Promise.all(clients.map((client) => client.end()))
  const figures = {
    ...{ databases: DATABASES, users: USERS, hosts: HOSTS, clients: CLIENTS, seconds: SECONDS },
    ready_ms: { empty: small.ready_ms, large: pgbun.ready_ms },
    resident_mb: { empty: Math.round(smallBytes / 2 ** 20), large: Math.round(unusedBytes / 2 ** 20) },
    kb_per_section: Math.round((unusedBytes - smallBytes) / 1024 / (DATABASES + USERS)),
    reloads,
    before,
    during,
    after: calm,
  }
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`)
} catch (error) {
  process.stderr.write(`${(error as Error).stack}\n`)
  failed = true
} finally {
  await owner.end()
}
process.exit(failed ? 1 : 0)

/** The file, which is another one for each `version`: one of the unused databases has another limit. */
function configuration({ host, port }: TestPostgres, version: number): string {
  const databases = Array.from({ length: DATABASES }, (_, i) => {
    const used = i < USED
    // Nobody is there, and nobody asks.
    const where = used ? `${host}:${port}` : `127.0.1.${1 + (i % HOSTS)}:5432`
    const limit = i === DATABASES - 1 ? version : 0
    return `[databases.db${i}]\nhost = "${where}"\ndbname = "postgres"\npool_size = 5\nquery_timeout = "${limit}s"\n`
  })
  const users = Array.from({ length: USERS }, (_, i) => `[users.user${i}]\nmax_user_connections = ${1 + (i % 9)}\n`)
  return [...databases, ...users].join('\n')
}

async function start(config: string): Promise<Pgbun> {
  const port = await freePort()
  const began = performance.now()
  const options = ['--config', config, '--listen-host', '127.0.0.1', '--listen-port', String(port)]
  const program = owner.start(process.execPath, [PROGRAM, ...options])
  await waitFor(() => !program.running || / ready/.test(program.output), { timeout: 60_000, what: 'pgbun to be ready' })
  if (!program.running) throw new Error(`pgbun did not start:\n${program.output}`)
  return { program, port, ready_ms: Math.round(performance.now() - began) }
}

function reloaded({ program }: Pgbun): number {
  return program.output.match(/configuration reloaded/g)?.length ?? 0
}

async function connect(port: number, database: string): Promise<pg.Client> {
  const client = new pg.Client({ host: '127.0.0.1', port, user: 'postgres', password: 'postgres', database })
  await client.connect()
  return client
}

/** How long each of `clients` waits for its answers, in ms, for `seconds`; meanwhile `event` happens again and again. */
async function run(
  clients: readonly pg.Client[],
  seconds: number,
  event?: () => Promise<void>,
): Promise<Record<string, number>> {
  const until = performance.now() + seconds * 1000
  const waits: number[] = []
  const timer = event && setInterval(() => void event(), RELOAD_MS)
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < until) {
        const began = performance.now()
        await client.query('SELECT 1')
        waits.push(performance.now() - began)
      }
    }),
  )
  clearInterval(timer)
  waits.sort((a, b) => a - b)
  const at = (share: number): number => Math.round(waits[Math.floor((waits.length - 1) * share)]! * 10) / 10
  return {
    per_second: Math.round(waits.length / seconds),
    p50: at(0.5),
    p99: at(0.99),
    'p99.9': at(0.999),
    longest: at(1),
  }
}
