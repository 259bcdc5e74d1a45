import t from 'tap'
import { frontend, type Message, parse } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { loginRaw, type RawClient, rowsOf } from '../../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// After RESET, DISCARD ALL and the like of a parameter that the startup packet had set, the client was told the
// default of the server and then had what its startup packet says: drivers decoded by the wrong client_encoding. And
// parameters in options took precedence over those of the packet.
t.test('after a RESET a client is told the very value that it has', async (t) => {
  const parameters = { client_encoding: 'latin1', TimeZone: 'Asia/Tokyo', DateStyle: 'German' }

  function told(messages: Message[]): string[] {
    return messages.filter(({ type }) => type === 'S').map(({ body }) => parse.strings(body).slice(0, 2).join('='))
  }

  /** What the client believes after each text, and what holds. */
  async function run(client: RawClient, texts: readonly string[], at: Record<string, string>): Promise<unknown[]> {
    const seen: unknown[] = []
    const believed = { ...at }
    const note = (messages: Message[]): void => {
      for (const pair of told(messages)) believed[pair.slice(0, pair.indexOf('='))] = pair.slice(pair.indexOf('=') + 1)
    }
    const names = Object.keys(parameters)
    for (const text of texts) {
      client.send(frontend.query(text))
      const messages = await client.readUntil('Z')
      note(messages)
      const block = messages.at(-1)!.body.toString() !== 'I'
      if (block) continue
      client.send(frontend.query(`SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`))
      const answer = await client.readUntil('Z')
      // Told behind the end of a block.
      note(
        answer.slice(
          0,
          answer.findIndex(({ type }) => type === 'T'),
        ),
      )
      const found = rowsOf(answer)[0]!
      seen.push([text, found])
      for (const [i, name] of names.entries())
        if (believed[name] !== found[i]) seen.push(`${text}: ${name} is ${found[i]}, not ${believed[name]}`)
    }
    return seen
  }

  await t.test('what a client was told is what it has behind each statement', async (t) => {
    const server = await postgres.server()
    const pgbuns = {
      transaction: await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 }),
      session: await startPgbun(t, { target: server, poolMode: 'session', poolSize: 4 }),
    }
    const scripts = [
      ['RESET ALL'],
      ['DISCARD ALL'],
      ['RESET client_encoding', 'RESET TimeZone'],
      ['SET client_encoding TO DEFAULT', 'SET TIME ZONE LOCAL'],
      ['SET NAMES', 'RESET TIME ZONE'],
      ["SET TimeZone = 'UTC'", 'RESET TimeZone'],
      ["SET TimeZone = 'Europe/Paris'", 'SET TIME ZONE DEFAULT'],
      ["SET TimeZone = 'Europe/Paris'; RESET TimeZone"],
      ["SET client_encoding = 'UTF8'; SELECT 1", 'RESET DateStyle'],
      ['BEGIN', 'RESET TimeZone', 'ROLLBACK'],
      ['BEGIN', 'SELECT 1', 'COMMIT', 'RESET ALL', 'RESET ALL'],
      ['DO $$ BEGIN RESET TimeZone; END $$'],
    ]
    for (const [mode, pgbun] of Object.entries(pgbuns)) {
      for (const texts of scripts) {
        const direct = await loginRaw(t, server, { parameters })
        const client = await loginRaw(t, pgbun, { parameters })
        const expected = await run(direct, texts, direct.session.parameters)
        t.strictSame(await run(client, texts, client.session.parameters), expected, `${mode}: ${texts.join('; ')}`)
        await direct.end()
        await client.end()
      }
      const client = await loginRaw(t, pgbun, { parameters })
      t.strictSame(told(await client.query('RESET ALL')), [], 'nothing has changed')
      await client.query('BEGIN')
      const [usual] = await server.query("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'")
      t.strictSame(told(await client.query('RESET TimeZone')), [`TimeZone=${usual.reset_val}`])
      await client.query('COMMIT')
      t.strictSame(told(await client.query('SELECT 1')), ['TimeZone=Asia/Tokyo'], 'behind the end of the block')
      await client.end()
    }
  })

  await t.test('parameters of the packet take precedence over `options`', async (t) => {
    const server = await postgres.server()
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
    const packets: Record<string, string>[] = [
      { DateStyle: 'German', options: '-c datestyle=ISO,YMD -c work_mem=111' },
      { options: '-c DateStyle=ISO,YMD -c work_mem=111', datestyle: 'SQL, DMY' },
    ]
    for (const parameters of packets) {
      const look = "SELECT current_setting('datestyle'), current_setting('work_mem')"
      const direct = await loginRaw(t, server, { parameters })
      const client = await loginRaw(t, pgbun, { parameters })
      t.strictSame(await client.rows(look), await direct.rows(look))
    }
  })
})

