/**
 * Death on either side: a client that vanishes leaves no query, lock or transaction behind and its server to others; a
 * server that vanishes is reported in its own words or with what is known of it, and pgbun finds the way back alone.
 */
import t from 'tap'
import { backend, frontend, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { answerQueries, startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { gate, waitFor } from '../fixtures/wait.ts'

t.test('with PostgreSQL', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      'CREATE TABLE sink (line text)',
      "CREATE ROLE limited LOGIN PASSWORD 'limited' CONNECTION LIMIT 2",
      "CREATE ROLE app LOGIN PASSWORD 'app'",
    ],
  })
  const pid = async (client: RawClient): Promise<string> => (await client.rows('SELECT pg_backend_pid()'))[0]![0]!
  const sleeping = async (): Promise<number> =>
    (await server.query("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(%'"))
      .length

  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`a client that vanishes, pool mode ${mode}`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
      const first = await loginRaw(t, pgbun)
      const only = await pid(first)
      await first.end()
      const insert = "INSERT INTO sink VALUES ('lost')"
      const deaths: Record<string, (client: RawClient) => Promise<void>> = {
        'in a query': async (client) => {
          client.send(frontend.query('SELECT pg_sleep(600)'))
          await waitFor(async () => (await sleeping()) === 1)
        },
        'in a transaction with a lock': async (client) => {
          await client.query(`BEGIN; LOCK TABLE sink; ${insert}`)
        },
        'in a query of a transaction': async (client) => {
          await client.query(`BEGIN; LOCK TABLE sink; ${insert}`)
          client.send(frontend.query('SELECT pg_sleep(600)'))
          await waitFor(async () => (await sleeping()) === 1)
        },
        'in a batch without a Sync': async (client) => {
          client.send(frontend.parse(insert), frontend.bind(), frontend.execute(), frontend.flush())
          await client.readUntil('C')
        },
        'behind an error in a batch without a Sync': async (client) => {
          client.send(frontend.parse('SELEC'), frontend.flush())
          await client.readUntil('E')
        },
        'in a failed transaction': async (client) => {
          await client.query('BEGIN')
          await client.query('SELEC')
        },
        'with Terminate right behind a query': async (client) => {
          client.send(frontend.query(`BEGIN; ${insert}; SELECT pg_sleep(0.1)`), frontend.terminate())
          await client.expectClosed()
        },
        'in a pipeline of many queries': async (client) => {
          const many = Array.from({ length: 300 }, () => frontend.query('SELECT pg_sleep(0.2)'))
          client.send(frontend.query(`BEGIN; ${insert}`), ...many)
          await client.readUntil('Z')
        },
        'between two queries': async (client) => {
          await client.query('SELECT 1')
        },
      }
      for (const [when, die] of Object.entries(deaths)) {
        const client = await loginRaw(t, pgbun)
        await die(client)
        client.destroy()
        const next = await loginRaw(t, pgbun)
        t.equal(await pid(next), only, `${when}: the next client gets the same server`)
        t.same(await next.rows('SELECT * FROM sink'), [], 'nothing was written')
        t.equal(await sleeping(), 0, 'nothing goes on running')
        await next.end()
      }
      t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
    })
  }

  await t.test('a server told to end: its own words reach the client', async (t) => {
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      poolSize: 2,
      args: ['-v'],
    })
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await client.query('BEGIN')
    const victim = await pid(client)
    client.send(frontend.query('SELECT pg_sleep(600)'))
    await waitFor(async () => (await sleeping()) === 1)
    await server.query('SELECT pg_terminate_backend($1)', [victim])
    t.match(await client.expectFatal(), {
      S: 'FATAL',
      C: '57P01',
      M: 'terminating connection due to administrator command',
    })
    t.same(await other.rows('SELECT 1'), [['1']])

    const idle = await pid(other)
    await server.query('SELECT pg_terminate_backend($1)', [idle])
    await waitFor(async () => {
      const found = await server.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [idle])
      return found.length === 0
    })
    await pgbun.waitForLog(new RegExp(`server connection (lost|closed).*pid=${idle}`))
    t.not(await pid(other), idle, 'one that ends while nobody has it concerns nobody')
  })

  await t.test('a server killed without a word, and the recovery of PostgreSQL', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 3 })
    const client = await loginRaw(t, pgbun)
    const bystander = await loginRaw(t, pgbun)
    const idle = await loginRaw(t, pgbun)
    await client.query('BEGIN')
    await bystander.query('BEGIN')
    const victim = await pid(client)
    process.kill(Number(victim), 'SIGKILL')
    const lost = await client.expectFatal()
    t.match(lost, { S: 'FATAL', C: '08006', M: 'server closed the connection unexpectedly' })
    t.match(lost.D, new RegExp(`port ${server.port}.*process ${victim}.*connected for [0-9.]+s.*in a transaction`))
    t.match(await bystander.expectFatal(), { S: 'FATAL', C: /57P0[12]|08006/ })
    // PostgreSQL ends all its processes and recovers: who asks meanwhile waits, or is told why not.
    await waitFor(async () => {
      const messages = await idle.query('SELECT 1')
      return typesOf(messages) === 'TDCZ'
    })
    t.pass('a client that held nothing lives through it')
    t.same(await (await loginRaw(t, pgbun)).rows('SELECT 2'), [['2']])
  })

  await t.test('PostgreSQL stopped and started under load', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 5 })
    let restarted = false
    let failures = 0
    let before = 0
    const work = Array.from({ length: 15 }, async (_, at) => {
      let client: Awaited<ReturnType<typeof pgbun.connect>> | undefined
      for (let after = 0; after < 10; ) {
        try {
          client ??= await pgbun.connect()
          const { rows } = await client.query({ name: 'q', text: 'SELECT $1::int AS value', values: [at] })
          if (rows[0].value !== at) throw new Error(`client ${at} got ${rows[0].value}`)
          if (restarted) after++
          else before++
        } catch (error) {
          if (/client \d+ got/.test((error as Error).message)) throw error
          failures++
          await client?.end().catch(() => {})
          client = undefined
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }
      await client?.end()
    })
    await waitFor(() => before > 100)
    await server.shutdown('immediate')
    await pgbun.waitForLog(/server connection failed/)
    await server.start()
    restarted = true
    await Promise.all(work)
    t.ok(failures > 0, `${failures} failures while it was down, everybody is back`)
    t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
  })

  await t.test('what PostgreSQL says to a login is what the client hears', async (t) => {
    const pgbun = await startPgbun(t, { target: server })
    await t.rejects(pgbun.connect({ database: 'nowhere' }), {
      code: '3D000',
      message: /database "nowhere" does not exist/,
    })
    await t.rejects(pgbun.connect({ database: 'nowhere' }), { code: '3D000' }, 'the second time, too')
    t.same((await (await pgbun.connect()).query('SELECT 1 AS one')).rows, [{ one: 1 }], 'nobody else is concerned')
  })

  await t.test('fewer connections than pool_size are enough where PostgreSQL gives no more', async (t) => {
    const login = { user: 'limited', password: 'limited' }
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      poolSize: 5,
      ...login,
    })
    const clients = await Promise.all(Array.from({ length: 8 }, () => loginRaw(t, pgbun, login)))
    const answers = await Promise.all(clients.map((client) => client.rows('SELECT 1, pg_sleep(0.05)')))
    t.same(
      answers.map((rows) => rows[0]![0]),
      clients.map(() => '1'),
    )
    const used = await server.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'limited'")
    t.ok(used.length <= 2)
  })
})

