import t, { type Test } from 'tap'
import { defaultsOf } from '../../lib/settings/server-defaults.ts'
import { backend, frontend } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { type Client, type Lab, type LabOptions, silent, sqlOf, startLab } from '../wire/lab.ts'

// Nothing bounded the server connections of all pools together: one user with eight databases took nearly all that
// PostgreSQL has. max_server_connections, max_db_connections and max_user_connections do, at every moment, and each
// client that waits because of them is served in turn.
t.test('all pools together keep to max_server_connections', async (t) => {
  /** A pooler before a server that counts its sessions as PostgreSQL does: from their login to their Terminate or end. */
  async function startCounting(t: Test, options: LabOptions, hold: (sql: string) => Promise<void> | void = () => {}) {
    const open = new Set<ScriptedConnection>()
    const most = { total: 0, database: 0, user: 0 }
    const script = {
      onStartup(connection: ScriptedConnection) {
        open.add(connection)
        connection.socket.on('close', () => open.delete(connection))
        const same = (key: string): number => {
          return [...open].filter(({ parameters }) => parameters[key] === connection.parameters[key]).length
        }
        most.total = Math.max(most.total, open.size)
        most.database = Math.max(most.database, same('database'))
        most.user = Math.max(most.user, same('user'))
        connection.greet()
      },
      async onMessage(connection: ScriptedConnection, message: Parameters<typeof answerQueries>[1]) {
        if (message.type === 'X') open.delete(connection)
        if (message.type === 'Q') await hold(sqlOf(message))
        answerQueries(connection, message)
      },
    }
    return { lab: await startLab(t, { poolSize: 10, ...options, script }), open, most }
  }

  const users = ['alice', 'bob', 'carol', 'dave']

  const databases = ['a', 'b', 'c', 'd']

  for (const [limit, options, kind] of [
    ['max_server_connections', { maxServerConnections: 3 }, 'total'],
    ['max_db_connections', { maxDbConnections: 3 }, 'database'],
    ['max_user_connections', { maxUserConnections: 3 }, 'user'],
    ['all three', { maxServerConnections: 5, maxDbConnections: 2, maxUserConnections: 2 }, 'total'],
  ] as const) {
    for (const poolMode of ['transaction', 'session'] as const) {
      await t.test(`${limit}, ${poolMode} mode: never one too many, and all are served`, async (t) => {
        const { lab, most } = await startCounting(t, { ...options, poolMode })
        const work = async (user: string, database: string): Promise<void> => {
          for (let round = 0; round < 3; round++) {
            const client = await lab.client({ user, database })
            for (let i = 0; i < 4; i++) await client.query(`select '${user} ${database}'`)
            await client.end()
          }
        }
        const pairs = users.flatMap((user) => databases.map((database) => [user, database] as const))
        await Promise.all([...pairs, ...pairs].map(([user, database]) => work(user, database)))
        const limits: Record<string, number | undefined> = {
          total: 'maxServerConnections' in options ? options.maxServerConnections : undefined,
          database: 'maxDbConnections' in options ? options.maxDbConnections : undefined,
          user: 'maxUserConnections' in options ? options.maxUserConnections : undefined,
        }
        for (const [name, count] of Object.entries(most))
          t.ok(count <= (limits[name] ?? 90), `${count} at most by ${name}`)
        t.equal(most[kind], limits[kind], 'and the limit was used')
      })
    }
  }

  await t.test('the connection that was idle for longest makes way', async (t) => {
    const { lab, open } = await startCounting(t, { maxServerConnections: 2 })
    for (const user of ['alice', 'bob', 'carol']) await (await lab.client({ user })).query('select 1')
    t.strictSame([...open].map(({ parameters }) => parameters.user).sort(), ['bob', 'carol'])
  })

  await t.test('a client whose pool has no connection gets one although other clients wait for theirs', async (t) => {
    const { lab, most } = await startCounting(t, { maxServerConnections: 2 })
    let going = true
    const busy = Array.from({ length: 6 }, async () => {
      const client = await lab.client({ user: 'alice' })
      while (going) await client.query('select 1')
    })
    await waitFor(() => lab.servers().active === 2, { what: 'both to be in use' })
    const other = await lab.client({ user: 'bob' })
    await other.query('select 2')
    going = false
    await Promise.all(busy)
    t.equal(most.total, 2)
  })

  await t.test('a client that waits in vain is told which limit it was, and the log says it, too', async (t) => {
    const lab = await startLab(t, { maxDbConnections: 1, queryWaitTimeout: 400, script: silent })
    const holder = await lab.client({ user: 'alice' })
    holder.send(frontend.query('select 1'))
    await waitFor(() => lab.servers().active === 1, { what: 'the only connection to be in use' })
    const waiting = lab.client({ user: 'bob' })
    await lab.logged('max_db_connections')
    lab.server.connections[0]!.send(backend.commandComplete('SELECT 1'), backend.ready('T'))
    await holder.readUntil('Z')
    // A login waits for the first server of its pool.
    lab.server.connections[0]!.cut()
    const client = await waiting
    const second = await lab.client({ user: 'alice' })
    client.send(frontend.query('select 1'))
    await waitFor(() => lab.servers().active === 1, { what: 'the connection to be in use again' })
    const refused = errorOf(await second.query('select 1'))
    t.match(refused, {
      C: '53300',
      D: 'All 1 server connections of database "postgres" are in use (max_db_connections).',
    })
  })

  await t.test('a login that fails gives its place back', async (t) => {
    let refusing = true
    const lab = await startLab(t, {
      maxServerConnections: 1,
      serverLoginRetry: 100,
      script: {
        onStartup(connection) {
          if (refusing) connection.end(backend.error('53300', 'sorry, too many clients already', 'FATAL'))
          else connection.greet()
        },
      },
    })
    for (const user of users) await t.rejects(lab.client({ user }), { code: '53300' })
    refusing = false
    const client = await waitFor(() => lab.client({ user: 'erin' }), { what: 'a login' })
    await client.query('select 1')
  })

  await t.test('connections to a real PostgreSQL stay below the limit, those that prove a password, too', async (t) => {
    const server = await startPostgres(t, {
      bootstrapSql: [
        ...users.map((user) => `CREATE ROLE ${user} LOGIN PASSWORD '${user}'`),
        ...databases.map((name) => `CREATE DATABASE ${name}`),
      ],
    })
    const args = ['--max-server-connections', '3', '--max-user-connections', '2']
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      args: [...args, '--passthrough-ttl', '1ms'],
    })
    const watcher = await server.connect()
    const count =
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    let going = true
    let most = 0
    const watching = (async () => {
      while (going) most = Math.max(most, (await watcher.query(count)).rows[0].n)
    })()
    const work = async (user: string, database: string): Promise<void> => {
      for (let round = 0; round < 2; round++) {
        const client = await loginRaw(t, pgbun, { user, password: user, database })
        for (let i = 0; i < 3; i++)
          t.strictSame(await client.rows(`SELECT '${user}', current_database()`), [[user, database]])
        await client.end()
      }
    }
    await Promise.all(users.flatMap((user) => databases.map((database) => work(user, database))))
    going = false
    await watching
    t.ok(most <= 3, `${most} connections at most`)
  })

  await t.test('a login with an unproven password makes one idle connection at a time make way', async (t) => {
    const guesses = new Set<ScriptedConnection>()
    const alices = new Set<ScriptedConnection>()
    let holding = true
    const lab = await startLab(t, {
      authType: 'passthrough',
      poolMode: 'transaction',
      poolSize: 4,
      maxServerConnections: 4,
      maxUnprovenLogins: 16,
      script: {
        onStartup(connection: ScriptedConnection) {
          const own = connection.parameters.user === 'alice' ? alices : guesses
          own.add(connection)
          connection.socket.on('close', () => own.delete(connection))
          if (own === alices) connection.greet()
          else connection.send(backend.authentication(3))
        },
        async onMessage(connection: ScriptedConnection, message: Parameters<typeof answerQueries>[1]) {
          if (message.type === 'Q') await waitFor(() => !holding)
          if (message.type !== 'p') answerQueries(connection, message)
        },
      },
    })
    const clients = []
    for (let i = 0; i < 4; i++) clients.push(await lab.client({ user: 'alice' }))
    const answers = clients.map((client) => client.query('select 1'))
    await waitFor(() => alices.size === 4)
    holding = false
    await Promise.all(answers)
    for (let i = 0; i < 12; i++) {
      const guess = await lab.connect()
      guess.send(frontend.startup({ user: `user ${i}`, database: 'd' }), frontend.password('guess'))
    }
    await waitFor(() => guesses.size > 0 && alices.size === 3)
    // One guess after the other fails, which takes no more of hers.
    for (let i = 0; i < 8; i++) {
      const [connection] = guesses
      connection!.end(backend.error('28P01', 'password authentication failed', 'FATAL'))
      await waitFor(() => !guesses.has(connection!) && guesses.size > 0)
      t.equal(guesses.size, 1)
      t.equal(alices.size, 3)
    }
  })
})

