import t from 'tap'
import { type Case, playCases, run } from '../../fixtures/changed-tables.ts'
import { frontend } from '../../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres, type Teardown } from '../../fixtures/postgres.ts'
import { type Address, cancel, errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../../fixtures/raw-client.ts'
import { waitFor } from '../../fixtures/wait.ts'

const postgres = sharedPostgres(t)

// EXECUTE name and FETCH FROM name were described as what the server had under that name: nothing, or what another
// client had there.
t.test('the rows of EXECUTE and FETCH fit the description that the client got', async (t) => {
  const { parse, describe, execute, close } = frontend

  const EXAMPLE = 'CREATE TABLE m.t (a int)'

  const CASES: Case[] = [
    {
      what: 'executed by SQL',
      setup: [EXAMPLE],
      async run(play) {
        await play.say('A', parse('SELECT $1::int + 1', 's'), describe('S', 's'))
        await play.elsewhere()
        await play.query('A', 'EXECUTE s(41)')
        for (const name of ['', 'e']) {
          await play.elsewhere()
          await play.say('A', parse('EXECUTE s(41)', name), describe('S', name), ...run(name))
          await play.say('A', ...run(name))
          await play.elsewhere()
          await play.say('A', frontend.bind([], name), describe('P'), execute())
          await play.say('A', parse('/* no. 1 */ EXECUTE s (1)', `${name}1`))
          await play.say('A', describe('S', `${name}1`))
          await play.say('A', parse('EXECUTE missing', `${name}2`), describe('S', `${name}2`))
          await play.say('A', ...run(`${name}2`))
        }
        // What the name stands for is the client's own, and of now.
        await play.say('B', parse("SELECT 'b' AS b, 2", 's'))
        await play.say('B', parse('EXECUTE s', 'e'), describe('S', 'e'), ...run('e'))
        await play.say('A', parse('EXECUTE s(1)', 'f'), describe('S', 'f'), ...run('f'))
        await play.say(
          'B',
          close('S', 's'),
          parse("SELECT 'c' AS c", 's'),
          parse('EXECUTE s', 'f'),
          describe('S', 'f'),
          ...run('f'),
        )
      },
    },
    {
      what: 'fetched from a cursor',
      async run(play) {
        for (const [who, columns] of [
          ['A', '1 AS one'],
          ['B', '2 AS two, 3 AS three'],
        ] as const) {
          await play.query(who, 'BEGIN')
          await play.query(who, `DECLARE c CURSOR FOR SELECT ${columns}`)
          await play.say(who, parse('FETCH 1 FROM c', 'f'), describe('S', 'f'), ...run('f'))
          await play.query(who, 'COMMIT')
          await play.elsewhere()
          await play.query(who, 'BEGIN')
          await play.query(who, `DECLARE c CURSOR FOR SELECT ${columns}`)
          await play.say(who, frontend.bind([], 'f'), describe('P'), execute())
          await play.query(who, 'COMMIT')
        }
      },
    },
  ]

  return playCases(t, await postgres.database(t), CASES)
})

// Clients share prepared statements. A shared one may no longer be what a client would get by preparing it itself:
// it was parsed before tables, types or functions changed, or the server lost it.
t.test('a client that prepares a statement after a change gets it as it is now', async (t) => {
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

  const target = await postgres.database(t)
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
    await t.test(`${change.what}: a client that prepares it anew does not get the old one`, async (t) => {
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
    await t.test(`${change.what}, changed past pgbun: one error, and nobody gets it again`, async (t) => {
      const answers: string[] = []
      for (const at of [target, pgbun]) {
        await around(t, at, change, await loginRaw(t, target))
        await say(await loginRaw(t, at), parse(change.sql), ...run(change.after))
        answers.push(await say(await loginRaw(t, at), parse(change.sql), ...run(change.after)))
      }
      t.equal(answers[1]!.replace('Z', ''), answers[0]!.replace('Z', ''))
    })
  }

  await t.test('a statement that was parsed before a change is committed is not used behind it', async (t) => {
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

  await t.test('a change past pgbun right before a Parse: its columns, though nobody asked for them', async (t) => {
    const owner = await loginRaw(t, target)
    const SQL = 'SELECT * FROM changing'
    const unasked = [frontend.bind([], 'a'), frontend.execute()]
    for (const sql of [...CLEAN, 'CREATE TABLE changing (a int)', 'INSERT INTO changing VALUES (1)'])
      await owner.query(sql)
    const client = await loginRaw(t, pgbun)
    await say(await loginRaw(t, pgbun), parse(SQL), ...unasked)
    await owner.query('ALTER TABLE changing ADD b int DEFAULT 2')
    t.equal(await say(client, parse(SQL)), '1Z  ')
    for (let i = 0; i < 2; i++) t.equal(await say(client, ...unasked), '2DCZ 1,2 ')
  })

  await t.test('values that do not fit do not have a statement prepared each time', async (t) => {
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

  await t.test('a statement that code deallocates is prepared again, and no client notices', async (t) => {
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

// A Bind waits for what its statement is on another server: meanwhile it is canceled, the server is lost, or its
// client leaves. The pool goes on.
t.test('a client gets nothing of another one where its Bind waits for the table', async (t) => {
  const { parse, describe, sync } = frontend

  const SQL = 'SELECT * FROM waiting'

  const target = await postgres.database(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  const admin = await loginRaw(t, target)
  const watcher = await loginRaw(t, target)
  await admin.query('CREATE TABLE waiting (a int); INSERT INTO waiting VALUES (1)')

  for (const how of ['canceled', 'its server lost', 'its client gone']) {
    await t.test(how, async (t) => {
      const client = await loginRaw(t, pgbun)
      client.send(parse(SQL, 's'), describe('S', 's'), sync())
      await client.readUntil('Z')
      // The other server does not have it.
      const other = await loginRaw(t, pgbun)
      await other.query('BEGIN')
      await admin.query('BEGIN; LOCK TABLE waiting')
      client.send(...run('s'), sync(), ...run('s'), sync())
      const blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
      const pid = await waitFor(async () => (await watcher.rows(blocked))[0]?.[0])
      if (how === 'canceled') {
        await cancel(t, pgbun, client.session.pid, client.session.secret)
        t.equal(errorOf(await client.readUntil('Z')).C, '57014')
      } else if (how === 'its client gone') client.destroy()
      else {
        await watcher.query(`SELECT pg_terminate_backend(${pid})`)
        t.match((await client.expectFatal()).C, /^57P01|08006$/)
      }
      await admin.query('ROLLBACK')
      if (how === 'canceled') t.equal(typesOf(await client.readUntil('Z')), '2DCZ', 'the next batch runs')
      await other.query('ROLLBACK')
      for (const who of [other, await loginRaw(t, pgbun)]) {
        who.send(parse(SQL, 's'), describe('S', 's'), ...run('s'), sync())
        t.equal(typesOf(await who.readUntil('Z')), '1tT2DCZ')
        await who.end()
      }
    })
  }
})

// Statements that clients share went from a server without the knowledge of pgbun: by the name they have there,
// which pg_prepared_statements shows to anybody, or by code. Everybody who came next to that server got an error.
t.test('a DEALLOCATE of one client takes no statement from another one', async (t) => {
  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const run = [frontend.bind([], 's'), frontend.execute()]
  const owner = await loginRaw(t, pgbun)
  const use = async (): Promise<unknown> => {
    owner.send(...run, frontend.sync())
    const answers = await owner.readUntil('Z')
    return errorOf(answers).M ?? rowsOf(answers)
  }
  const nameOf = async (client: RawClient): Promise<string> => {
    return (await client.rows("SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 42'"))[0]![0]!
  }
  owner.send(frontend.parse('SELECT 42', 's'), frontend.sync())
  await owner.readUntil('Z')
  const thief = await loginRaw(t, pgbun)

  await t.test('a DEALLOCATE of the name on the server', async (t) => {
    for (const how of ['query', 'several', 'extended']) {
      t.same(await use(), [['42']])
      const sql = `DEALLOCATE "${await nameOf(thief)}"`
      if (how === 'extended') thief.send(frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync())
      else thief.send(frontend.query(how === 'query' ? sql : `SELECT 1; ${sql}; SELECT 2`))
      t.notMatch(typesOf(await thief.readUntil('Z')), 'E')
      t.same(await use(), [['42']], how)
    }
  })

  await t.test('a Close of the name on the server takes nothing from others', async (t) => {
    const name = await nameOf(thief)
    thief.send(frontend.close('S', name), frontend.sync())
    t.equal(typesOf(await thief.readUntil('Z')), '3Z')
    t.equal(await nameOf(thief), name)
    t.same(await use(), [['42']])
  })

  for (const code of ["BEGIN EXECUTE 'DEALLOCATE ALL'; END", "BEGIN EXECUTE 'DEALLOCATE ALL'; RAISE 'no'; END"]) {
    await t.test(`a DEALLOCATE by code: ${code}`, async (t) => {
      const sql = `DO $$ ${code} $$`
      const error = code.includes('RAISE') ? 'no' : undefined
      for (const messages of [
        [frontend.query(sql)],
        [frontend.query(`SELECT 1; ${sql}`)],
        [frontend.parse(sql), frontend.bind(), frontend.execute(), frontend.sync()],
      ]) {
        t.same(await use(), [['42']])
        thief.send(...messages)
        t.equal(errorOf(await thief.readUntil('Z')).M, error)
        t.same(await use(), [['42']])
      }
    })
  }

  await t.test('a DEALLOCATE by code, with a Bind right behind it', async (t) => {
    owner.send(frontend.query('DO $$ BEGIN DEALLOCATE ALL; END $$'), ...run, frontend.sync())
    await owner.readUntil('Z')
    t.same(rowsOf(await owner.readUntil('Z')), [['42']], "the client's own names stay")
    const batch = [frontend.parse('DO $$ BEGIN DEALLOCATE ALL; END $$'), frontend.bind(), frontend.execute()]
    owner.send(...batch, ...run, frontend.sync())
    t.same(rowsOf(await owner.readUntil('Z')), [['42']])
  })
})