t.test('a server that is not there', async (t) => {
  const port = await freePort()
  const targets = [
    { target: { host: '127.0.0.1', port }, words: new RegExp(`127\\.0\\.0\\.1.*${port}|${port}.*127\\.0\\.0\\.1`) },
    { target: { host: 'no-such-host.invalid', port }, words: /no-such-host\.invalid/ },
    { target: { host: '/nowhere', port }, words: /\/nowhere/ },
  ]
  for (const { target, words } of targets) {
    const pgbun = await startPgbun(t, { target })
    for (const attempt of [1, 2]) {
      const error = await loginRaw(t, pgbun).catch((error) => error)
      t.match(error, { code: '57P03', fields: { S: 'FATAL', M: words } }, `${target.host}, attempt ${attempt}`)
    }
    await pgbun.waitForLog(words)
  }

  await t.test('and comes up later', async (t) => {
    const pgbun = await startPgbun(t, { target: { host: '127.0.0.1', port } })
    await t.rejects(pgbun.connect(), { code: '57P03' })
    const server = await startPostgres(t, { port })
    t.equal(server.port, port)
    await waitFor(async () => loginRaw(t, pgbun))
    t.same((await (await pgbun.connect()).query('SELECT 1 AS one')).rows, [{ one: 1 }])
  })
})

