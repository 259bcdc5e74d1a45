import t, { type Test } from 'tap'
import { backend, type Message, parse } from '../../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres, startPostgres } from '../../fixtures/postgres.ts'
import { type Address, errorOf, type LoginOptions, loginRaw, type RawClient } from '../../fixtures/raw-client.ts'
import { type ScriptedConnection, startScriptedPostgres, usualParameters } from '../../fixtures/scripted-postgres.ts'
import { waitFor } from '../../fixtures/wait.ts'
import { startLab } from '../../wire/lab.ts'

const postgres = sharedPostgres(t)

// What PostgreSQL says by a notice while a session begins was lost: an identifier that is cut off, a collation that
// has changed, what a login event trigger raises.
t.test('a client gets the notices that PostgreSQL sends while it logs in', async (t) => {
  const LONG = 'x'.repeat(70)

  const LOGINS: readonly (readonly [string, LoginOptions])[] = [
    ['nothing to say', {}],
    ['an application_name that is cut off', { parameters: { application_name: LONG } }],
    ['the same, asked to be silent before', { parameters: { client_min_messages: 'error', application_name: LONG } }],
    ['the same in options', { parameters: { options: `-c application_name=${LONG}` } }],
    ['a collation that has changed', { database: 'collated' }],
    ['the same, asked to be silent', { database: 'collated', parameters: { client_min_messages: 'error' } }],
    ['both', { database: 'collated', parameters: { application_name: LONG } }],
    ['a login trigger', { database: 'triggered' }],
    ['a login trigger, for warnings only', { database: 'triggered', parameters: { client_min_messages: 'warning' } }],
    ['a login trigger, for errors only', { database: 'triggered', parameters: { client_min_messages: 'error' } }],
  ]

  function word({ type, body }: Message): string {
    return type === 'N' ? `${parse.fields(body).V} ${parse.fields(body).M}` : type
  }

  const target = await postgres.server()
  for (const name of ['collated', 'triggered']) await target.query(`CREATE DATABASE ${name}`)
  await target.query("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'collated'")
  if (target.major >= 17) {
    const client = await target.connect({ database: 'triggered' })
    await client.query(`CREATE FUNCTION greets() RETURNS event_trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE NOTICE 'welcome'; RAISE WARNING 'mind the gap'; RAISE INFO 'by the way'; END $$`)
    await client.query('CREATE EVENT TRIGGER greeting ON login EXECUTE FUNCTION greets()')
    await client.end()
  }
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 3 })
    for (const [what, login] of LOGINS) {
      await t.test(`${what}, ${mode} mode`, async (t) => {
        const expected = await greeting(target, login)
        for (const which of ['first', 'second']) t.same(await greeting(pgbun, login), expected, `the ${which} client`)
      })
    }
  }

  async function greeting(address: Address, login: LoginOptions): Promise<string[]> {
    const client = await loginRaw(t, address, login)
    await client.end()
    const words = client.session.messages.map(word)
    // Where pgbun asks for a password, it does so in its own way.
    return words.slice(words.lastIndexOf('R') + 1).filter((text, i, all) => text !== 'S' || all[i - 1] !== 'S')
  }
})

