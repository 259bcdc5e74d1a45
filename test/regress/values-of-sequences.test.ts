/**
 * The values that sequences gave to one client (currval, lastval) were another's where a function or a view read them;
 * nextval() kept its client on its server once anybody had read one; and each change of a server's client cost a round
 * trip from then on.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf } from '../fixtures/raw-client.ts'

const UNDEFINED = { C: '55000' }

t.test('values of sequences', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ['CREATE SEQUENCE counter'] })
  const one = { target, poolMode: 'transaction', poolSize: 1 } as const

  for (const [what, sql] of [
    ['a function', "CREATE FUNCTION last() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN lastval(); END'"],
    ['a view', 'CREATE VIEW last AS SELECT lastval()'],
  ] as const) {
    await t.test(`read by ${what}`, async (t) => {
      await target.query(sql)
      t.teardown(() => target.query(`DROP ${what.slice(2).toUpperCase()} last`))
      const pgbun = await startPgbun(t, one)
      const [taker, reader] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
      await taker.rows("SELECT nextval('counter')")
      t.match(errorOf(await reader.query(`SELECT * FROM last${what === 'a function' ? '()' : ''}`)), UNDEFINED)
      await taker.rows("SELECT nextval('counter')")
      await reader.query('BEGIN')
      t.match(errorOf(await reader.query(`SELECT * FROM last${what === 'a function' ? '()' : ''}`)), UNDEFINED)
    })
  }

  await t.test('nextval() keeps nobody on a server, also where others read', async (t) => {
    const pgbun = await startPgbun(t, one)
    const reader = await loginRaw(t, pgbun)
    t.match(errorOf(await reader.query('SELECT lastval()')), UNDEFINED)
    await reader.end()
    const [a, b] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    const [[first]] = (await a.rows("SELECT nextval('counter')")) as [[string]]
    t.same(await a.rows("SELECT currval('counter')"), [[first]], 'its own, with nobody in between')
    await a.end()
    await b.rows("SELECT nextval('counter')")
    const c = await loginRaw(t, pgbun)
    t.same(await c.rows('SELECT 1'), [['1']], 'b keeps nothing for long')
    t.match(errorOf(await b.query('SELECT lastval()')), UNDEFINED, 'its own are gone, and nobody else’s are there')
  })

  await t.test('the first reader finds its own where nobody else had the server', async (t) => {
    const pgbun = await startPgbun(t, one)
    const client = await loginRaw(t, pgbun)
    const [[own]] = (await client.rows("SELECT nextval('counter')")) as [[string]]
    t.same(await client.rows('SELECT lastval()'), [[own]])
  })

  await t.test('who kept its server before anybody read one does not find another’s', async (t) => {
    const pgbun = await startPgbun(t, { ...one, poolSize: 2 })
    const taker = await loginRaw(t, pgbun)
    const pid = (await taker.rows("SELECT pg_backend_pid(), nextval('counter')"))[0]![0]
    await taker.end()
    const kept = await loginRaw(t, pgbun)
    await kept.query('CREATE TEMP TABLE own (a int)')
    t.equal((await kept.rows('SELECT pg_backend_pid()'))[0]![0], pid)
    const reader = await loginRaw(t, pgbun)
    t.match(errorOf(await reader.query('SELECT lastval()')), UNDEFINED)
    t.match(errorOf(await kept.query('SELECT lastval()')), UNDEFINED)
  })

  await t.test('they are taken away in front of what comes next, unseen', async (t) => {
    const pgbun = await startPgbun(t, one)
    const reader = await loginRaw(t, pgbun)
    await reader.query('SELECT lastval()')
    await reader.end()
    const [a, b] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    for (const client of [a, b]) {
      client.send(frontend.parse('SELECT $1::text'), frontend.parse('SELECT $1::int', 'named'), frontend.sync())
      await client.readUntil('Z')
    }
    for (const [client, mark] of [
      [a, 'a'],
      [b, 'b'],
      [a, 'c'],
    ] as const) {
      client.send(frontend.bind([mark]), frontend.execute(), frontend.sync())
      t.same(rowsOf(await client.readUntil('Z')), [[mark]], 'the unnamed statement')
      client.send(frontend.bind(['5'], 'named'), frontend.execute(), frontend.sync())
      t.same(rowsOf(await client.readUntil('Z')), [['5']])
    }
    a.send(frontend.bind(['x'], 'named'), frontend.execute(), frontend.sync(), frontend.query('SELECT 2'))
    t.match(errorOf(await a.readUntil('Z')), { C: '22P02' })
    t.same(rowsOf(await a.readUntil('Z')), [['2']])
  })
})