t.test('limits of a pool that a reload changes hold for the connections that exist', async (t) => {
  /** So many clients, each in a transaction. */
  async function busyClients(lab: Lab, count: number): Promise<Client[]> {
    const clients: Client[] = []
    for (let i = 0; i < count; i++) clients.push(await lab.client())
    for (const client of clients) await client.query('begin')
    return clients
  }

  await t.test('a smaller pool_size closes connections as they come free', async (t) => {
    const lab = await startLab(t, { poolSize: 5 })
    const clients = await busyClients(lab, 5)
    await clients.pop()!.query('commit')
    await lab.pooler.reload({ poolSize: 2, reservePoolSize: 1 })
    await waitFor(() => lab.servers().idle === 0, { what: 'the end of the idle one' })
    t.match(lab.servers(), { active: 4 }, 'nobody is disturbed')
    // Somebody waits all the while: what comes back is closed, not lent on.
    const waiting = await lab.client()
    const answer = waiting.rows('select 1')
    await lab.waiting(1)
    await clients.pop()!.query('commit')
    t.match(lab.servers(), { active: 3 })
    await clients.pop()!.query('commit')
    t.strictSame(await answer, [['select 1']])
    for (const client of clients) await client.query('commit')
    t.equal(lab.pooler.snapshot().servers.length, 3, 'pool_size and the reserve')
    await lab.logged('pool_size was made smaller')
  })

  await t.test('a server_lifetime that was off does not end all connections at once', async (t) => {
    const lab = await startLab(t, { poolSize: 3, serverLifetime: 0, serverIdleTimeout: 0 })
    for (const client of await busyClients(lab, 3)) await client.query('commit')
    await lab.pooler.reload({ serverLifetime: '1h', serverIdleTimeout: 100, minPoolSize: 2 })
    // By then two sweeps have seen them.
    await waitFor(() => lab.pooler.snapshot().servers.length === 2, { what: 'the end of the spare one' })
    t.notMatch(lab.log.join('\n'), /server_lifetime/)
  })

  await t.test('a shorter server_lifetime ends connections that exist', async (t) => {
    const lab = await startLab(t, { poolSize: 3, serverLifetime: '1h' })
    for (const client of await busyClients(lab, 3)) await client.query('commit')
    await lab.pooler.reload({ serverLifetime: 20 })
    await waitFor(() => lab.pooler.snapshot().servers.length === 0, { what: 'their end' })
    await lab.logged('server_lifetime')
  })
})

