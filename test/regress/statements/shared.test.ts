import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { frontend } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../../fixtures/raw-client.ts'
import { waitFor } from '../../fixtures/wait.ts'

const postgres = sharedPostgres(t)

t.test('clients share a prepared statement only under the settings that decide what it means', async (t) => {
  async function run(client: RawClient, sql: string): Promise<unknown> {
    client.send(frontend.parse(sql, 'a'), frontend.bind([], 'a'), frontend.execute(), frontend.sync())
    const [[value]] = rowsOf(await client.readUntil('Z')) as [[unknown]]
    return value
  }

  const target = await postgres.database(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const count = async (client: RawClient, sql: string): Promise<unknown> =>
    client.rows(`SELECT count(*) FROM pg_prepared_statements WHERE statement = '${sql}'`)

  await t.test('settings that change nothing of a statement do not divide it', async (t) => {
    const settings: Record<string, string>[] = [
      {},
      { work_mem: '8MB' },
      { statement_timeout: '10s' },
      { options: '-c enable_sort=off' },
    ]
    const clients: RawClient[] = []
    for (const parameters of settings) clients.push(await loginRaw(t, pgbun, { parameters }))
    for (const client of clients) await run(client, 'SELECT 1')
    // A text that was prepared a while ago is prepared anew; what it was before is closed with the next statement.
    await run(await loginRaw(t, pgbun), 'SELECT 2')
    t.same(await count(clients[0]!, 'SELECT 1'), [['1']])
  })

  await t.test('settings that the planner makes constants of divide it', async (t) => {
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

  await t.test('parameters of applications divide it, as an immutable function may read them', async (t) => {
    const owner = await loginRaw(t, target)
    const body = "SELECT current_setting('app.tenant')"
    await owner.query(`CREATE FUNCTION tenant() RETURNS text IMMUTABLE LANGUAGE sql AS $$${body}$$`)
    for (const tenant of ['one', 'two']) {
      const client = await loginRaw(t, pgbun, { parameters: { 'app.tenant': tenant } })
      t.equal(await run(client, 'SELECT tenant()'), tenant)
    }
  })

  await t.test('a statement keeps its meaning when its client sets something else', async (t) => {
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

  await t.test('the unnamed statement keeps its meaning, too, wherever it is prepared again', async (t) => {
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
  })

  await t.test('a client with a temporary table reads that, not the table it hides', async (t) => {
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

// Servers come back to the limit, and a session does not change its ways when the limit is reloaded.
t.test('max_prepared_statements holds, and a reload of it changes no statement of a client', async (t) => {
  const run = (name: string): Buffer[] => [frontend.bind([], name), frontend.execute()]

  async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
    client.send(...messages, frontend.sync())
    const answers = await client.readUntil('Z')
    return `${typesOf(answers)} ${rowsOf(answers).join()} ${errorOf(answers).C ?? ''}`
  }

  const target = await postgres.server()

  await t.test('a batch may need more statements than the limit', async (t) => {
    const args = ['--max-prepared-statements', '3']
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1, args })
    const client = await loginRaw(t, pgbun)
    const names = [...'abcdefgh']
    const count = async (): Promise<number> =>
      Number((await client.rows('SELECT count(*) FROM pg_prepared_statements'))[0]![0])
    for (const name of names) await say(client, frontend.parse(`SELECT '${name}'`, name))
    t.equal(await count(), 3)
    const all = async (): Promise<unknown> => say(client, ...names.flatMap(run))
    t.equal(await all(), `${'2DC'.repeat(8)}Z ${names.join()} `)
    t.equal(await count(), 3, 'each waits for the answer to its own Parse, and the ones before can be closed')
    t.equal(await say(client, ...run('h')), '2DCZ h ', 'one that is there')
    t.equal(await count(), 3)
    await all()
    t.equal(await say(client, ...run('d'), ...run('e')), '2DC2DCZ d,e ')
    await say(client, frontend.parse("SELECT 'i'", 'i'))
    t.equal(await count(), 3)
    for (const name of [...names, 'i']) t.equal(await say(client, ...run(name)), `2DCZ ${name} `)
  })

  await t.test('a reload to 0 and back leaves the statements of a client as they are', async (t) => {
    const file = path.join(t.testdir(), 'pgbun.toml')
    const set = (most: number): void => writeFileSync(file, `[pool]\nmax_prepared_statements = ${most}\n`)
    set(200)
    const args = ['--config', file]
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2, args })
    const reload = async (most: number): Promise<void> => {
      const before = pgbun.logs().length
      set(most)
      pgbun.signal('SIGHUP')
      await waitFor(() => /reload/i.test(pgbun.logs().slice(before)), { what: 'the reload' })
    }
    const client = await loginRaw(t, pgbun)
    t.equal(await say(client, frontend.parse("SELECT 'old'", 'a')), '1Z  ')
    await reload(0)
    const later = await loginRaw(t, pgbun)
    t.equal(await say(later, frontend.parse("SELECT 'later'", 'a'), ...run('a')), '12DCZ later ')
    t.equal(await say(client, frontend.parse("SELECT 'new'", 'a')), 'EZ  42P05')
    t.equal(await say(client, ...run('a')), '2DCZ old ')
    t.equal(await say(client, frontend.close('S', 'a')), '3Z  ')
    t.equal(await say(client, frontend.parse("SELECT 'newer'", 'a')), '1Z  ')
    t.equal(await say(client, ...run('a')), '2DCZ newer ')
    await reload(200)
    t.equal(await say(later, frontend.parse("SELECT 'again'", 'a')), 'EZ  42P05')
    t.equal(await say(later, ...run('a')), '2DCZ later ')
  })
})

t.test('one user who fills the memory for prepared statements stops nobody else', async (t) => {
  const target = await postgres.server()
  const owner = await loginRaw(t, target)
  for (const role of ['greedy', 'modest', 'late']) await owner.query(`CREATE ROLE ${role} LOGIN PASSWORD '${role}'`)
  const args = ['--max-prepared-statement-memory', '4MB']
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2, args })
  const login = async (user: string): Promise<RawClient> => loginRaw(t, pgbun, { user, password: user })
  const prepare = async (client: RawClient, name: string, sql: string): Promise<Record<string, string>> => {
    client.send(frontend.parse(sql, name), frontend.bind([], name), frontend.execute(), frontend.sync())
    const answers = await client.readUntil('Z')
    const error = errorOf(answers)
    if (error.C === undefined) t.equal(rowsOf(answers).length, 1)
    return error
  }
  /** How many statements of `size` bytes clients of `user` may have; the last error is of the second client. */
  const fill = async (user: string, size: number): Promise<number> => {
    let count = 0
    for (let clients = 0; clients < 2; clients++) {
      const client = await login(user)
      for (let full = false; !full; count++) {
        const error = await prepare(client, `s${count}`, `SELECT '${user} ${count}' /* ${'x'.repeat(size)} */`)
        full = error.C !== undefined
        if (full) {
          t.match(error, { S: 'ERROR', C: '53400', M: /of this user.*\(max_prepared_statement_memory\)/ })
          count--
        }
      }
    }
    return count
  }

  const first = await login('modest')
  t.same(await prepare(first, 'before', 'SELECT 1'), {})
  const greedy = await fill('greedy', 50_000)
  t.ok(greedy > 30 && greedy <= 40, `${greedy} statements of 50 kB in half of 4 MB`)
  t.same(await prepare(first, 'after', 'SELECT 2'), {})
  const modest = await fill('modest', 50_000)
  t.ok(modest > 10 && modest <= 20, `${modest}`)
  const late = await login('late')
  for (let i = 0; i < 50; i++) t.same(await prepare(late, `s${i}`, `SELECT ${i} /* ${'y'.repeat(1000)} */`), {})
  const again = await login('greedy')
  t.match(await prepare(again, 'a', `SELECT 3 /* ${'z'.repeat(50_000)} */`), { C: '53400' })
})
