/**
 * Drivers as they are by default read pgbun's console: whatever each says by itself, however it prepares statements, and in
 * whichever format it wants results. Every program prints what it has found, and all must have found the same.
 */
import postgres from 'postgres'
import t, { type Test } from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { commandPath } from './command-path.ts'
import { serverOf } from './lab.ts'
import { languages, missingFor } from './programs.ts'
import { runProgram } from './run-program.ts'

/** What a program found. */
interface Found {
  /** Columns of SHOW POOLS. */
  columns: number
  /** The user of its own connection, asked for by parameters, eight times: by then a driver prepares. */
  user: string
  /** total_query_count of the console is a number above 0. */
  counts: boolean
  /** SQLSTATE of a statement that is none. */
  error: string
  /** What SHOW STATE says between PAUSE and RESUME. */
  paused: string
}

const EXPECTED: Found = { columns: 17, user: 'postgres', counts: true, error: '08P01', paused: 'yes' }

const ROWS = 'SELECT id, user FROM clients WHERE user = $1 AND id > $2 ORDER BY id LIMIT $3'
const COUNT = "SHOW STATS (total_query_count) WHERE database = 'pgbouncer'"
const STATE = "SHOW STATE (value) WHERE key = 'paused'"

/** A console with its URL, and nobody else there. */
async function start(t: Test) {
  const server = await serverOf(t)
  const pgbun = await startPgbun(t, { target: server, args: ['--admin-users', 'postgres'] })
  const target = {
    host: '127.0.0.1',
    port: pgbun.port,
    user: server.user,
    password: server.password,
    database: 'pgbouncer',
  }
  const url = `postgres://${target.user}:${encodeURIComponent(target.password)}@127.0.0.1:${target.port}/pgbouncer`
  return { ...target, url }
}

t.test('postgres.js', async (t) => {
  const sql = postgres((await start(t)).url, { max: 1 })
  const pools = await sql.unsafe('SHOW POOLS', [], { prepare: true })
  let user = ''
  for (let i = 0; i < 8; i++) user = (await sql.unsafe(ROWS, ['postgres', 0, 1], { prepare: true }))[0]!.user
  const [count] = await sql.unsafe(COUNT)
  const error = await sql.unsafe('SELECT nonsense').catch(({ code }) => code)
  await sql.unsafe('PAUSE')
  const [state] = await sql.unsafe(STATE)
  await sql.unsafe('RESUME')
  await sql.end()
  const found = {
    columns: pools.columns.length,
    user,
    counts: count!.total_query_count > 0,
    error,
    paused: state!.value,
  }
  t.same(found, EXPECTED)
})

for (const name of ['python', 'go', 'java'] as const) {
  const language = languages[name]
  const missing = missingFor(language)
  t.test(name, { skip: missing ?? false }, async (t) => {
    await language.build()
    const [command, ...args] = language.command('console', await start(t), { workers: 1, rounds: 1 })
    const found = JSON.parse(await runProgram(command, args)) as Record<string, Found>
    t.ok(Object.keys(found).length > 0)
    for (const [driver, what] of Object.entries(found)) t.same(what, EXPECTED, driver)
  })
}

const psql = commandPath('psql')
t.test('psql, with the habits of its users', { skip: psql === undefined && 'no psql in PATH' }, async (t) => {
  const { url } = await start(t)
  const script = [
    '\\pset format unaligned',
    '\\pset tuples_only on',
    'SHOW VERSION',
    '\\;',
    'SHOW STATE;',
    '\\d',
    '\\dt nothing',
    '\\l',
    'SELECT 1;',
    "SELECT user FROM clients WHERE application_name = 'psql';",
    'SHOW DATABASES \\gx',
    'PAUSE;',
    STATE,
    ';',
    'RESUME;',
  ]
  const output = await runProgram(psql!, ['-X', '-q', url], { input: `${script.join('\n')}\n` })
  const lines = output.split('\n')
  t.ok(lines.includes('PgBouncer 1.25.2 (pgbun 0.1.0)'))
  t.ok(lines.includes('active|yes'))
  t.ok(lines.includes('postgres'))
  t.ok(lines.includes('name|pgbouncer'))
  t.ok(lines.includes('yes'))
})