// DISCARD TEMP, and a DEFAULT of a column beside a SET, were taken for a RESET of everything: what a client had set
// to the default of the server went back to its startup packet. In a text that resets one parameter, an empty value
// of another one was taken for a reset, too.
t.test('DISCARD TEMP and a column DEFAULT reset no setting of a client', async (t) => {
  const LOOK = "SELECT current_setting('TimeZone'), current_setting('app.a')"

  const target = await postgres.database(t, ['CREATE TABLE numbered (id serial, name text)'])
  await target.query(`ALTER ROLE postgres IN DATABASE ${target.database} SET app.a = 'of the role'`)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const [[zone]] = (await (await loginRaw(t, target)).rows('SHOW TimeZone')) as [[string]]
  const texts = [
    'DISCARD TEMP',
    'DISCARD PLANS',
    "SET work_mem = '5MB'; INSERT INTO numbered DEFAULT VALUES",
    'BEGIN; SET LOCAL lock_timeout = 1000; CREATE TEMP TABLE t (a int DEFAULT 1) ON COMMIT DROP; COMMIT',
    "SET app.a = ''; RESET work_mem",
  ]
  for (const text of texts) {
    await t.test(text, async (t) => {
      const login = { parameters: { TimeZone: 'Asia/Tokyo' } }
      const [client, direct] = [await loginRaw(t, pgbun, login), await loginRaw(t, target, login)]
      const other = await loginRaw(t, pgbun)
      for (const each of [client, direct]) {
        await each.rows(`SET TimeZone = '${zone}'`)
        await each.rows(text)
      }
      t.same(await other.rows(LOOK), [[zone, 'of the role']])
      t.same(await client.rows(LOOK), await direct.rows(LOOK))
      for (const each of [client, direct, other]) await each.end()
    })
  }
})

// A RESET of one parameter took others back to the startup packet that the same text, or the same transaction, had
// set to the default of the server.
t.test('a RESET of one parameter leaves the other ones as the same text set them', async (t) => {
  const target = await postgres.database(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const parameters = { standard_conforming_strings: 'off', TimeZone: 'Asia/Tokyo', work_mem: '5MB' }
  const names = Object.keys(parameters)
  const look = `SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`
  const run = async (where: { host: string; port: number }, texts: string[]): Promise<unknown> => {
    const client = await loginRaw(t, where, { parameters })
    for (const text of texts) await client.query(text)
    const seen = await client.rows(look)
    await client.end()
    return seen
  }
  for (const texts of [
    ['RESET plan_cache_mode; SET standard_conforming_strings = on'],
    ['RESET plan_cache_mode; SET SESSION STANDARD_CONFORMING_STRINGS = on; RESET work_mem'],
    ["SET TimeZone = 'UTC'; RESET standard_conforming_strings"],
    ['BEGIN', 'RESET standard_conforming_strings', 'SET standard_conforming_strings = on', 'COMMIT'],
    ['BEGIN', 'SET standard_conforming_strings = on', 'RESET standard_conforming_strings', 'COMMIT'],
    ['SET standard_conforming_strings = on; RESET standard_conforming_strings'],
    ['SET work_mem = 64; RESET ALL'],
    ['RESET ALL; SET standard_conforming_strings = on'],
    ["RESET ALL; SET TimeZone = 'UTC'; SELECT 1; RESET work_mem"],
    ["RESET ALL; SET TimeZone = 'UTC'; RESET TimeZone"],
    ["SET TimeZone = 'UTC'; RESET ALL"],
    ['BEGIN', 'RESET ALL', "SET TIME ZONE 'UTC'", 'COMMIT'],
    ['BEGIN', "SET TIME ZONE 'UTC'", 'DO $$ BEGIN RESET ALL; END $$', 'COMMIT'],
  ]) {
    t.strictSame(await run(pgbun, texts), await run(target, texts), texts.join('; '))
  }
})

// In session mode a RESET took parameters of the startup packet to the default of the server where any statement had
// failed before.
t.test('a RESET goes back to the startup packet, also after a statement that failed', async (t) => {
  const target = await postgres.server()
  for (const mode of ['session', 'transaction'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode })
    for (const before of [
      [],
      ['SELECT 1/0'],
      ['BEGIN', 'SELECT 1', 'COMMIT'],
      ['BEGIN', 'SELECT 1/0', 'ROLLBACK', 'SELECT 1'],
    ]) {
      const client = await loginRaw(t, pgbun, { parameters: { work_mem: '5MB', options: '-c lock_timeout=5000' } })
      for (const sql of [...before, 'SET work_mem = 64', 'RESET ALL']) await client.query(sql)
      t.strictSame(
        await client.rows("SELECT current_setting('work_mem'), current_setting('lock_timeout')"),
        [['5MB', '5s']],
        `${mode}: ${before.join('; ')}`,
      )
      await client.end()
    }
  }
})