// What servers report was remembered however long it was, once for each change: a server that went on inventing
// parameters had pgbun keep half a gigabyte of them within a second.
t.test('a server that invents parameters without end does not fill the memory', async (t) => {
  await t.test('the connection of such a server is closed', async (t) => {
    const connections: ScriptedConnection[] = []
    const lab = await startLab(t, {
      authType: 'trust',
      script: {
        onStartup(connection: ScriptedConnection) {
          connections.push(connection)
          connection.greet()
        },
      },
    })
    const client = await lab.client()
    const [liar] = connections
    const before = process.memoryUsage().rss
    for (let i = 0; i < 2000; i++) liar!.send(backend.parameterStatus(`name${i}`, 'x'.repeat(10_000)))
    await waitFor(() => liar!.closed)
    const grown = process.memoryUsage().rss - before
    // 256 of several megabytes each were kept.
    t.ok(grown < 400 * 1024 * 1024, `${grown} bytes more`)
    client.destroy()
  })

  await t.test('a report that is too long is not remembered', async (t) => {
    const map = (length: number): Map<string, string> => new Map([['a', 'x'.repeat(length)]])
    t.equal(defaultsOf(map(100)), defaultsOf(map(100)))
    t.not(defaultsOf(map(100_000)), defaultsOf(map(100_000)), 'too long to be remembered')
    t.same(defaultsOf(map(100_000)), map(100_000))
  })
})

