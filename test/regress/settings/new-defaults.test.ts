import t from 'tap'
import { type Message, parse } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { startPostgres } from '../../fixtures/postgres.ts'
import { loginRaw, type RawClient, rowsOf } from '../../fixtures/raw-client.ts'
import { waitFor } from '../../fixtures/wait.ts'

// What a server reported after a reload of PostgreSQL's configuration was taken for a setting of the client that
// held the server, and stayed with that client. A default_transaction_read_only that was on for a while left clients
// behind that could not write any more.
t.test(
  'after PostgreSQL reloads its configuration every client has the new defaults, and nobody keeps them for good',
  async (t) => {
    const NAMES = ['default_transaction_read_only', 'TimeZone', 'IntervalStyle']

    const show = async (client: RawClient, name: string): Promise<unknown> => (await client.rows(`SHOW ${name}`))[0]![0]

    /** The parameters reported among `messages`. */
    function told(messages: Message[]): Record<string, string> {
      const reports = messages.filter(({ type }) => type === 'S')
      return Object.fromEntries(reports.map(({ body }) => parse.strings(body) as [string, string]))
    }

    const reaches = (client: RawClient, name: string, value: string): Promise<unknown> =>
      waitFor(async () => (await show(client, name)) === value, { what: `${name} = ${value}` })

    await t.test('a client that goes from server to server has the default of today on each', async (t) => {
      const server = await startPostgres(t)
      const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
      const [client, third, holder] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
      const before = String(await show(client, 'TimeZone'))
      // The first two have used the same server last: whoever comes first gets it again, the other one goes elsewhere.
      await client.query('BEGIN')
      await holder.query('BEGIN')
      await client.query('COMMIT')
      await third.query('SELECT 1')
      await client.query('SELECT 1')
      await holder.query('COMMIT')
      await server.query("ALTER SYSTEM SET TimeZone = 'Europe/Berlin'")
      await server.query('SELECT pg_reload_conf()')
      await reaches(client, 'TimeZone', 'Europe/Berlin')
      await third.query('BEGIN')
      t.equal(await show(client, 'TimeZone'), 'Europe/Berlin')
      await server.query('ALTER SYSTEM RESET TimeZone')
      await server.query('SELECT pg_reload_conf()')
      await reaches(client, 'TimeZone', before)
      await third.query('COMMIT')
      await reaches(third, 'TimeZone', before)
    })

    for (const mode of ['transaction', 'statement'] as const) {
      await t.test(`${mode} mode`, async (t) => {
        const server = await startPostgres(t)
        const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
        const afterwards: Record<string, string> = { IntervalStyle: 'sql_standard' }
        if (server.major >= 14) afterwards.default_transaction_read_only = 'on'
        const configure = async (...settings: string[]): Promise<void> => {
          for (const setting of settings) await server.query(`ALTER SYSTEM ${setting}`)
          await server.query('SELECT pg_reload_conf()')
        }
        const client = await loginRaw(t, pgbun)
        const other = await loginRaw(t, pgbun)
        const own = await loginRaw(t, pgbun, { parameters: { TimeZone: 'Asia/Tokyo' } })
        await own.query("SET IntervalStyle = 'iso_8601'")
        const [readOnly, zone, interval] = [
          await show(client, NAMES[0]!),
          await show(client, NAMES[1]!),
          'postgres',
        ] as string[]
        await configure(
          'SET default_transaction_read_only = on',
          "SET TimeZone = 'Europe/Berlin'",
          "SET IntervalStyle = 'sql_standard'",
        )
        await reaches(client, NAMES[0]!, 'on')
        t.equal(await show(client, 'TimeZone'), 'Europe/Berlin')
        t.strictSame(
          told(await other.query('SELECT 1')),
          { TimeZone: 'Europe/Berlin', ...afterwards },
          'the others are told',
        )
        t.strictSame(told(await other.query('SELECT 1')), {}, 'once')
        t.equal(await show(other, 'TimeZone'), 'Europe/Berlin')
        t.strictSame(told(await own.query('SELECT 1')).TimeZone, undefined, 'but for what they have set')
        t.equal(await show(own, 'TimeZone'), 'Asia/Tokyo', 'of its startup packet')
        t.equal(await show(own, 'IntervalStyle'), 'iso_8601', 'its own')
        t.equal(await show(client, 'IntervalStyle'), 'sql_standard')
        await own.query('RESET IntervalStyle')
        t.equal(await show(own, 'IntervalStyle'), 'sql_standard', 'back to what is the default now')
        t.equal((await loginRaw(t, pgbun)).session.parameters.TimeZone, 'Europe/Berlin', 'told to who comes')

        await configure(...NAMES.map((name) => `RESET ${name}`))
        await reaches(client, NAMES[0]!, readOnly!)
        for (const each of [client, other, own]) {
          t.equal(await show(each, 'default_transaction_read_only'), 'off', 'nobody keeps it')
          t.equal(await show(each, 'IntervalStyle'), interval)
        }
        t.equal(await show(client, 'TimeZone'), zone)
        t.equal(await show(own, 'TimeZone'), 'Asia/Tokyo')
        await client.rows('CREATE TABLE writable AS SELECT 1')
        // Set by code, and named by no text: the client's all the same.
        await client.rows(
          "CREATE FUNCTION abroad() RETURNS text LANGUAGE sql AS $$ SELECT set_config('TimeZone', 'Asia/Seoul', false) $$",
        )
        await client.rows('SELECT abroad()')
        t.equal(await show(other, 'TimeZone'), zone)
        t.equal(await show(client, 'TimeZone'), 'Asia/Seoul')
      })
    }
  },
)