// A server that shuts down may say so right behind the ReadyForQuery of a login, in the same chunk. Nobody heard of
// it: the connection went into the pool, and the client that got it waited for ever.
t.test('a client does not wait for ever when its server shuts down right behind the login', async (t) => {
  const FATAL = backend.error('57P01', 'terminating connection due to administrator command', 'FATAL')

  /** Greets, and says `more` in the same breath. */
  function greetAnd(connection: ScriptedConnection, more: Buffer): void {
    connection.end(
      backend.authentication(0),
      ...Object.entries(usualParameters).map(([name, value]) => backend.parameterStatus(name, value)),
      backend.keyData(connection.pid, connection.secret),
      backend.ready('I'),
      more,
    )
  }

  await t.test('on the first connection of a pool the login fails', async (t) => {
    let count = 0
    const lab = await startLab(t, {
      poolSize: 1,
      serverLoginRetry: 1,
      script: { onStartup: (connection) => (count++ === 0 ? greetAnd(connection, FATAL) : connection.greet()) },
    })
    await t.rejects(lab.client(), /terminating connection due to administrator command/)
    await lab.logged('server connection failed')
    const client = await lab.client()
    t.strictSame(await client.rows('select 1'), [['select 1']])
  })

  await t.test('on a further connection the client waits for the next one', async (t) => {
    let count = 0
    const lab = await startLab(t, {
      serverLoginRetry: 1,
      script: { onStartup: (connection) => (count++ === 1 ? greetAnd(connection, FATAL) : connection.greet()) },
    })
    const [holder, client] = [await lab.client(), await lab.client()]
    await holder.query('begin')
    t.strictSame(await client.rows('select 1'), [['select 1']])
    t.equal(count, 3)
  })

  await t.test('a server that breaks the protocol there fails the login, too', async (t) => {
    for (const more of [backend.ready('I'), backend.authentication(0), backend.dataRow('1')]) {
      const lab = await startLab(t, { poolSize: 1, script: { onStartup: (connection) => greetAnd(connection, more) } })
      await t.rejects(lab.client(), /protocol error of the server during login/)
    }
  })

  await t.test('a login that proves a password (auth_type passthrough) fails, too', async (t) => {
    const lab = await startLab(t, {
      authType: 'passthrough',
      script: { onStartup: (connection) => greetAnd(connection, FATAL) },
    })
    await t.rejects(lab.client(), /terminating connection due to administrator command/)
  })
})

// After an upgrade of PostgreSQL on the same port the first new client was greeted with what the old server had
// reported, and clients that stayed were never told what had changed: drivers choose their SQL by server_version.
t.test('after an upgrade of the server on the same port a new client is told the new server_version', async (t) => {
  const OLD = {
    server_version: '17.6',
    server_encoding: 'SQL_ASCII',
    is_superuser: 'on',
    integer_datetimes: 'off',
    in_hot_standby: 'on',
    default_transaction_read_only: 'on',
    DateStyle: 'ISO, MDY',
  }

  const NEW = {
    server_version: '18.4',
    server_encoding: 'UTF8',
    is_superuser: 'off',
    integer_datetimes: 'on',
    in_hot_standby: 'off',
    default_transaction_read_only: 'off',
    DateStyle: 'ISO, DMY',
    // Reported from version 18 on.
    search_path: '"$user", public',
  }

  for (const mode of ['transaction', 'session'] as const) {
    await t.test(`${mode} mode`, async (t) => {
      const script: { parameters: Record<string, string> } = { parameters: OLD }
      const server = await startScriptedPostgres(t, script)
      const pgbun = await startPgbun(t, {
        target: server,
        poolMode: mode,
        poolSize: 2,
        args: ['--no-check-functions', '--auth-type', 'trust'],
      })
      const stays = await loginRaw(t, pgbun)
      t.match(stays.session.parameters, OLD)
      if (mode === 'transaction') await stays.query('SELECT 1')
      script.parameters = NEW
      for (const connection of server.connections) connection.cut()
      await waitFor(() => server.connections.every(({ closed }) => closed), { what: 'the old servers to be gone' })
      await pgbun.waitForLog(/server connection (?:lost|closed)/)
      const newcomer = await loginRaw(t, pgbun)
      t.match(newcomer.session.parameters, NEW, 'a newcomer is told of the new server')
      t.match(await told(stays), NEW, 'who stays is told with the next server')
      t.same(await told(stays), {}, 'once')
    })
  }

  await t.test('a client is refused where there is no server any more', async (t) => {
    const server = await startScriptedPostgres(t)
    const pgbun = await startPgbun(t, { target: server, args: ['--auth-type', 'trust', '--no-check-functions'] })
    const client = await loginRaw(t, pgbun)
    await client.query('SELECT 1')
    await server.close()
    await pgbun.waitForLog(/server connection (?:lost|closed)/)
    await t.rejects(loginRaw(t, pgbun), { code: '57P03' })
  })

  /** What `client` is told about parameters in front of the rows of its next query. */
  async function told(client: RawClient): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for (const { type, body } of await client.query('SELECT 1')) {
      if (type === 'T') break
      const [name, value] = type === 'S' ? parse.strings(body) : []
      if (name !== undefined) found[name] = value!
    }
    return found
  }
})

