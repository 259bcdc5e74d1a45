/** Which clients share a prepared statement: those under the same settings, as far as these decide what it means. */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'

async function run(client: RawClient, sql: string): Promise<unknown> {
  client.send(frontend.parse(sql, 'a'), frontend.bind([], 'a'), frontend.execute(), frontend.sync())
  const [[value]] = rowsOf(await client.readUntil('Z')) as [[unknown]]
  return value
}

t.test('clients under different settings', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const count = async (client: RawClient, sql: string): Promise<unknown> =>
    client.rows(`SELECT count(*) FROM pg_prepared_statements WHERE statement = '${sql}'`)

  await t.test('that have no part in it share one', async (t) => {
    const settings: Record<string, string>[] = [
      {},
      { work_mem: '8MB' },
      { statement_timeout: '10s' },
      { options: '-c enable_sort=off' },
    ]
    const clients: RawClient[] = []
    for (const parameters of settings) clients.push(await loginRaw(t, pgbun, { parameters }))
    for (const client of clients) await run(client, 'SELECT 1')
    t.same(await count(clients[0]!, 'SELECT 1'), [['1']])
  })

  await t.test('of which the planner makes constants have their own', async (t) => {
    const digits = await loginRaw(t, pgbun, { parameters: { extra_float_digits: '0' } })
    const bytes = await loginRaw(t, pgbun, { parameters: { bytea_output: 'escape' } })
    const client = await loginRaw(t, pgbun)
    const float = "SELECT ('0.1'::float8 + '0.2'::float8)::text"
    t.equal(await run(client, float), '0.30000000000000004')
    t.equal(await run(digits, float), '0.3')
    client.send(frontend.close('S', 'a'), frontend.sync())
    await client.readUntil('Z')
    const bytea = "SELECT '\\x01'::bytea::text"
    t.equal(await run(client, bytea), '\\x01')
    t.equal(await run(bytes, bytea), '\\001')
  })

  await t.test('of applications have their own: a function may be marked immutable that reads them', async (t) => {
    const owner = await loginRaw(t, target)
    const body = "SELECT current_setting('app.tenant')"
    await owner.query(`CREATE FUNCTION tenant() RETURNS text IMMUTABLE LANGUAGE sql AS $$${body}$$`)
    for (const tenant of ['one', 'two']) {
      const client = await loginRaw(t, pgbun, { parameters: { 'app.tenant': tenant } })
      t.equal(await run(client, 'SELECT tenant()'), tenant)
    }
  })

  await t.test('and keep what it meant when they set something else', async (t) => {
    const sql = "SELECT '01/02/2026'::date"
    for (const change of ["SET DateStyle = 'ISO, MDY'", "SET DateStyle = 'Postgres, MDY'", 'RESET DateStyle']) {
      const answers: unknown[] = []
      for (const address of [target, pgbun]) {
        const client = await loginRaw(t, address)
        await client.query("SET DateStyle = 'SQL, DMY'")
        client.send(frontend.parse(sql, 'a'), frontend.sync())
        await client.readUntil('Z')
        await client.query(change)
        client.send(frontend.bind([], 'a'), frontend.execute(), frontend.sync())
        answers.push(rowsOf(await client.readUntil('Z')))
        await client.end()
      }
      t.same(answers[1], answers[0], change)
    }
  })

  await t.test(
    'and so does the unnamed statement, in and out of transactions, wherever it is prepared again',
    async (t) => {
      const sql = "SELECT '01/02/2026'::date, current_setting('DateStyle'), $1::int"
      const named = (sql: string) => [
        frontend.parse(sql, 'set'),
        frontend.bind([], 'set'),
        frontend.execute(),
        frontend.close('S', 'set'),
        frontend.sync(),
      ]
      // By the extended protocol: a Query would make an end of the unnamed statement.
      const steps: [string, string[]][] = [
        ['outside', ["SET DateStyle = 'ISO, MDY'"]],
        ['in a transaction', ["SET DateStyle = 'ISO, MDY'", 'BEGIN']],
        ['for a transaction', ['BEGIN', "SET LOCAL DateStyle = 'ISO, MDY'"]],
        ['reset', ['RESET DateStyle']],
      ]
      for (const [what, texts] of steps) {
        for (const described of [false, true]) {
          const answers: unknown[] = []
          for (const address of [target, pgbun]) {
            const client = await loginRaw(t, address)
            const other = await loginRaw(t, address)
            await client.query("SET DateStyle = 'SQL, DMY'")
            client.send(frontend.parse(sql), ...(described ? [frontend.describe('S')] : []), frontend.sync())
            await client.readUntil('Z')
            for (const text of texts) {
              client.send(...named(text))
              await client.readUntil('Z')
              // Another client's unnamed statement takes the place, where it can.
              if (text !== 'BEGIN' && !texts.includes('BEGIN')) await other.query('SELECT 1')
            }
            client.send(frontend.bind(['7']), frontend.execute(), frontend.sync())
            const rows = rowsOf(await client.readUntil('Z'))
            client.send(frontend.bind(['8']), frontend.execute(), frontend.sync())
            answers.push([rows, rowsOf(await client.readUntil('Z'))])
            await Promise.all([client.end(), other.end()])
          }
          t.same(answers[1], answers[0], `${what}${described ? ', described' : ''}`)
        }
      }
    },
  )

  await t.test('and one with a temporary table finds what that hides from others', async (t) => {
    const sql = 'SELECT a FROM hidden'
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await client.query("CREATE TABLE hidden (a text); INSERT INTO hidden VALUES ('public')")
    // From its first temporary table on a session looks into a schema of its own.
    await client.query('CREATE TEMP TABLE first (a int)')
    await client.query('DROP TABLE first')
    t.equal(await run(other, sql), 'public')
    await client.query("CREATE TEMP TABLE hidden (a text); INSERT INTO hidden VALUES ('temporary')")
    t.equal(await run(client, sql), 'temporary')
    await client.query('DROP TABLE hidden')
    client.send(frontend.bind([], 'a'), frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['public']])
    other.send(frontend.bind([], 'a'), frontend.execute(), frontend.sync())
    t.same(rowsOf(await other.readUntil('Z')), [['public']])
  })
})