// A client that had set a parameter to the very value it had by default, or asked for that in its startup packet,
// got another value when PostgreSQL's configuration was reloaded; or it kept its own and was told otherwise.
t.test('a client that has set a parameter to its default keeps it over a reload of PostgreSQL', async (t) => {
  for (const size of [1, 2]) {
    await t.test(`${size} servers`, async (t) => {
      const server = await startPostgres(t, { settings: { timezone: 'UTC' } })
      const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: size })
      const login = async (parameters: Record<string, string>) => {
        const client = await loginRaw(t, pgbun, { parameters })
        let told = client.session.parameters.TimeZone
        const run = async (sql: string): Promise<unknown> => {
          const messages = await client.query(sql)
          for (const { type, body } of messages) {
            const [name, value] = type === 'S' ? parse.strings(body) : []
            if (name === 'TimeZone') told = value
          }
          return rowsOf(messages)[0]?.[0]
        }
        return { run, look: async () => [await run('SHOW TimeZone'), told] }
      }
      const ways: Record<string, [Record<string, string>, string]> = {
        'SET TimeZone': [{}, "SET TimeZone = 'UTC'"],
        'SET TIME ZONE': [{}, "SET TIME ZONE 'UTC'"],
        'in a transaction block': [{}, "BEGIN; SET TimeZone = 'UTC'; COMMIT"],
        'with another setting': [{}, "SET TimeZone = 'UTC'; SET IntervalStyle = 'postgres'"],
        'with code': [{}, "DO $$ BEGIN PERFORM 1; END $$; SET TimeZone = 'UTC'"],
        'by a function': [{}, "SELECT set_config('TimeZone', 'UTC', false)"],
        'the startup packet': [{ TimeZone: 'UTC' }, 'SELECT 1'],
        'the startup packet and SET': [{ TimeZone: 'UTC' }, "SET SESSION timezone TO 'UTC'"],
      }
      const clients = await Promise.all(Object.values(ways).map(([parameters]) => login(parameters)))
      const other = await login({})
      for (const [i, [, sql]] of Object.values(ways).entries()) await clients[i]!.run(sql)
      for (const zone of ['Europe/Berlin', 'Asia/Tokyo']) {
        await server.query(`ALTER SYSTEM SET TimeZone = '${zone}'`)
        await server.query('SELECT pg_reload_conf()')
        // Whose query has a server read its configuration has it run under what it finds there.
        for (let round = 0; round < 2; round++) for (const client of clients) await client.run('SELECT 1')
        await waitFor(async () => (await other.run('SHOW TimeZone')) === zone, { what: 'the reload' })
        for (const { run } of clients) await run('SELECT 1')
        for (const [i, way] of Object.keys(ways).entries()) t.same(await clients[i]!.look(), ['UTC', 'UTC'], way)
        t.same(await other.look(), [zone, zone], 'who wants nothing')
      }
      await clients[0]!.run('RESET TimeZone')
      t.same(await clients[0]!.look(), ['Asia/Tokyo', 'Asia/Tokyo'], 'a RESET goes to the new default')
    })
  }
})