// A role that was dropped and made anew got "invalid role OID" and "permission denied" from connections of the old
// one, and the password of the old one still let in. The same held for a changed password and for a role that may
// not log in any more.
t.test('a role that was dropped and made anew works at once, and the old password is refused', async (t) => {
  const target = await startPostgres(t)
  const make = (password: string) =>
    `CREATE ROLE app LOGIN PASSWORD '${password}'; GRANT SELECT ON secrets TO app; GRANT CONNECT ON DATABASE mine TO app`
  await target.query('CREATE TABLE secrets AS SELECT 1 AS a')
  await target.query('CREATE DATABASE mine')
  await target.query('REVOKE CONNECT ON DATABASE mine FROM PUBLIC')
  const login = (password: string, database = 'postgres') => ({ user: 'app', password, database })
  const drop = 'DROP OWNED BY app; DROP ROLE app'
  /** Leaves idle servers, and a proof of the password, in two databases. */
  const use = async (pgbun: Pgbun, password: string): Promise<void> => {
    for (const database of ['postgres', 'mine']) {
      const client = await loginRaw(t, pgbun, login(password, database))
      await client.rows('SELECT 1')
      await client.end()
    }
  }
  const works = async (t: Test, pgbun: Pgbun, password: string): Promise<void> => {
    const client = await loginRaw(t, pgbun, login(password))
    t.same(await client.rows('SELECT session_user, a FROM secrets'), [['app', '1']])
    await client.end()
    const other = await loginRaw(t, pgbun, login(password, 'mine'))
    t.same(await other.rows('SELECT session_user'), [['app']])
    await other.end()
  }
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode })
    const through = await loginRaw(t, pgbun)
    const past = await target.connect()
    const ways: Record<string, (sql: string) => Promise<unknown>> = {
      'through pgbun': async (sql) => {
        for (const each of sql.split('; ')) t.match(errorOf(await through.query(each)), {}, each)
      },
      'past pgbun': (sql) => past.query(sql),
    }
    for (const [way, run] of Object.entries(ways)) {
      await t.test(`another password, ${way}, ${mode} mode`, async (t) => {
        await target.query(make('old'))
        await use(pgbun, 'old')
        await run(drop)
        await run(make('new'))
        await works(t, pgbun, 'new')
        await t.rejects(loginRaw(t, pgbun, login('old')), { code: '28P01' })
        await works(t, pgbun, 'new')
        await target.query(drop)
      })

      await t.test(`a changed password, ${way}, ${mode} mode`, async (t) => {
        await target.query(make('old'))
        await use(pgbun, 'old')
        await run("ALTER ROLE app PASSWORD 'new'")
        if (way === 'past pgbun') await works(t, pgbun, 'new')
        await t.rejects(loginRaw(t, pgbun, login('old')), { code: '28P01' })
        await works(t, pgbun, 'new')
        await target.query(drop)
      })
    }

    await t.test(`the same password, through pgbun, ${mode} mode`, async (t) => {
      await target.query(make('same'))
      await use(pgbun, 'same')
      await ways['through pgbun']!(`${drop}; ${make('same')}`)
      await works(t, pgbun, 'same')
      await target.query(drop)
    })

    await t.test(`the same password, past pgbun, ${mode} mode`, async (t) => {
      await target.query(make('same'))
      await use(pgbun, 'same')
      await past.query(`${drop}; ${make('same')}`)
      // One may meet the old role's server; it is known then.
      const first = await loginRaw(t, pgbun, login('same'))
      await first.query('SELECT a FROM secrets')
      await first.end()
      await waitFor(async () => {
        const client = await loginRaw(t, pgbun, login('same'))
        const rows = await client.query('SELECT a FROM secrets')
        await client.end()
        return errorOf(rows).C === undefined
      })
      await works(t, pgbun, 'same')
      await target.query(drop)
    })

    await t.test(`who may not log in any more, ${mode} mode`, async (t) => {
      await target.query(make('same'))
      await use(pgbun, 'same')
      await ways['through pgbun']!('REVOKE CONNECT ON DATABASE mine FROM app')
      await t.rejects(loginRaw(t, pgbun, login('same', 'mine')), { code: '42501' })
      await ways['through pgbun']!('ALTER ROLE app NOLOGIN')
      await t.rejects(loginRaw(t, pgbun, login('same')), { code: '28000' })
      await ways['through pgbun']!('ALTER ROLE app RENAME TO renamed')
      await t.rejects(loginRaw(t, pgbun, login('same')), { code: '28P01' })
      await target.query('DROP OWNED BY renamed; DROP ROLE renamed')
    })
    await past.end()
  }
})