// In session mode, and where a client kept its server for good, a RESET ALL of a client with startup parameters took
// it out of the role it had set, or back into one it had left.
t.test('RESET ALL leaves a client in the role that it has set', async (t) => {
  const LOOK = "SELECT session_user, current_user, current_setting('work_mem')"

  const target = await postgres.database(t, [
    'CREATE ROLE one',
    'CREATE ROLE two IN ROLE one',
    'CREATE SEQUENCE numbers',
    'GRANT ALL ON SEQUENCE numbers TO PUBLIC',
  ])
  const cases: [Record<string, string>, ...string[]][] = [
    [{}, 'SET SESSION AUTHORIZATION two', 'SET ROLE one'],
    [{ role: 'one' }, 'SET ROLE two'],
    [{ role: 'one' }, 'SET ROLE NONE'],
    [{}, 'SET ROLE one'],
  ]
  for (const mode of ['session', 'transaction'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 5 })
    for (const [parameters, ...texts] of cases) {
      await t.test(`${mode}: ${JSON.stringify(parameters)} ${texts.join('; ')}`, async (t) => {
        const login = { parameters: { ...parameters, work_mem: '7MB' } }
        const [client, direct] = [await loginRaw(t, pgbun, login), await loginRaw(t, target, login)]
        for (const text of [
          "SELECT nextval('numbers') - lastval()",
          'SET work_mem = 64',
          ...texts,
          'RESET ALL',
          'SELECT 1',
        ]) {
          for (const each of [client, direct]) await each.rows(text)
        }
        t.same(await client.rows(LOOK), await direct.rows(LOOK))
        for (const each of [client, direct]) await each.end()
      })
    }
  }
})

// The user begins with a role by ALTER ROLE SET role. SET ROLE NONE was lost with the next DO, CALL or RESET ALL.
t.test('SET ROLE NONE holds for a user that begins with a role', async (t) => {
  const target = await postgres.database(t, [
    'CREATE ROLE usual',
    "CREATE ROLE settled LOGIN PASSWORD 'settled' IN ROLE usual",
    'ALTER ROLE settled SET role = usual',
  ])
  const login = { user: 'settled', password: 'settled' }
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  for (const text of ['DO $$ BEGIN END $$', 'RESET ALL', "SELECT 1; SET work_mem = '7MB'"]) {
    await t.test(text, async (t) => {
      const [client, other] = [await loginRaw(t, pgbun, login), await loginRaw(t, pgbun, login)]
      await client.rows('SET ROLE NONE')
      await client.rows(text)
      t.same(await other.rows('SELECT current_user'), [['usual']])
      t.same(await client.rows('SELECT current_user'), [['settled']])
      await client.rows('RESET ROLE')
      t.same(await client.rows('SELECT current_user'), [['usual']])
      await Promise.all([client.end(), other.end()])
    })
  }
})

