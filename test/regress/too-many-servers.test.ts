/**
 * Nothing bounded the server connections of all pools together: one user with eight databases took nearly all that
 * PostgreSQL has. `max_server_connections`, `max_db_connections` and `max_user_connections` do, at every moment, and
 * whoever waits because of them is served in turn.
 */
import t, { type Test } from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw } from '../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { type LabOptions, silent, sqlOf, startLab } from '../wire/lab.ts'

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
    t.test(`${limit}, ${poolMode} mode: never one too many, and all are served`, async (t) => {
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

t.test('an idle connection makes way, the one that was unused for longest', async (t) => {
  const { lab, open } = await startCounting(t, { maxServerConnections: 2 })
  for (const user of ['alice', 'bob', 'carol']) await (await lab.client({ user })).query('select 1')
  t.strictSame([...open].map(({ parameters }) => parameters.user).sort(), ['bob', 'carol'])
})

t.test('whoever has none gets one although others wait for each that comes back', async (t) => {
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

t.test('a client that waits in vain is told which limit it was, and so is the log', async (t) => {
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

t.test('a login that fails gives its place back', async (t) => {
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

t.test('real connections, with passwords that are proven by logins', async (t) => {
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

t.test('passwords that are not proven have one connection at a time make way', async (t) => {
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
