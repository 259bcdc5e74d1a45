/**
 * Statistics of statements in front of a real PostgreSQL: they are what the test's clients did, and what pg_stat_statements
 * saw; slow statements are logged, without literals unless the operator wants them.
 */
import t, { type Test } from 'tap'
import { createPooler, type PoolerOptions } from '../../lib/index.ts'
import { cstring, frontend, int16, int32, message } from '../fixtures/messages.ts'
import { sharedPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const shared = sharedPostgres(t, { settings: { shared_preload_libraries: 'pg_stat_statements' } })

interface Lab {
  server: TestPostgres
  lines: Record<string, unknown>[]
  login(database?: string, user?: string): Promise<RawClient>
  /** Columns of SHOW QUERIES of one text; undefined where it is not there. */
  statsOf(text: string): Promise<Record<string, string> | undefined>
  console: RawClient
}

const COLUMNS = 'query, calls, errors, rows, bytes, total_us, mean_us, p50_us, max_us, wait_us, user, database'

async function start(t: Test, options: PoolerOptions = {}): Promise<Lab> {
  const server = await shared.database(t, ['CREATE TABLE t (a int PRIMARY KEY, b text)'])
  const lines: Record<string, unknown>[] = []
  const note = (msg: string, fields?: object): void => void lines.push({ ...fields, msg })
  const pooler = await createPooler(
    {
      listenPort: 0,
      listenHost: ['127.0.0.1'],
      serverHost: server.host,
      serverPort: server.port,
      poolMode: 'transaction',
      adminUsers: ['postgres'],
      statsUsers: ['eye'],
      ...options,
    },
    { logger: { debug: note, info: note, warn: note, error: note } },
  )
  t.teardown(() => pooler.close({ timeoutMs: 0 }))
  const { port } = pooler.address as { port: number }
  const login = (database = server.database, user = 'postgres'): Promise<RawClient> =>
    loginRaw(t, { host: '127.0.0.1', port }, { user, password: user === 'postgres' ? server.password : user, database })
  const console = await login('pgbouncer')
  return {
    server,
    lines,
    login,
    console,
    async statsOf(text) {
      const names = COLUMNS.split(', ')
      const rows = rowsOf(await console.query(`SELECT ${COLUMNS} FROM queries`))
      const row = rows.find(([query]) => query === text)
      return row && Object.fromEntries(row.map((value, i) => [names[i]!, value ?? '']))
    },
  }
}

const { parse, bind, execute, describe, sync, query } = frontend

for (const poolMode of ['transaction', 'session'] as const) {
  t.test(`${poolMode} mode: what clients did is what is counted`, async (t) => {
    const { login, statsOf, server } = await start(t, { poolMode })
    await server.query('CREATE EXTENSION pg_stat_statements')
    await server.query('SELECT pg_stat_statements_reset()')
    const client = await login()
    await client.query("INSERT INTO t VALUES (1, 'secret'), (2, 'secret')")
    await client.query("INSERT INTO t VALUES (3, 'other'), (4, NULL), (5, 'x')")
    for (let a = 1; a <= 5; a++) await client.query(`SELECT b FROM t WHERE a = ${a}`)
    await client.query("UPDATE t SET b = 'y' WHERE a IN (1, 2, 3)")
    await client.query("INSERT INTO t VALUES (1, 'twice')")

    t.match(await statsOf('insert into t values ($1, $2) /*, ... */'), { calls: '2', rows: '5', errors: '0' })
    t.match(await statsOf('insert into t values ($1, $2)'), { calls: '1', rows: '0', errors: '1' })
    const select = await statsOf('select b from t where a = $1')
    t.match(select, { calls: '5', rows: '5', errors: '0', user: 'postgres', database: server.database })
    t.match(await statsOf('update t set b = $1 where a in ($2 /*, ... */)'), { calls: '1', rows: '3' })
    for (const row of [select!]) {
      t.ok(Number(row.total_us) > 0)
      t.ok(Number(row.max_us) <= Number(row.total_us))
      t.ok(Number(row.p50_us) <= Number(row.max_us))
    }
    const [theirs] = await server.query(
      "SELECT sum(calls)::int AS calls, sum(rows)::int AS rows FROM pg_stat_statements WHERE query LIKE 'SELECT b FROM t%'",
    )
    t.same([select!.calls, select!.rows], [String(theirs.calls), String(theirs.rows)], 'as pg_stat_statements says')
  })

  t.test(`${poolMode} mode: messages of the extended protocol`, async (t) => {
    const { login, statsOf } = await start(t, { poolMode })
    const client = await login()
    const run = async (...messages: Buffer[]): Promise<void> => {
      client.send(...messages, sync())
      await client.readUntil('Z')
    }
    await run(parse('INSERT INTO t VALUES ($1::int, NULL)', 'insert'), describe('S', 'insert'))
    const two = [bind(['1'], 'insert'), execute(), bind(['2'], 'insert'), execute()]
    await run(...two)
    await run(bind(['3'], 'insert', 'p'), execute(0, 'p'))
    await run(parse('SELECT a FROM t'), bind(), execute(1), execute(1), execute())
    await run(bind(['1'], 'insert'), execute(), bind(['9'], 'insert'), execute())
    await run(parse('SELECT syntax error FROM'), bind(), execute())

    t.match(await statsOf('insert into t values ($1::int, $2)'), { calls: '4', rows: '3', errors: '1' })
    t.match(await statsOf('select a from t'), { calls: '3', rows: '1' }, 'each Execute is a call')
    t.match(await statsOf('select syntax error'), undefined)
  })
}

t.test('the answer of a pipeline is told apart', async (t) => {
  const { login, statsOf } = await start(t)
  const client = await login()
  client.send(query("SELECT repeat('x', 1000)"), query('SELECT 1 AS one'), query('SELECT pg_sleep(0.05)'))
  for (let i = 0; i < 3; i++) await client.readUntil('Z')
  const large = await statsOf('select repeat($1, $2)')
  const small = await statsOf('select $1 as one')
  t.ok(Number(large!.bytes) > 1000 && Number(large!.bytes) < 1200, large!.bytes ?? '')
  t.ok(Number(small!.bytes) > 30 && Number(small!.bytes) < 100, small!.bytes ?? '')
  const slow = await statsOf('select pg_sleep($1)')
  t.ok(Number(slow!.total_us) > 0, 'what runs behind others runs from their end on')
})

t.test('waiting for a server is told apart from running', async (t) => {
  const { login, statsOf } = await start(t, { poolSize: 1 })
  const [one, other] = [await login(), await login()]
  await one.query('BEGIN')
  other.send(query('SELECT 2 AS two'))
  const holder = await login('pgbouncer')
  await waitFor(async () => rowsOf(await holder.query("SHOW CLIENTS (id) WHERE state = 'waiting'")).length === 1, {
    what: 'a wait',
  })
  await one.query('SELECT pg_sleep(0.05)')
  await one.query('COMMIT')
  await other.readUntil('Z')
  const row = await statsOf('select $1 as two')
  const held = await statsOf('select pg_sleep($1)')
  t.ok(Number(row!.wait_us) >= Number(held!.total_us), 'it waited as long as the other ran, at least')
  t.match(await statsOf('commit'), { wait_us: '0' })
})

t.test('a server that dies ends the statement that ran there', async (t) => {
  const { login, statsOf, server } = await start(t)
  const client = await login()
  client.send(query('SELECT pg_sleep(60) AS dies'))
  const backend =
    "SELECT pid FROM pg_stat_activity WHERE query LIKE '%dies' AND state = 'active' AND pid <> pg_backend_pid()"
  await waitFor(async () => (await server.query(backend)).length === 1, { what: 'the statement to run' })
  await server.query(`SELECT pg_terminate_backend(pid) FROM (${backend}) AS b`)
  await waitFor(() => client.closed, { what: 'the end' })
  t.match(await statsOf('select pg_sleep($1) as dies'), { calls: '1', errors: '1' })
})

t.test('what is kept is bounded, and can be begun anew', async (t) => {
  const { login, console } = await start(t, { queryStatsMax: 10 })
  const client = await login()
  for (let i = 0; i < 40; i++) {
    await client.query('SELECT 1 AS often')
    await client.query(`SELECT 1 AS x${i}`)
  }
  const rows = rowsOf(await console.query('SHOW QUERIES (query, calls)'))
  t.equal(rows.length, 10)
  t.same(
    rows.find(([text]) => text === 'select $1 as often'),
    ['select $1 as often', '40'],
    'the most used stays',
  )
  await console.query('RESET QUERIES')
  t.same(rowsOf(await console.query('SHOW QUERIES')), [])
  await client.query('SELECT 1 AS often')
  t.equal(rowsOf(await console.query('SHOW QUERIES')).length, 1)
  await console.query('SET query_stats_max = 0')
})

t.test('who may see texts', async (t) => {
  await (await shared.server()).query("CREATE ROLE eye LOGIN PASSWORD 'eye'")
  for (const statsShowQueries of [false, true]) {
    const { login } = await start(t, { statsShowQueries })
    const client = await login()
    await client.query('SELECT 1')
    const eye = await login('pgbouncer', 'eye')
    t.same(rowsOf(await eye.query('SHOW QUERIES (query, calls)')), [[statsShowQueries ? 'select $1' : null, '1']])
    await t.match(
      (await eye.query('RESET QUERIES')).map(({ type }) => type),
      ['E', 'Z'],
    )
  }
})

t.test('slow statements are logged without their literals', async (t) => {
  const { login, lines } = await start(t, { logMinDuration: 500, queryStatsMax: 0 })
  const client = await login()
  await client.query("SELECT 'fast'")
  await client.query("SELECT pg_sleep(0.55), 'secret'")
  const slow = (): Record<string, unknown>[] => lines.filter(({ msg }) => msg === 'slow statement')
  const sleeping = () => slow().find(({ query }) => query === 'select pg_sleep($1), $2')
  await waitFor(() => sleeping() !== undefined, { what: 'the line' })
  t.match(sleeping(), { wait_ms: Number, rows: 1, database: /^test_/, query_id: /^\w{16}$/ })
  // The other one is as well where the machine has taken so long for it.
  for (const { duration_ms } of slow()) t.ok(Number(duration_ms) >= 500, `${duration_ms} ms`)
  t.notMatch(JSON.stringify(lines), /secret|fast/)
})

t.test('with log_parameters they are logged as they were sent', async (t) => {
  for (const poolMode of ['transaction', 'session'] as const) {
    const { login, lines } = await start(t, { logMinDuration: 0, logParameters: true, poolMode })
    const client = await login()
    await client.query("SELECT 'literal'")
    client.send(parse("SELECT $1::text, $2::int, 'l'", 's'), bind(['żółw', null], 's'), execute(), sync())
    await client.readUntil('Z')
    const binary = message(
      'B',
      cstring(''),
      cstring('s'),
      int16(2),
      int16(0),
      int16(1),
      int16(2),
      int32(1),
      'x',
      int32(4),
      int32(7),
      int16(0),
    )
    client.send(binary, execute(), sync())
    await client.readUntil('Z')
    const slow = lines.filter(({ msg }) => msg === 'slow statement')
    t.match(slow, [
      { query: "SELECT 'literal'", parameters: undefined },
      { query: "SELECT $1::text, $2::int, 'l'", parameters: "'żółw', NULL" },
      { query: "SELECT $1::text, $2::int, 'l'", parameters: "'x', (4 bytes)" },
    ])
  }
})