// DROP DATABASE, ALTER DATABASE RENAME TO and SET TABLESPACE, and CREATE DATABASE of a template failed because of
// idle connections of the pool that nobody used: test runners, dropdb and createdb do not know of them.
t.test('DROP DATABASE works although idle connections of the pool are there', async (t) => {
  const bootstrapSql = ["CREATE ROLE other LOGIN PASSWORD 'other'"]
  const target = await startPostgres(t, { bootstrapSql })
  /** Leaves idle servers of two users behind. */
  const use = async (pgbun: Pgbun, database: string): Promise<void> => {
    for (const login of [{}, { user: 'other', password: 'other' }]) {
      const client = await loginRaw(t, pgbun, { ...login, database })
      await client.rows('SELECT 1')
      await client.end()
    }
  }
  const simple = async (client: RawClient, sql: string) => errorOf(await client.query(sql))
  const extended = async (client: RawClient, sql: string) => {
    client.send(frontend.parse(sql), frontend.bind(), frontend.describe('P'), frontend.execute(), frontend.sync())
    return errorOf(await client.readUntil('Z'))
  }
  const named = async (client: RawClient, sql: string) => {
    client.send(frontend.parse(sql, 'mine'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.bind([], 'mine'), frontend.execute(), frontend.sync())
    const found = errorOf(await client.readUntil('Z'))
    client.send(frontend.close('S', 'mine'), frontend.sync())
    await client.readUntil('Z')
    return found
  }
  for (const mode of ['transaction', 'session'] as const) {
    const args = ['--min-pool-size', '1']
    const pgbun = await startPgbun(t, { target, poolMode: mode, args })
    const admin = await loginRaw(t, pgbun)
    for (const [protocol, run] of Object.entries({ simple, extended, named })) {
      const cases: [string, string, string][] = [
        ['DROP DATABASE', 'busy', 'drop /* now */ database busy;'],
        ['IF EXISTS, a quoted name', 'My "Db"', '-- x\n;DROP DATABASE IF EXISTS "My ""Db"""'],
        ['letters outside of ASCII', 'grün', 'DROP DATABASE grün'],
        ['WITH (FORCE)', 'busy', 'DROP DATABASE busy WITH (FORCE)'],
        ['RENAME', 'busy', 'ALTER DATABASE Busy RENAME TO renamed'],
        ['SET TABLESPACE', 'busy', 'ALTER DATABASE busy SET TABLESPACE pg_default'],
        ['TEMPLATE', 'busy', 'CREATE DATABASE copied WITH OWNER postgres TEMPLATE = busy'],
        ['TEMPLATE as a constant', 'busy', "CREATE DATABASE copied TEMPLATE 'busy' STRATEGY wal_log"],
        ['the default template', 'template1', 'CREATE DATABASE copied'],
      ]
      // Past pgbun nobody waits for connections to template1, which pgbun may open again until its client has left.
      for (const [name, database, sql] of cases) {
        if (sql.includes('STRATEGY') && target.major < 15) continue
        await t.test(`${name}, ${protocol}, ${mode} mode`, async (t) => {
          const quoted = `"${database.replaceAll('"', '""')}"`
          if (database !== 'template1') await target.query(`CREATE DATABASE ${quoted} TEMPLATE template0`)
          await use(pgbun, database)
          // A client that is connected and holds no server gives min_pool_size a reason to open one.
          const idle = mode === 'transaction' ? await loginRaw(t, pgbun, { database }) : undefined
          t.match(await run(admin, sql), {}, 'no error')
          await idle?.end()
          await target.query('DROP DATABASE IF EXISTS copied')
          await target.query('DROP DATABASE IF EXISTS renamed')
          await target.query('DROP DATABASE IF EXISTS busy WITH (FORCE)')
        })
      }
    }
    await t.test(`${mode} mode: a user who may not drop the database closes no connection by it`, async (t) => {
      await target.query('CREATE DATABASE busy TEMPLATE template0')
      const client = await loginRaw(t, pgbun, { database: 'busy' })
      const [[pid]] = (await client.rows('SELECT pg_backend_pid()')) as [[string]]
      await client.end()
      const stranger = await loginRaw(t, pgbun, { user: 'other', password: 'other', database: 'postgres' })
      t.match(errorOf(await stranger.query('DROP DATABASE busy')), { C: '42501' })
      t.match(errorOf(await stranger.query('CREATE DATABASE copied TEMPLATE busy')), { C: '42501' })
      const there = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE pid = ${pid}`
      t.same(await target.query(there), [{ n: 1 }])
      const next = await loginRaw(t, pgbun, { database: 'busy' })
      t.match(
        errorOf(await admin.query('DROP DATABASE busy; SELECT 1')),
        { C: '25001' },
        'PostgreSQL refuses that itself',
      )
      await next.end()
      await admin.query('DROP DATABASE busy')
    })
  }
})