// A client that held no server when PostgreSQL's configuration was reloaded, or its role altered, worked under the
// new defaults without having been told of them, as it would have been on a connection of its own: drivers read
// dates by them. In session mode new clients were greeted with old defaults.
t.test('a client without a server is told of new defaults before it works under them', async (t) => {
  const NAMES = ['DateStyle', 'IntervalStyle', 'TimeZone', 'default_transaction_read_only', 'search_path']

  const LOOK = `SELECT ${NAMES.map((name) => `current_setting('${name}')`).join(', ')}`

  for (const mode of ['transaction', 'session'] as const) {
    await t.test(`${mode} mode`, async (t) => {
      const server = await startPostgres(t)
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 5 })
      const login = async (parameters?: Record<string, string>) => {
        const client = await loginRaw(t, pgbun, parameters && { parameters })
        const believed = client.session.parameters
        const note = (messages: Message[]): void => {
          for (const { type, body } of messages) {
            const [name, value] = type === 'S' ? parse.strings(body) : []
            if (name !== undefined) believed[name] = value!
          }
        }
        const rows = async (sql: string): Promise<(string | null)[][]> => {
          const messages = await client.query(sql)
          note(messages)
          return rowsOf(messages)
        }
        /** What it believes, and what holds. */
        const look = async (): Promise<unknown[]> => {
          const [row] = await rows(LOOK)
          return [NAMES.map((name) => believed[name]), row]
        }
        return { client, rows, look }
      }
      const configure = async (...settings: string[]): Promise<void> => {
        const load = 'SELECT pg_conf_load_time()'
        const [before] = await worker.rows(load)
        for (const setting of settings) await server.query(`ALTER SYSTEM ${setting}`)
        await server.query('SELECT pg_reload_conf()')
        await waitFor(async () => String(await worker.rows(load)) !== String(before), { what: 'a reload' })
      }
      const [worker, idle, own] = [await login(), await login(), await login({ TimeZone: 'Asia/Tokyo' })]
      await own.rows("SET IntervalStyle = 'iso_8601'")
      const check = async (when: string): Promise<void> => {
        const newcomer = await login()
        for (const [who, { look }] of Object.entries({ worker, idle, own, newcomer })) {
          // What a server hears of while it runs the query, its client is told behind the rows: the second look is sure.
          await look()
          const [believed, holds] = await look()
          t.same(believed, holds, `${who}, ${when}`)
        }
        await newcomer.client.end()
      }
      await check('at first')
      await configure(
        "SET DateStyle = 'German'",
        "SET IntervalStyle = 'sql_standard'",
        "SET TimeZone = 'Europe/Berlin'",
      )
      await check('after a reload')
      await own.rows('RESET IntervalStyle')
      await check('after a reset')
      await configure('RESET ALL')
      await check('after another')
      await worker.rows('ALTER ROLE postgres SET search_path = pg_catalog')
      await check('after an ALTER ROLE')
    })
  }
})

// They had no effect on new clients for as long as servers from before were lent. And a parameter of an application
// was lost where the function that set it had only just been made.
t.test('ALTER ROLE SET and ALTER DATABASE SET hold for new clients at once', async (t) => {
  await t.test('ALTER ROLE and ALTER DATABASE count for the next login', async (t) => {
    const target = await startPostgres(t)
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
    const [a, b] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    // Both servers are there, and old.
    await Promise.all([a.query('BEGIN'), b.query('BEGIN')])
    await Promise.all([a.query('COMMIT'), b.query('COMMIT')])
    const look = async (sql: string): Promise<string | null> => {
      const client = await loginRaw(t, pgbun)
      const [row] = await client.rows(sql)
      await client.end()
      return row![0]!
    }

    await a.query("ALTER ROLE CURRENT_USER SET work_mem = '11MB'")
    t.equal(await look('SHOW work_mem'), '11MB', 'ALTER ROLE')
    await a.query('ALTER DATABASE postgres SET statement_timeout = 77000')
    t.equal(await look('SHOW statement_timeout'), '77s', 'ALTER DATABASE')
    await b.query("ALTER ROLE CURRENT_USER SET TimeZone = 'Asia/Tokyo'")
    await look('SELECT 1')
    const greeted = await loginRaw(t, pgbun)
    t.equal(greeted.session.parameters.TimeZone, 'Asia/Tokyo', 'one that is reported, in the greeting')
    t.same(await greeted.rows('SHOW TimeZone'), [['Asia/Tokyo']])
    const reports = (await a.query('SELECT 1')).filter(({ type }) => type === 'S')
    t.same(
      reports.map(({ body }) => parse.strings(body)),
      [['TimeZone', 'Asia/Tokyo']],
      'clients from before are told, and go on',
    )
    await a.query('BEGIN')
    await a.query("ALTER ROLE CURRENT_USER SET work_mem = '12MB'")
    await a.query('ROLLBACK')
    t.equal(await look('SHOW work_mem'), '11MB', 'one that is rolled back')
  })

  await t.test('a parameter follows its client where the function that sets it was just made', async (t) => {
    const target = await startPostgres(t)
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
    const client = await loginRaw(t, pgbun)
    await client.query(
      "CREATE FUNCTION enter(text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.tenant', $1, false) $$",
    )
    for (let round = 0; round < 5; round++) {
      await client.query(`SELECT enter('mine ${round}')`)
      const other = await loginRaw(t, pgbun)
      await other.query('BEGIN')
      t.same(await other.rows("SELECT coalesce(current_setting('app.tenant', true), '')"), [['']])
      t.same(await client.rows("SELECT current_setting('app.tenant')"), [[`mine ${round}`]])
      await other.end()
    }
  })
})