t.test('with a scripted server', async (t) => {
  await t.test('a server that is starting up is waited for', async (t) => {
    let refusals = 2
    const server = await startScriptedPostgres(t, {
      onStartup(connection) {
        if (refusals-- > 0) connection.end(backend.error('57P03', 'the database system is starting up', 'FATAL'))
        else connection.greet()
      },
    })
    const pgbun = await startPgbun(t, { target: server })
    const client = await loginRaw(t, pgbun)
    t.same(await client.rows('select 1'), [['select 1']])
    t.ok(server.connections.length > 2)
  })

  await t.test('a server lost in a query: what is known of it', async (t) => {
    const server = await startScriptedPostgres(t, {
      onMessage(connection, message) {
        if (message.type === 'Q' && parse.strings(message.body)[0] === 'cut') connection.cut()
        else answerQueries(connection, message)
      },
    })
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', args: ['--no-check-functions'] })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.query('cut'))
    const error = await client.expectFatal()
    t.match(error, { S: 'FATAL', C: '08006', M: 'server closed the connection unexpectedly' })
    t.match(error.D, new RegExp(`127\\.0\\.0\\.1.*port ${server.port}.*process \\d+.*running a query`))
    t.same(await (await loginRaw(t, pgbun)).rows('select 1'), [['select 1']])
  })

  await t.test('a client that dies in a query: cancel, drain, rollback, and not lent before', async (t) => {
    const held = gate()
    const canceling = gate()
    const server = await startScriptedPostgres(t, {
      async onMessage(connection, message) {
        const [sql] = message.type === 'Q' ? parse.strings(message.body) : []
        if (sql !== 'hold') return answerQueries(connection, message)
        await held.opened
        connection.send(backend.error('57014', 'canceling statement due to user request'), backend.ready('T'))
      },
      onCancel: () => canceling.opened,
    })
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      poolSize: 1,
      args: ['--no-check-functions'],
    })
    const dying = await loginRaw(t, pgbun)
    await dying.query('BEGIN')
    dying.send(frontend.query('hold'))
    const connection = await server.connection(0)
    await connection.message(1)
    dying.destroy()
    const next = await loginRaw(t, pgbun)
    next.send(frontend.query('select 2'))
    await waitFor(() => server.cancels.length === 1)
    t.same(server.cancels, [{ pid: connection.pid, secret: connection.secret }], 'with the key of the server')
    held.open()
    // The query has ended; the cancel request has not: whatever is sent now could still be hit by it.
    await next.sendBytewise(frontend.sync())
    t.equal(connection.received.length, 2)
    canceling.open()
    t.same(rowsOf(await next.readUntil('D')), [['select 2']])
    const sent = connection.received.filter(({ type }) => type === 'Q').map(({ body }) => parse.strings(body)[0])
    t.equal(sent[2], 'ROLLBACK')
    t.equal(sent.at(-1), 'select 2')
  })

  await t.test('a cancel of a client whose server is being drained hits nobody', async (t) => {
    const server = await startScriptedPostgres(t)
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      poolSize: 1,
      args: ['--no-check-functions'],
    })
    const client = await loginRaw(t, pgbun)
    await client.rows('select 1')
    const { pid, secret } = client.session
    await client.end()
    await cancel(t, pgbun, pid, secret)
    t.same(server.cancels, [])
    t.same(errorOf(await (await loginRaw(t, pgbun)).query('select 2')), {})
  })
})