// Settings were given to a server in the order in which they were found: one that only a superuser may set or reset
// was refused where the role of this client, or of the last one, came first, and the client ended with 42501.
t.test('a client that sets a privileged parameter and a role keeps both', async (t) => {
  const server = await postgres.server()
  await server.query('CREATE ROLE bob')
  await server.query("CREATE ROLE app LOGIN PASSWORD 'app' IN ROLE postgres")
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const setting = 'SET log_min_duration_statement = 1000'
  const show = `SELECT session_user, current_user, current_setting('log_min_duration_statement'), nullif(current_setting('app.a', true), '')`
  const cases: [string, string, ...string[]][] = [
    ['postgres', 'a setting, then a role', setting, 'SET ROLE bob'],
    ['postgres', 'no role, a setting, a role', 'SET ROLE none', setting, 'SET ROLE bob'],
    ['postgres', 'a setting, then another user', setting, 'SET SESSION AUTHORIZATION bob'],
    ['postgres', 'a setting and a role in a transaction', `BEGIN; ${setting}; SET ROLE bob; COMMIT`],
    ['app', 'a role, then a setting that only the role may set', 'SET ROLE postgres', setting],
  ]
  for (const [user, name, ...texts] of cases) {
    await t.test(name, async (t) => {
      const login = { user, password: user, database: 'postgres' }
      const direct = await loginRaw(t, server, login)
      const client = await loginRaw(t, pgbun, login)
      const other = await loginRaw(t, pgbun, login)
      const before = await other.rows(show)
      for (const text of texts) {
        await direct.rows(text)
        await client.rows(text)
      }
      t.strictSame(await other.rows(show), before, 'nothing of it is another client’s')
      t.strictSame(await client.rows(show), await direct.rows(show), 'all of it is its own')
      await client.rows("SET app.a = 'more'")
      await direct.rows("SET app.a = 'more'")
      await other.rows("SET app.a = 'other'")
      t.strictSame(await client.rows(show), await direct.rows(show), 'with more to set')
      t.strictSame(await other.rows(show), [[...before[0]!.slice(0, 3), 'other']])
      for (const each of [client, other, direct]) await each.end()
    })
  }
})

// It got the other half from the client that its server had last, and all clients after it got that: 01/02 was a day
// of February to them.
t.test('a startup packet that names half of a DateStyle gets the default for the other half', async (t) => {
  const target = await postgres.server()
  const ask = "SELECT current_setting('DateStyle'), '01/02/03'::date - '2000-01-01'::date"
  const see = async (where: { host: string; port: number }, DateStyle: string): Promise<unknown[]> => {
    const client = await loginRaw(t, where, { parameters: { DateStyle } })
    const seen = [client.session.parameters.DateStyle, ...(await client.rows(ask))]
    await client.query('RESET DateStyle')
    seen.push(...(await client.rows(ask)))
    await client.end()
    return seen
  }
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 1 })
    for (const style of ['German', 'ISO', 'DMY', 'SQL', 'iso', 'Postgres, DMY', 'ISO', 'YMD', 'postgres']) {
      t.strictSame(await see(pgbun, style), await see(target, style), `${mode}: ${style}`)
    }
  }
})

// A SET SESSION AUTHORIZATION that its text did not plainly name was taken for a reload of PostgreSQL's
// configuration: the client lost it, and the next client on that server was the other user, and was greeted as such.
t.test('SET SESSION AUTHORIZATION stays with its client, however it is said', async (t) => {
  const WHO = 'SELECT session_user'

  const bootstrapSql = [
    'CREATE ROLE other',
    "CREATE FUNCTION become(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SET SESSION AUTHORIZATION %I', $1); END $$",
  ]
  const target = await postgres.database(t, bootstrapSql)
  const query =
    (...texts: string[]) =>
    async (client: RawClient) => {
      for (const sql of texts) await client.rows(sql)
    }
  const ways: [string, (client: RawClient) => Promise<unknown>][] = [
    ['one of several statements', query('SET SESSION AUTHORIZATION other; SET work_mem = 64')],
    ['behind a reset', query('BEGIN', 'RESET ALL', 'SET SESSION AUTHORIZATION other', 'COMMIT')],
    ['by code', query('DO $$ BEGIN SET SESSION AUTHORIZATION other; END $$')],
    ['by a function', query("SELECT become('other')")],
    [
      'in one batch',
      async (client) => {
        for (const sql of ['DISCARD SEQUENCES', 'SET SESSION AUTHORIZATION other', 'SELECT 1']) {
          client.send(frontend.parse(sql), frontend.bind(), frontend.execute())
        }
        client.send(frontend.sync())
        await client.readUntil('Z')
      },
    ],
  ]
  for (const size of [1, 2]) {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: size })
    for (const [way, become] of ways) {
      await t.test(`${way}, ${size} servers`, async (t) => {
        const client = await loginRaw(t, pgbun)
        const other = await loginRaw(t, pgbun)
        await become(client)
        t.same(await other.rows(WHO), [['postgres']], 'the next client is nobody else')
        t.same(await client.rows(WHO), [['other']], 'it is who it wants to be')
        t.same(await other.rows(WHO), [['postgres']])
        const next = await loginRaw(t, pgbun)
        t.equal(next.session.parameters.session_authorization, 'postgres', 'nobody is greeted as another')
        await client.rows('RESET SESSION AUTHORIZATION')
        t.same(await client.rows(WHO), [['postgres']])
        for (const each of [client, other, next]) await each.end()
      })
    }
  }
})
