/**
 * Who holds which server connection and for how long: the three pool modes, the queue, the limits, and that nothing of
 * one client reaches the next. The protocol status byte decides, so every test looks at process ids, not at pgbun.
 */
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const SLEEPING = "SELECT pid FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"
const APP = { user: 'app', password: 'app' }

/**
 * Sends a query behind a Sync. pgbun answers the Sync without a server; that answer proves that the query, which came
 * in the same packet, has been read and stands in the queue.
 */
async function enqueue(client: RawClient, ...request: Buffer[]): Promise<void> {
  client.send(frontend.sync(), ...request)
  const messages = await client.readUntil('Z')
  if (typesOf(messages) !== 'Z') throw new Error(`a Sync was answered with ${typesOf(messages)}`)
}

async function pid(client: RawClient): Promise<string> {
  return (await client.rows('SELECT pg_backend_pid()'))[0]![0]!
}

t.test('pooling', async (t) => {
  const server = await startPostgres(t, {
    settings: { max_connections: '150' },
    bootstrapSql: [
      "CREATE ROLE app LOGIN PASSWORD 'app'",
      "CREATE ROLE other LOGIN PASSWORD 'other'",
      'CREATE TABLE log (id serial, line text)',
      'GRANT ALL ON log, log_id_seq TO app',
    ],
  })
  const backends = async (user = 'app'): Promise<number[]> =>
    (await server.query('SELECT pid FROM pg_stat_activity WHERE usename = $1 ORDER BY 1', [user])).map(({ pid }) => pid)
  const start = (t: Test, options: PgbunOptions) => startPgbun(t, { target: server, ...APP, ...options })

  await t.test('session: a client keeps its server from its first query until it leaves', async (t) => {
    const pgbun = await start(t, { poolSize: 1 })
    const first = await loginRaw(t, pgbun, APP)
    const second = await loginRaw(t, pgbun, APP)
    const held = await pid(first)
    t.equal(await pid(first), held)
    await enqueue(second, frontend.query('SELECT pg_backend_pid()'))
    t.equal(await pid(first), held, 'and between its queries, with another one waiting')
    await first.end()
    t.same(rowsOf(await second.readUntil('Z')), [[held]], 'the one that waited gets it then')
  })

  await t.test('session: a client that only logs in holds no server', async (t) => {
    const pgbun = await start(t, { poolSize: 1 })
    const idle = await loginRaw(t, pgbun, APP)
    const busy = await loginRaw(t, pgbun, APP)
    t.ok(await pid(busy))
    await busy.end()
    t.ok(await pid(idle))
  })

  await t.test('session: what a session leaves behind is gone for the next', async (t) => {
    const pgbun = await start(t, { poolSize: 1 })
    const first = await loginRaw(t, pgbun, APP)
    const held = await pid(first)
    await first.query("SET work_mem = '77MB'; SET TimeZone = 'Asia/Tokyo'")
    await first.query('CREATE TEMP TABLE mine (x int)')
    await first.query('SELECT pg_advisory_lock(42)')
    await first.query('PREPARE mine AS SELECT 1')
    await first.query('LISTEN mine')
    await first.end()
    const second = await loginRaw(t, pgbun, APP)
    t.equal(await pid(second), held, 'the same server')
    t.not((await second.rows('SHOW work_mem'))[0]![0], '77MB')
    t.not((await second.rows('SHOW TimeZone'))[0]![0], 'Asia/Tokyo')
    t.same(await second.rows("SELECT to_regclass('pg_temp.mine')"), [[null]])
    t.same(await second.rows('SELECT count(*) FROM pg_prepared_statements'), [['0']])
    t.same(await second.rows('SELECT count(*) FROM pg_listening_channels()'), [['0']])
    t.same(await server.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'"), [])
  })

  await t.test('transaction: a server belongs to a client from BEGIN to COMMIT', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const first = await loginRaw(t, pgbun, APP)
    const second = await loginRaw(t, pgbun, APP)
    const only = await pid(first)
    t.equal(await pid(second), only, 'two clients, one server')
    for (const end of ['COMMIT', 'ROLLBACK', 'failed']) {
      await first.query('BEGIN')
      await enqueue(second, frontend.query('SELECT 2'))
      t.equal(await pid(first), only)
      if (end === 'failed') {
        t.match(errorOf(await first.query('SELECT 1/0')), { C: '22012' })
        t.match(errorOf(await first.query('SELECT 1')), { C: '25P02' }, 'a failed transaction is still one')
        await first.query('ROLLBACK')
      } else await first.query(end)
      t.same(rowsOf(await second.readUntil('Z')), [['2']], `the other one is served after ${end}`)
    }
  })

  await t.test('transaction: a status byte decides, not the text of a statement', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const first = await loginRaw(t, pgbun, APP)
    const second = await loginRaw(t, pgbun, APP)
    t.equal(typesOf(await first.query('/* no BEGIN */ SELECT 1; BEGIN; COMMIT')), 'TDCCCZ')
    t.same(await second.rows('SELECT 2'), [['2']])
    await first.query('SELECT 1; START TRANSACTION')
    await enqueue(second, frontend.query('SELECT 3'))
    await first.query('COMMIT AND CHAIN')
    t.same(await first.rows('SELECT 4'), [['4']])
    await first.query('END')
    t.same(rowsOf(await second.readUntil('Z')), [['3']])
  })

  await t.test('transaction: nothing of a session reaches another client', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 2 })
    const first = await loginRaw(t, pgbun, APP)
    await first.query("SET work_mem = '77MB'")
    await first.query("SELECT set_config('app.tenant', 'alice', false)")
    await first.query('CREATE TEMP TABLE mine (x int)')
    await first.query('SELECT pg_advisory_lock(42)')
    await first.query('LISTEN mine')
    await first.query("SET TimeZone = 'Asia/Tokyo'")
    const second = await loginRaw(t, pgbun, APP)
    t.not((await second.rows('SHOW work_mem'))[0]![0], '77MB')
    t.match((await second.rows("SELECT current_setting('app.tenant', true)"))[0]![0] ?? '', /^$/)
    t.same(await second.rows("SELECT to_regclass('pg_temp.mine')"), [[null]])
    t.same(await second.rows('SELECT count(*) FROM pg_listening_channels()'), [['0']])
    t.not((await second.rows('SHOW TimeZone'))[0]![0], 'Asia/Tokyo')
    t.same(await first.rows('SHOW TimeZone'), [['Asia/Tokyo']])
    t.same(await first.rows('SHOW work_mem'), [['77MB']])
    t.same(await first.rows("SELECT current_setting('app.tenant')"), [['alice']])
    t.same(
      await first.rows('SELECT count(*) FROM mine'),
      [['0']],
      'what cannot be moved keeps its client on its server',
    )
    await first.end()
    await waitFor(async () => (await server.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")).length === 0)
  })

  await t.test('statement: a server is shared statement by statement, transaction blocks are refused', async (t) => {
    const pgbun = await start(t, { poolMode: 'statement', poolSize: 1 })
    const first = await loginRaw(t, pgbun, APP)
    const second = await loginRaw(t, pgbun, APP)
    const only = await pid(first)
    t.equal(await pid(second), only)
    t.equal(await pid(first), only)
    second.send(frontend.query("BEGIN; INSERT INTO log (line) VALUES ('statement mode')"))
    t.match(await second.expectFatal(), {
      S: 'FATAL',
      C: '0A000',
      M: 'transaction blocks not allowed in statement pooling mode',
    })
    t.equal(await pid(first), only, 'the server goes on')
    t.same(await first.rows("SELECT 1 FROM log WHERE line = 'statement mode'"), [], 'the transaction was rolled back')
    await pgbun.waitForLog(/transaction blocks not allowed/)
  })

  await t.test('clients are served in the order in which they came', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const holder = await loginRaw(t, pgbun, APP)
    await holder.query('BEGIN')
    const waiting: RawClient[] = []
    for (let at = 0; at < 8; at++) {
      const client = await loginRaw(t, pgbun, APP)
      await enqueue(client, frontend.query(`INSERT INTO log (line) VALUES ('fifo ${at}')`))
      waiting.push(client)
    }
    await holder.query('COMMIT')
    for (const client of waiting) t.equal(typesOf(await client.readUntil('Z')), 'CZ')
    const lines = await server.query("SELECT line FROM log WHERE line LIKE 'fifo%' ORDER BY id")
    t.same(
      lines.map(({ line }) => line),
      waiting.map((_, at) => `fifo ${at}`),
    )
  })

  await t.test('who is gone leaves the queue; a request before a Terminate is run, as by PostgreSQL', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const holder = await loginRaw(t, pgbun, APP)
    await holder.query('BEGIN')
    const leaving = await loginRaw(t, pgbun, APP)
    const killed = await loginRaw(t, pgbun, APP)
    const staying = await loginRaw(t, pgbun, APP)
    await enqueue(leaving, frontend.query("INSERT INTO log (line) VALUES ('left')"), frontend.terminate())
    await enqueue(killed, frontend.query("INSERT INTO log (line) VALUES ('killed')"))
    await enqueue(staying, frontend.query("INSERT INTO log (line) VALUES ('stayed')"))
    killed.destroy()
    await waitFor(() => pgbun.logs().includes('client disconnected'))
    await holder.query('COMMIT')
    await staying.readUntil('Z')
    await leaving.end()
    const logged = "SELECT line FROM log WHERE line IN ('left', 'killed', 'stayed') ORDER BY 1"
    t.same(await server.query(logged), [{ line: 'left' }, { line: 'stayed' }])
  })

  await t.test('servers are reused last in first out, a client prefers the one it had', async (t) => {
    // A look into functions that takes its time would keep one of them busy meanwhile.
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 3, args: ['--no-check-functions'] })
    const clients = [await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP)]
    const pids: string[] = []
    for (const client of clients) await client.query('BEGIN')
    for (const client of clients) pids.push(await pid(client))
    t.equal(new Set(pids).size, 3)
    for (const client of clients) await client.query('COMMIT')
    for (const round of [0, 1, 2]) {
      for (const [at, client] of clients.entries()) t.equal(await pid(client), pids[at], `round ${round}, client ${at}`)
    }
    const newcomer = await loginRaw(t, pgbun, APP)
    t.equal(await pid(newcomer), pids[2], 'a newcomer gets the one used last')
  })

  await t.test('server_round_robin uses them in turn', async (t) => {
    const args = ['--server-round-robin', '--no-check-functions']
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 3, args })
    const clients = [await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP)]
    for (const client of clients) await client.query('BEGIN')
    for (const client of clients) await client.query('COMMIT')
    const seen = new Set<string>()
    for (let at = 0; at < 3; at++) seen.add(await pid(await loginRaw(t, pgbun, APP)))
    t.equal(seen.size, 3)
  })

  await t.test('query_wait_timeout fails the request and keeps the client', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1, args: ['--query-wait-timeout', '1s'] })
    const holder = await loginRaw(t, pgbun, APP)
    const client = await loginRaw(t, pgbun, APP)
    // The deadline is the holder's, too, which waits where the machine is busy.
    await waitFor(async () => typesOf(await holder.query('BEGIN')) === 'CZ')
    client.send(frontend.query('SELECT 1'))
    let messages = await client.readUntil('Z')
    t.equal(typesOf(messages), 'EZ')
    t.match(errorOf(messages), { S: 'ERROR', C: '53300', M: 'query_wait_timeout', D: /pool_size/ })

    const extended = [frontend.parse('SELECT 2'), frontend.bind(), frontend.execute(), frontend.flush()]
    client.send(...extended, frontend.close('S'), frontend.sync(), frontend.query('SELECT 3'))
    messages = await client.readUntil('Z')
    t.equal(typesOf(messages), 'EZ', 'an extended request is skipped to its Sync')
    await holder.query('COMMIT')
    t.same(rowsOf(await client.readUntil('Z')), [['3']], 'what came behind it is served')
    t.same(await client.rows('SELECT 4'), [['4']])
  })

  await t.test('pool_size is never exceeded, whatever the load', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 4, args: ['--max-client-conn', '200'] })
    await (await loginRaw(t, pgbun, APP)).end()
    const clients = await Promise.all(Array.from({ length: 60 }, () => pgbun.connect()))
    let worst = 0
    const watcher = await server.connect()
    let running = true
    const watch = (async () => {
      while (running) {
        const { rows } = await watcher.query("SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'app'")
        worst = Math.max(worst, rows[0].n)
      }
    })()
    const sums = await Promise.all(
      clients.map(async (client, at) => {
        let sum = 0
        for (let round = 0; round < 10; round++) {
          await client.query('BEGIN')
          const { rows } = await client.query('SELECT $1::int AS value, pg_backend_pid() AS pid', [at * 100 + round])
          const again = await client.query('SELECT pg_backend_pid() AS pid')
          if (again.rows[0].pid !== rows[0].pid) throw new Error('a transaction moved to another server')
          sum += rows[0].value
          await client.query('COMMIT')
        }
        return sum
      }),
    )
    running = false
    await watch
    t.same(
      sums,
      clients.map((_, at) => at * 1000 + 45),
      'every client got its own rows',
    )
    t.ok(worst <= 4, `at most 4 servers, seen ${worst}`)
    t.ok(worst >= 2, 'and more than one was used')
  })

  await t.test('the reserve is used by those who have waited for reserve_pool_timeout', async (t) => {
    const reserve = ['--reserve-pool-size', '1', '--reserve-pool-timeout', '300', '--query-wait-timeout', '0']
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1, args: reserve })
    const clients = [await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP), await loginRaw(t, pgbun, APP)]
    for (const client of clients.slice(0, 2)) await client.query('BEGIN')
    t.equal((await backends()).length, 2, 'the second one was served by the reserve')
    await enqueue(clients[2]!, frontend.query('SELECT 3'))
    await clients[0]!.query('COMMIT')
    t.same(rowsOf(await clients[2]!.readUntil('Z')), [['3']], 'the third one had to wait')
    t.equal((await backends()).length, 2)
  })

  await t.test('min_pool_size connections are kept while there are clients', async (t) => {
    const pgbun = await start(t, { poolSize: 5, args: ['--min-pool-size', '3'] })
    await loginRaw(t, pgbun, APP)
    await waitFor(async () => (await backends()).length === 3)
    t.pass('three servers without a query')
  })

  await t.test('max_client_conn refuses readably, and lets cancel requests through', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', args: ['--max-client-conn', '2'] })
    const first = await loginRaw(t, pgbun, APP)
    const second = await loginRaw(t, pgbun, APP)
    await t.rejects(loginRaw(t, pgbun, APP), { code: '53300', fields: { S: 'FATAL', M: /max_client_conn/ } })
    await t.rejects(pgbun.connect(), { code: '53300' }, 'a driver can read it')
    first.send(frontend.query('SELECT pg_sleep(600)'))
    await waitFor(async () => (await server.query(SLEEPING)).length === 1)
    await cancel(t, pgbun, first.session.pid, first.session.secret)
    t.match(errorOf(await first.readUntil('Z')), { C: '57014' })
    t.same(await first.rows('SELECT 1'), [['1']])
    await second.end()
    const third = await loginRaw(t, pgbun, APP)
    t.same(await third.rows('SELECT 3'), [['3']], 'there is room when somebody left')
    await pgbun.waitForLog(/max_client_conn/)
  })

  await t.test('pools are per user and database', async (t) => {
    await server.query('CREATE DATABASE another')
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const logins = [APP, { ...APP, database: 'another' }, { user: 'other', password: 'other' }]
    const who = 'SELECT current_user, current_database(), pg_backend_pid()'
    const seen = new Set<string | null>()
    for (const login of logins) {
      const client = await loginRaw(t, pgbun, login)
      await client.query('BEGIN')
      const [row] = await client.rows(who)
      t.same(row!.slice(0, 2), [login.user, ('database' in login && login.database) || 'postgres'])
      seen.add(row![2]!)
    }
    t.equal(seen.size, 3, 'a full pool does not hold up another')
  })

  await t.test('startup parameters and options are the session’s own', async (t) => {
    const pgbun = await start(t, { poolMode: 'transaction', poolSize: 1 })
    const plain = await loginRaw(t, pgbun, APP)
    const special = await loginRaw(t, pgbun, {
      ...APP,
      parameters: {
        application_name: 'special',
        options: '-c statement_timeout=12345 -c search_path=pg_catalog,public --DateStyle=German',
      },
    })
    for (let round = 0; round < 2; round++) {
      t.same(await special.rows('SHOW statement_timeout'), [['12345ms']])
      t.same(await special.rows('SHOW application_name'), [['special']])
      t.match((await special.rows('SHOW search_path'))[0]![0]!, /^pg_catalog, ?public$/)
      t.match((await special.rows('SHOW DateStyle'))[0]![0]!, /German/)
      t.same(await plain.rows('SHOW statement_timeout'), [['0']])
      t.not((await plain.rows('SHOW application_name'))[0]![0], 'special')
      t.notMatch((await plain.rows('SHOW DateStyle'))[0]![0]!, /German/)
    }
    const wrong = await loginRaw(t, pgbun, { ...APP, parameters: { statement_timeout: 'nonsense' } }).catch((e) => e)
    // PostgreSQL refuses it at login; pgbun at the first query at the latest.
    if (wrong instanceof Error) t.match(wrong, { code: '22023' })
    else {
      wrong.send(frontend.query('SELECT 1'))
      t.match(await wrong.expectFatal(), { S: 'FATAL', C: '22023', M: /statement_timeout/ })
    }
    t.same(await plain.rows('SHOW statement_timeout'), [['0']])
  })

  await t.test('many driver clients in each mode', async (t) => {
    for (const mode of ['session', 'transaction', 'statement'] as const) {
      const pgbun = await start(t, { poolMode: mode, poolSize: 2 })
      const clients = await Promise.all(Array.from({ length: mode === 'session' ? 2 : 6 }, () => pgbun.connect()))
      const answers = await Promise.all(
        clients.map(async (client, at) => {
          const values: number[] = []
          for (let round = 0; round < 20; round++) {
            const { rows } = await client.query('SELECT $1::int * 1000 + $2::int AS value', [at, round])
            values.push(rows[0].value)
          }
          return values
        }),
      )
      t.same(
        answers,
        clients.map((_, at) => Array.from({ length: 20 }, (_, round) => at * 1000 + round)),
        mode,
      )
    }
  })
})
