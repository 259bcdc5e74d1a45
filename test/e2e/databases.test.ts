/** `[databases]` and `[users]`: where databases lead, as whom pgbun logs in there, what counts for each, and their reload. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createPooler } from '../../lib/index.ts'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, LoginError, loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('databases and users', async (t) => {
  const roles = ["CREATE ROLE app LOGIN PASSWORD 'app'", "CREATE ROLE svc LOGIN PASSWORD 'svc'"]
  const first = await startPostgres(t, { bootstrapSql: [...roles, "CREATE TABLE here AS SELECT 'first' AS server"] })
  const second = await startPostgres(t, { bootstrapSql: [...roles, "CREATE TABLE here AS SELECT 'second' AS server"] })
  for (const server of [first, second]) {
    await server.query('GRANT SELECT ON here TO PUBLIC')
    await server.query('CREATE DATABASE other')
  }
  const APP = { user: 'app', password: 'app' }
  const dir = t.testdir({
    'users.txt': '"app" "app"\n"eve" "eve"\n"postgres" "postgres"\n',
    password: 'svc\n',
    'command.sh': 'cat "$1"; echo x >> "$1.count"\n',
  })
  const users = join(dir, 'users.txt')
  chmodSync(users, 0o600)
  let files = 0
  const at = ({ host, port }: { host: string; port: number }): string => `host = "${host}"\nport = ${port}\n`
  const SECRETS = `[auth]\nauth_type = "scram-sha-256"\nauth_file = "${users}"\n`

  /** pgbun with a file that can be written anew. */
  async function start(
    t: Test,
    text: string,
    options: PgbunOptions = {},
  ): Promise<Pgbun & { rewrite(text: string): Promise<void> }> {
    const file = join(dir, `pgbun${++files}.toml`)
    writeFileSync(file, text)
    const pgbun = await startPgbun(t, { ...APP, ...options, args: ['--config', file, ...(options.args ?? [])] })
    let reloads = 0
    return Object.assign(pgbun, {
      async rewrite(next: string) {
        writeFileSync(file, next)
        pgbun.signal('SIGHUP')
        reloads++
        await waitFor(() => (pgbun.logs().match(/configuration (not )?reloaded/g)?.length ?? 0) >= reloads)
      },
    })
  }

  const serverOf = async (t: Test, pgbun: Pgbun, database: string, more = APP): Promise<string> => {
    const client = await loginRaw(t, pgbun, { ...more, database })
    const [[server]] = (await client.rows('SELECT server FROM here')) as [[string]]
    await client.end()
    return server
  }

  /** The error of a login that is refused, with the password where it is asked for. */
  const refusal = async (
    t: Test,
    pgbun: Pgbun,
    database: string,
    who = APP,
    sql = '',
  ): Promise<Record<string, string>> => {
    try {
      const client = await loginRaw(t, pgbun, { ...who, database })
      if (sql !== '') return errorOf(await client.query(sql))
    } catch (error) {
      if (error instanceof LoginError) return error.fields
      throw error
    }
    return {}
  }

  await t.test('each leads where its section says, under the name that it has there', async (t) => {
    const pgbun = await start(
      t,
      `[databases.one]\n${at(first)}dbname = "postgres"\n[databases.two]\n${at(second)}dbname = "postgres"\n` +
        `[databases.postgres]\n${at(second)}[databases.elsewhere]\n${at(first)}dbname = "other"\n`,
    )
    t.equal(await serverOf(t, pgbun, 'one'), 'first')
    t.equal(await serverOf(t, pgbun, 'two'), 'second')
    t.equal(await serverOf(t, pgbun, 'postgres'), 'second')
    const client = await loginRaw(t, pgbun, { ...APP, database: 'elsewhere' })
    t.same(await client.rows('SELECT current_database()'), [['other']])
    await t.test(
      'and one without a section is unknown, which a guesser cannot tell from a wrong password',
      async (t) => {
        const unknown = await refusal(t, pgbun, 'nowhere')
        const wrong = await refusal(t, pgbun, 'one', { user: 'app', password: 'wrong' })
        t.match(unknown, { S: 'FATAL', C: '28P01', M: 'password authentication failed for user "app"' })
        t.equal(unknown.M, wrong.M)
        await pgbun.waitForLog(/there is no database \\"nowhere\\" in \[databases\]/)
      },
    )
  })

  await t.test('any other leads where the section * says', async (t) => {
    const pgbun = await start(t, `[databases.one]\n${at(first)}dbname = "postgres"\n[databases."*"]\n${at(second)}`)
    t.equal(await serverOf(t, pgbun, 'one'), 'first')
    t.equal(await serverOf(t, pgbun, 'postgres'), 'second')
    t.match(await refusal(t, pgbun, 'nowhere'), { C: '3D000', M: 'database "nowhere" does not exist' })
  })

  await t.test('an unknown database with secrets of auth_file', async (t) => {
    const pgbun = await start(t, `${SECRETS}[databases.postgres]\n${at(first)}`)
    t.match(await refusal(t, pgbun, 'nowhere'), { C: '3D000', M: 'no such database: nowhere' })
    t.match(await refusal(t, pgbun, 'nowhere', { user: 'app', password: 'wrong' }), { C: '28P01' })
    t.match(await refusal(t, pgbun, 'nowhere', { user: 'nobody', password: 'wrong' }), { C: '28P01' })
  })

  await t.test('one user for all clients', async (t) => {
    chmodSync(join(dir, 'password'), 0o600)
    const section = (name: string, more: string): string => {
      return `[databases.${name}]\n${at(first)}dbname = "postgres"\nuser = "svc"\n${more}\n`
    }
    const command = `password_command = "sh ${dir}/command.sh ${dir}/password"`
    const pgbun = await start(
      t,
      SECRETS +
        section('written', 'password = "svc"') +
        section('env', 'password = "${SVC_PASSWORD}"') +
        section('file', `password_file = "${dir}/password"`) +
        section('command', command) +
        section('wrong', 'password = "hunter2"') +
        section('fails', 'password_command = "echo hunter2; exit 3"') +
        section('hangs', 'password_command = "sleep 600"') +
        section('empty', 'password_command = "true"') +
        // While one is asked for its functions, the next client gets another.
        '[pool]\ncheck_functions = false\n[timeouts]\nserver_connect_timeout = "1s"\n',
      { env: { SVC_PASSWORD: 'svc' }, poolMode: 'transaction' },
    )
    for (const database of ['written', 'env', 'file', 'command']) {
      const pids = new Set<string>()
      for (const who of [APP, { user: 'eve', password: 'eve' }, APP]) {
        const client = await loginRaw(t, pgbun, { ...who, database })
        const [[user, pid]] = (await client.rows('SELECT session_user, pg_backend_pid()')) as [[string, string]]
        t.equal(user, 'svc', database)
        pids.add(pid)
        await client.end()
      }
      t.equal(pids.size, 1, 'all share one connection')
    }
    t.match(
      await refusal(t, pgbun, 'written', { user: 'app', password: 'svc' }),
      { C: '28P01' },
      "the client's own password counts",
    )
    await t.test('no password is to be had', async (t) => {
      t.match(await refusal(t, pgbun, 'wrong'), { C: '28P01', M: 'password authentication failed for user "svc"' })
      t.match(await refusal(t, pgbun, 'fails'), {
        M: /no password for user "svc": password_command ended with exit code 3/,
      })
      t.match(await refusal(t, pgbun, 'hangs'), { M: /password_command did not end within 1000 ms/ })
      t.match(await refusal(t, pgbun, 'empty'), { M: /password_command printed nothing/ })
      t.notMatch(pgbun.logs(), /hunter2/)
    })
    await t.test('a password that has become old is asked for once more', async (t) => {
      const ran = (): number => readFileSync(join(dir, 'password.count'), 'utf8').trim().split('\n').length
      const before = ran()
      await first.query("ALTER ROLE svc PASSWORD 'new'")
      t.teardown(() => first.query("ALTER ROLE svc PASSWORD 'svc'"))
      writeFileSync(join(dir, 'password'), 'new\n')
      await first.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'svc'")
      for (const database of ['command', 'file']) t.equal(await serverOf(t, pgbun, database), 'first')
      t.equal(ran(), before + 1)
    })
  })

  await t.test('a function of the program gives the password, and again when it is refused', async (t) => {
    let asked = 0
    let password: string | Error = 'svc'
    const pooler = await createPooler(
      {
        listenHost: '127.0.0.1',
        listenPort: 0,
        authType: 'trust',
        databases: {
          app: {
            host: `${first.host}:${first.port}`,
            dbname: 'postgres',
            user: 'svc',
            password: async () => {
              asked++
              if (password instanceof Error) throw password
              return password
            },
          },
        },
      },
      { logger: false },
    )
    t.teardown(() => pooler.close({ timeoutMs: 0 }))
    const { port } = pooler.address as { port: number }
    const login = () => loginRaw(t, { host: '127.0.0.1', port }, { user: 'anybody', password: '', database: 'app' })
    for (let i = 0; i < 3; i++) t.same(await (await login()).rows('SELECT session_user'), [['svc']])
    t.equal(asked, 1)
    await first.query("ALTER ROLE svc PASSWORD 'newer'")
    t.teardown(() => first.query("ALTER ROLE svc PASSWORD 'svc'"))
    password = 'newer'
    await first.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'svc'")
    await waitFor(() => pooler.snapshot().servers.length === 0)
    t.same(await (await login()).rows('SELECT session_user'), [['svc']])
    t.equal(asked, 2)
  })

  await t.test('parameters of a database, and its connect_query', async (t) => {
    const pgbun = await start(
      t,
      `[databases.postgres]\n${at(first)}application_name = "from pgbun"\ntimezone = "Asia/Tokyo"\n` +
        `datestyle = "German"\nclient_encoding = "LATIN1"\nconnect_query = "SELECT set_config('app.met', 'yes', false)"\n` +
        `[databases.bad]\n${at(first)}dbname = "postgres"\nconnect_query = "SELECT 1/0"\n` +
        `[databases.open]\n${at(first)}dbname = "postgres"\nconnect_query = "BEGIN"\n`,
    )
    const client = await loginRaw(t, pgbun, { ...APP, database: 'postgres' })
    t.match(client.session.parameters, { TimeZone: 'Asia/Tokyo', application_name: 'from pgbun' })
    const settings =
      "SELECT current_setting('DateStyle'), current_setting('client_encoding'), current_setting('app.met')"
    t.same(await client.rows(settings), [['German, DMY', 'LATIN1', 'yes']])
    const parameters = { TimeZone: 'UTC', application_name: 'mine' }
    const own = await loginRaw(t, pgbun, { ...APP, database: 'postgres', parameters })
    t.same(await own.rows("SELECT current_setting('TimeZone'), current_setting('application_name')"), [['UTC', 'mine']])
    t.equal(await serverOf(t, pgbun, 'bad'), 'first', 'one that fails is logged')
    await pgbun.waitForLog(/connect_query failed: division by zero/)
    // It is found out while the client logs in, or a moment later.
    const refused = await refusal(t, pgbun, 'open', APP, 'SELECT 1')
    t.match(refused, { C: '57P03', M: /connect_query has left no usable connection/ })
    await pgbun.waitForLog(/connect_query has left a transaction open, or has ended it/)
  })

  await t.test('what counts for one database, one user', async (t) => {
    const pgbun = await start(
      t,
      `[pool]\npool_size = 9\n[databases.a]\n${at(first)}dbname = "postgres"\npool_size = 1\npool_mode = "transaction"\n` +
        `query_timeout = "2s"\nmax_db_client_connections = 2\n[databases."*"]\n${at(first)}\n` +
        '[users.postgres]\npool_size = 2\nquery_timeout = 0\nmax_user_client_connections = 2\n',
    )
    const admin = { user: 'postgres', password: 'postgres' }
    const one = await loginRaw(t, pgbun, { ...APP, database: 'a' })
    const two = await loginRaw(t, pgbun, { ...APP, database: 'a' })
    const pids = await Promise.all([one, two].map((client) => client.rows('SELECT pg_backend_pid()')))
    t.same(pids[0], pids[1], 'pool_mode and pool_size of the database')
    t.match(await refusal(t, pgbun, 'a'), { C: '53300', M: 'client connections exceeded (max_db_client_connections)' })
    one.send(frontend.query('SELECT pg_sleep(60)'))
    t.match(await one.expectFatal(), { C: '57014', M: 'query_timeout' })
    const third = await loginRaw(t, pgbun, { ...admin, database: 'a' })
    t.same(await third.rows('SELECT 1 FROM pg_sleep(2.3)'), [['1']], "the user's value counts before the database's")
    const fourth = await loginRaw(t, pgbun, { ...admin, database: 'postgres' })
    t.match(await refusal(t, pgbun, 'postgres', admin), {
      C: '53300',
      M: 'client connections exceeded (max_user_client_connections)',
    })
    await fourth.end()
    await waitFor(() => pgbun.logs().includes('client disconnected'))
    const fifth = await loginRaw(t, pgbun, { ...admin, database: 'postgres' })
    t.same(await fifth.rows('SELECT 1'), [['1']], 'a place is free again')
  })

  await t.test('connections of a database are kept warm, where one user is logged in', async (t) => {
    const config = `${SECRETS}[databases.warm]\n${at(first)}dbname = "other"\nuser = "svc"\npassword = "svc"\nmin_pool_size = 3\n`
    await start(t, config)
    await waitFor(async () => {
      const rows = await first.query("SELECT 1 FROM pg_stat_activity WHERE datname = 'other' AND usename = 'svc'")
      return rows.length === 3
    })
  })

  await t.test('a reload', async (t) => {
    const before =
      `[databases.a]\n${at(first)}dbname = "postgres"\n[databases.b]\n${at(first)}dbname = "postgres"\n` +
      `[databases.c]\n${at(first)}dbname = "postgres"\n`
    const pgbun = await start(t, before, { poolMode: 'transaction' })
    const clients = { a: await login('a'), b: await login('b'), c: await login('c') }
    async function login(database: string) {
      const client = await loginRaw(t, pgbun, { ...APP, database })
      await client.query('SELECT 1')
      return client
    }
    const where = 'SELECT server, pg_backend_pid() FROM here'
    const [[, pidOfB]] = (await clients.b.rows(where)) as [[string, string]]
    await clients.a.query('BEGIN')
    const after =
      `[databases.a]\n${at(second)}dbname = "postgres"\n[databases.b]\n${at(first)}dbname = "postgres"\n` +
      `[databases.d]\n${at(second)}dbname = "postgres"\n`

    await t.test('with a mistake changes nothing', async (t) => {
      await pgbun.rewrite(`${after}[databases.e]\nport = 0\n`)
      t.match(pgbun.logs(), /pgbun\d+\.toml:\d+: Invalid port: 0\. Must be between 1 and 65535/)
      t.match(await clients.c.rows('SELECT 1'), [['1']])
      t.match(await refusal(t, pgbun, 'd'), { C: '28P01' })
    })

    await pgbun.rewrite(after)
    t.match(await clients.a.rows('SELECT server FROM here'), [['first']], 'a transaction stays where it began')
    await clients.a.query('COMMIT')
    t.match(await clients.a.rows('SELECT server FROM here'), [['second']], 'the next is where the database leads now')
    t.same(await clients.b.rows(where), [['first', pidOfB]], 'what did not change keeps its connections')
    t.match(await clients.c.expectFatal(), { C: '57P01' })
    t.match(await refusal(t, pgbun, 'c'), { C: '28P01' })
    t.equal(await serverOf(t, pgbun, 'd'), 'second')
    await waitFor(async () => {
      return (await first.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'app'")).length === 1
    })
  })

  await t.test('a reload of the way to do TLS renews connections', async (t) => {
    const text = (mode: string, more = ''): string =>
      `[databases.one]\n${at(first)}dbname = "postgres"\n${more}[tls]\nserver_tls_mode = "${mode}"\n`
    const pgbun = await start(t, text('prefer'), { poolMode: 'transaction', args: ['--no-check-functions'] })
    const client = await loginRaw(t, pgbun, { ...APP, database: 'one' })
    const pid = async (): Promise<unknown> => (await client.rows('SELECT pg_backend_pid()'))[0]?.[0]
    const before = await pid()
    await pgbun.rewrite(text('prefer'))
    t.equal(await pid(), before)
    await pgbun.rewrite(text('disable'))
    const after = await pid()
    t.not(after, before)
    // What the section says counts, and it is the same.
    await pgbun.rewrite(text('allow', 'server_tls_mode = "disable"\n'))
    t.equal(await pid(), after)
  })

  await t.test('a connection that is being opened when its database moves is used for nobody', async (t) => {
    const go = join(dir, 'go')
    const command = `touch ${go}.asked; while [ ! -e ${go} ]; do sleep 0.05; done; echo svc`
    const text = (server: { host: string; port: number }): string =>
      `${SECRETS}[databases.slow]\n${at(server)}dbname = "postgres"\nuser = "svc"\npassword_command = "${command}"\n`
    const pgbun = await start(t, text(first), { poolMode: 'transaction' })
    const login = loginRaw(t, pgbun, { ...APP, database: 'slow' })
    await waitFor(() => existsSync(`${go}.asked`))
    await pgbun.rewrite(text(second))
    writeFileSync(go, '')
    const client = await login
    t.same(await client.rows('SELECT server FROM here'), [['second']])
    await waitFor(async () => {
      return (await first.query("SELECT 1 FROM pg_stat_activity WHERE usename = 'svc'")).length === 0
    })
  })

  await t.test('a change of a file is noticed, where that is asked for', async (t) => {
    const own = join(dir, 'own-users.txt')
    const secrets = '[auth]\nauth_type = "scram-sha-256"\n'
    const text = `${secrets}auth_file = "${own}"\n[process]\nreload_on_change = true\n[databases.postgres]\n${at(first)}`
    writeFileSync(own, '"app" "app"\n', { mode: 0o600 })
    const pgbun = await start(t, text)
    t.equal(await serverOf(t, pgbun, 'postgres'), 'first')
    t.match(await refusal(t, pgbun, 'postgres', { user: 'svc', password: 'svc' }), { C: '28P01' })
    writeFileSync(own, '"app" "app"\n"svc" "svc"\n')
    await pgbun.waitForLog(/a file of the configuration has changed.*[\s\S]*configuration reloaded/)
    t.equal(await serverOf(t, pgbun, 'postgres', { user: 'svc', password: 'svc' }), 'first')
    t.equal(pgbun.logs().match(/configuration reloaded/g)?.length, 1)
  })

  await t.test('DROP DATABASE of one that clients know by another name', async (t) => {
    await first.query('CREATE DATABASE doomed')
    const pgbun = await start(
      t,
      `[databases.alias]\n${at(first)}dbname = "doomed"\n[databases.doomed]\n${at(first)}dbname = "postgres"\n` +
        `[databases.postgres]\n${at(first)}\n`,
      { poolMode: 'transaction' },
    )
    const admin = { user: 'postgres', password: 'postgres' }
    const inside = await loginRaw(t, pgbun, { ...admin, database: 'alias' })
    await inside.query('SELECT 1')
    const namesake = await loginRaw(t, pgbun, { ...admin, database: 'doomed' })
    const pid = await namesake.rows('SELECT pg_backend_pid()')
    const dropper = await loginRaw(t, pgbun, { ...admin, database: 'postgres' })
    t.same(errorOf(await dropper.query('DROP DATABASE doomed')), {})
    t.same(await namesake.rows('SELECT pg_backend_pid()'), pid, 'the connections of its namesake are left alone')
  })

  await t.test('the same text prepared in two databases is two statements', async (t) => {
    const TEXT = 'SELECT * FROM same_name'
    await first.query('CREATE TABLE same_name AS SELECT 1 AS number; GRANT SELECT ON same_name TO PUBLIC')
    await second.query("CREATE TABLE same_name AS SELECT 'x' AS letter; GRANT SELECT ON same_name TO PUBLIC")
    const pgbun = await start(
      t,
      `[pool]\npool_mode = "transaction"\npool_size = 1\n` +
        `[databases.one]\n${at(first)}dbname = "postgres"\n[databases.two]\n${at(second)}dbname = "postgres"\n`,
    )
    const read = async (database: string): Promise<string> => {
      const client = await loginRaw(t, pgbun, { ...APP, database })
      client.send(frontend.parse(TEXT, 's'), frontend.describe('S', 's'), frontend.sync())
      const described = (await client.readUntil()).find(({ type }) => type === 'T')
      client.send(frontend.bind([], 's'), frontend.execute(), frontend.sync())
      const row = (await client.readUntil()).find(({ type }) => type === 'D')
      await client.end()
      return `${/number|letter/.exec(described?.body.toString('latin1') ?? '')} ${row?.body.subarray(6).toString()}`
    }
    for (let round = 0; round < 3; round++) t.same([await read('one'), await read('two')], ['number 1', 'letter x'])
  })
})
