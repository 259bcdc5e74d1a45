/**
 * Shared statements that are no longer what a client would get by preparing them itself: parsed before tables, types or
 * functions changed, or lost by the server.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres, type Teardown } from '../fixtures/postgres.ts'
import { type Address, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'

interface Change {
  what: string
  /** No error tells of it. */
  silent?: boolean
  setup: string[]
  sql: string
  before: string[]
  change: string
  after: string[]
}

const CHANGES: Change[] = [
  {
    what: 'the type of a column',
    setup: ['CREATE TABLE changing (a int)'],
    sql: 'SELECT a FROM changing WHERE a = $1',
    before: ['1'],
    change: "ALTER TABLE changing ALTER a TYPE text; INSERT INTO changing VALUES ('abc')",
    after: ['abc'],
  },
  {
    what: 'an enum of the same name',
    setup: ["CREATE TYPE kind AS ENUM ('x', 'y')", 'CREATE TABLE changing (a kind)'],
    sql: 'SELECT count(*) FROM changing WHERE a = $1',
    before: ['x'],
    change: "DROP TABLE changing; DROP TYPE kind; CREATE TYPE kind AS ENUM ('z'); CREATE TABLE changing (a kind)",
    after: ['z'],
  },
  {
    what: 'a function of other types',
    setup: ["CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'"],
    sql: 'SELECT f($1)',
    before: ['1'],
    change: "DROP FUNCTION f(int); CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS 'SELECT ''t''::text'",
    after: ['q'],
  },
  {
    what: 'a better fitting function',
    silent: true,
    setup: ["CREATE FUNCTION f(numeric) RETURNS text LANGUAGE sql AS 'SELECT ''numeric''::text'"],
    sql: 'SELECT f(1)',
    before: [],
    change: "CREATE FUNCTION f(int) RETURNS text LANGUAGE sql AS 'SELECT ''int''::text'",
    after: [],
  },
  {
    what: 'a table that is gone',
    setup: ['CREATE TABLE changing (a int)'],
    sql: 'SELECT a FROM changing',
    before: [],
    change: 'DROP TABLE changing',
    after: [],
  },
  {
    what: 'a column that is gone',
    setup: ['CREATE TABLE changing (a int, b int)'],
    sql: 'SELECT b FROM changing',
    before: [],
    change: 'ALTER TABLE changing DROP b',
    after: [],
  },
]
const CLEAN = [
  'DROP TABLE IF EXISTS changing CASCADE',
  'DROP TYPE IF EXISTS kind CASCADE',
  'DROP FUNCTION IF EXISTS f(int)',
  'DROP FUNCTION IF EXISTS f(text)',
  'DROP FUNCTION IF EXISTS f(numeric)',
]

const parse = (sql: string): Buffer => frontend.parse(sql, 'a')
const run = (values: string[]): Buffer[] => [frontend.bind(values, 'a'), frontend.describe('P'), frontend.execute()]

/** What comes of one batch: types, rows, and the code of an error. */
async function say(client: RawClient, ...messages: Buffer[]): Promise<string> {
  client.send(...messages, frontend.sync())
  const answers = await client.readUntil('Z')
  return `${typesOf(answers)} ${rowsOf(answers).join()} ${errorOf(answers).C ?? ''}`
}

t.test('stale statements', async (t) => {
  const target = await startPostgres(t)
  const start = (t: Teardown, size: number): Promise<Pgbun> =>
    // Without suspicion of new functions, for which servers are reset: then all is prepared anew.
    startPgbun(t, { target, poolMode: 'transaction', poolSize: size, args: ['--no-check-functions'] })
  const pgbun = await start(t, 1)

  /** A client that ran the statement before it was changed, and what others may do in between. */
  async function around(t: Teardown, at: Address, change: Change, by: RawClient): Promise<RawClient> {
    for (const sql of [...CLEAN, ...change.setup]) await by.query(sql)
    const old = await loginRaw(t, at)
    await say(old, parse(change.sql), ...run(change.before))
    await by.query(change.change)
    return old
  }

  for (const change of CHANGES) {
    await t.test(`${change.what}: whoever prepares it anew does not get the old one`, async (t) => {
      const answers: string[][] = []
      for (const at of [target, pgbun]) {
        const old = await around(t, at, change, await loginRaw(t, at))
        const fresh = await loginRaw(t, at)
        answers.push([
          await say(fresh, parse(change.sql), ...run(change.after)),
          await say(fresh, ...run(change.after)),
          await say(old, ...run(change.before)),
        ])
      }
      t.same(answers[1], answers[0])
    })

    if (change.silent) continue
    await t.test(`${change.what}, changed past pgbun: known from the first error on`, async (t) => {
      const answers: string[] = []
      for (const at of [target, pgbun]) {
        await around(t, at, change, await loginRaw(t, target))
        await say(await loginRaw(t, at), parse(change.sql), ...run(change.after))
        answers.push(await say(await loginRaw(t, at), parse(change.sql), ...run(change.after)))
      }
      t.equal(answers[1]!.replace('Z', ''), answers[0]!.replace('Z', ''))
    })
  }

  await t.test('what others parse before a change is committed is not kept behind it', async (t) => {
    const pair = await start(t, 2)
    const [altering, other] = [await loginRaw(t, pair), await loginRaw(t, pair)]
    for (const sql of [...CLEAN, CHANGES[3]!.setup[0]!, 'BEGIN', CHANGES[3]!.change]) await altering.query(sql)
    t.equal(await say(other, parse('SELECT f(1)'), ...run([])), '12TDCZ numeric ')
    t.equal(await say(altering, parse('SELECT f(1)'), ...run([])), '12TDCZ int ')
    await altering.query('COMMIT')
    t.equal(await say(other, ...run([])), '2TDCZ numeric ')
    for (let i = 0; i < 2; i++) {
      t.equal(await say(await loginRaw(t, pair), parse('SELECT f(1)'), ...run([])), '12TDCZ int ')
    }
  })

  await t.test('values that do not fit do not have it prepared each time', async (t) => {
    const client = await loginRaw(t, pgbun)
    const list = `SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT $1::int'`
    await say(client, parse('SELECT $1::int'))
    const names = new Set<string>()
    for (let i = 0; i < 5; i++) {
      t.equal(await say(client, ...run(['x'])), 'EZ  22P02')
      await say(client, ...run(['1']))
      names.add(String(await client.rows(list)))
    }
    t.equal(names.size, 1)
  })

  await t.test('deallocated behind pgbun’s back: nobody notices', async (t) => {
    const client = await loginRaw(t, pgbun)
    const careless = await loginRaw(t, pgbun)
    await say(client, parse("SELECT 'mine'"), frontend.parse("SELECT 'other'", 'b'))
    const lose = "DO $$ BEGIN EXECUTE 'DEALLO' || 'CATE ALL'; END $$"
    await careless.query(lose)
    t.equal(await say(client, frontend.bind([], 'a'), frontend.execute()), '2DCZ mine ')
    await careless.query(lose)
    t.equal(await say(client, frontend.describe('S', 'a')), 'tTZ  ')
    await careless.query(lose)
    await client.query('BEGIN')
    t.equal(await say(client, ...run([])), 'EZ  26000', 'a transaction cannot be repeated')
    await client.query('ROLLBACK')
    t.equal(await say(client, frontend.bind([], 'b'), frontend.execute(), ...run([])), '2DC2TDCZ other,mine ')
  })
})
