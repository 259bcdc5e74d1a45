/**
 * The look into functions held up everybody's first query for as long as it took, was sent again where its own limit of
 * time had ended it, had its server closed, and began anew on the next: whoever could create functions, temporary ones
 * even, stopped a database.
 */
import t from 'tap'
import { backend, type Message, parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection, startScriptedPostgres } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'

const CANNOT = 'cannot look into the functions'
const isQuestion = (message: Message): boolean => /WITH RECURSIVE/.test(parse.strings(message.body)[0] ?? '')
/** A script that leaves the question about functions to `answer`. */
const questioned =
  (answer: (server: ScriptedConnection) => void) =>
  (server: ScriptedConnection, message: Message): void | Promise<void> =>
    message.type === 'Q' && isQuestion(message) ? answer(server) : answerQueries(server, message)

t.test('a server that has no answer', async (t) => {
  const ways: [string, (server: ScriptedConnection) => void][] = [
    ['says nothing', () => {}],
    [
      'takes too long',
      (server) => server.send(backend.error('57014', 'canceling statement due to statement timeout'), backend.ready()),
    ],
    ['ends', (server) => server.end()],
  ]
  for (const [way, answer] of ways) {
    await t.test(way, async (t) => {
      let questions = 0
      const target = await startScriptedPostgres(t, {
        onMessage: questioned((server) => {
          questions++
          answer(server)
        }),
      })
      const pgbun = await startPgbun(t, {
        target,
        poolMode: 'transaction',
        poolSize: 1,
        args: ['--auth-type', 'trust'],
      })
      const client = await loginRaw(t, pgbun, { user: 'postgres', database: 'postgres' })
      t.same(await client.rows('SELECT 1'), [['SELECT 1']], 'the client is served')
      await pgbun.waitForLog(/every statement is suspected/)
      // An idle server is asked once more, for longer; then nothing is for a while, whatever servers come.
      await waitFor(() => new RegExp(`WARN.*${CANNOT}`, 'i').test(pgbun.logs()), { what: 'a warning' })
      const asked = questions
      for (let i = 0; i < 5; i++) {
        const next = await loginRaw(t, pgbun, { user: `user${i}`, database: 'postgres' })
        t.same(await next.rows('SELECT 1'), [['SELECT 1']])
      }
      t.ok(asked <= 2, `asked ${asked} times`)
      t.equal(questions, asked, 'and not again')
    })
  }
})

t.test(
  'a server whose answer takes longer than those who always wait are patient: in the end it is given',
  async (t) => {
    let questions = 0
    let waits: { server: ScriptedConnection; timer: NodeJS.Timeout } | undefined
    const target = await startScriptedPostgres(t, {
      onMessage: questioned((server) => {
        questions++
        const answer = (): void =>
          server.send(backend.rowDescription('a'), backend.commandComplete('SELECT 0'), backend.ready())
        waits = { server, timer: setTimeout(answer, 450) }
      }),
      onCancel() {
        clearTimeout(waits?.timer)
        waits?.server.send(backend.error('57014', 'canceling statement due to user request'), backend.ready())
      },
    })
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1, args: ['--auth-type', 'trust'] })
    let known = false
    const busy = Array.from({ length: 8 }, async () => {
      const client = await loginRaw(t, pgbun, { user: 'postgres', database: 'postgres' })
      while (!known) await client.rows('SELECT 1')
    })
    await pgbun.waitForLog(/functions of the database are known again/)
    known = true
    await Promise.all(busy)
    t.ok(questions >= 2 && questions <= 5, `asked ${questions} times`)
  },
)

t.test('functions', async (t) => {
  const target = await startPostgres(t, {
    bootstrapSql: [
      'CREATE ROLE eve LOGIN PASSWORD $$eve$$',
      "CREATE FUNCTION leave() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '77MB'; END $$",
    ],
  })
  const many = (count: number, schema: string) =>
    `DO $do$ BEGIN FOR i IN 1..${count} LOOP EXECUTE format('CREATE FUNCTION ${schema}.f%s() RETURNS text LANGUAGE sql AS %L',
       i, 'SELECT set_config(''a.b'', ''1'', false)'); END LOOP; END $do$`

  await t.test('of other sessions, temporary ones, are of no account', async (t) => {
    const eve = await loginRaw(t, target, { user: 'eve', password: 'eve' })
    await eve.query(many(3000, 'pg_temp'))
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction' })
    const client = await loginRaw(t, pgbun)
    await client.rows('SELECT leave()')
    await client.rows('SELECT 1')
    t.notMatch(pgbun.logs(), CANNOT)
    await eve.end()
  })

  await t.test("of the session's own, temporary ones, leave nothing to others when they are dropped", async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
    const client = await loginRaw(t, pgbun)
    await client.rows('CREATE TEMP TABLE own (a int)')
    await client.rows(
      "CREATE FUNCTION pg_temp.own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '88MB'; RETURN NEW; END $$",
    )
    await client.rows('CREATE TRIGGER own BEFORE INSERT ON own FOR EACH ROW EXECUTE FUNCTION pg_temp.own()')
    await client.rows('INSERT INTO own VALUES (1)')
    await client.rows('DROP TABLE own')
    await client.rows('DROP FUNCTION pg_temp.own()')
    const next = await loginRaw(t, pgbun)
    const last = await loginRaw(t, pgbun)
    await next.rows('BEGIN')
    t.same(await last.rows('SHOW work_mem'), [['4MB']])
    t.same(await next.rows('SHOW work_mem'), [['4MB']])
    await next.rows('COMMIT')
    t.same(await client.rows('SHOW work_mem'), [['88MB']], 'its own client keeps what they set')

    await client.rows(
      "CREATE FUNCTION pg_temp.own() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '99MB', false) $$",
    )
    await client.rows('BEGIN')
    await client.rows('SELECT pg_temp.own()')
    await client.rows('DROP FUNCTION pg_temp.own()')
    await client.rows('COMMIT')
    await next.rows('BEGIN')
    t.same(await last.rows('SHOW work_mem'), [['4MB']])
    t.same(await next.rows('SHOW work_mem'), [['4MB']])
    await next.rows('COMMIT')
    t.same(await client.rows('SHOW work_mem'), [['99MB']])
  })

  await t.test('more than are looked for', async (t) => {
    await target.query('CREATE SCHEMA many')
    await target.query(many(1000, 'many'))
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    const next = await loginRaw(t, pgbun)
    await client.rows('SELECT leave()')
    t.same(await next.rows('SHOW work_mem'), [['4MB']], 'everything is suspected')
    t.same(await client.rows('SHOW work_mem'), [['77MB']])
    await pgbun.waitForLog(/cannot look into the functions.*more than/)
    for (let i = 0; i < 4; i++) {
      await target.query(
        `DO $$ BEGIN FOR i IN ${i * 250 + 1}..${i * 250 + 250} LOOP EXECUTE 'DROP FUNCTION many.f' || i; END LOOP; END $$`,
      )
    }
  })

  await t.test('limits of time that are defaults of the role', async (t) => {
    await target.query("ALTER ROLE eve SET statement_timeout = '50ms'; ALTER ROLE eve SET lock_timeout = '50ms'")
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction' })
    const client = await loginRaw(t, pgbun, { user: 'eve', password: 'eve' })
    await client.rows('SELECT 1')
    t.notMatch(pgbun.logs(), CANNOT)
  })

  await t.test('a lock on the catalog', async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
    const client = await loginRaw(t, pgbun)
    // It has used what it is asked with later.
    await client.rows('SELECT leave()')
    await client.query('CREATE TABLE seen (a int)')
    const admin = await target.connect()
    await admin.query('BEGIN')
    await admin.query('LOCK TABLE pg_catalog.pg_attrdef IN ACCESS EXCLUSIVE MODE')
    await client.query('CREATE VIEW looked AS SELECT 1 AS a')
    t.same(await client.rows('SELECT 1'), [['1']], 'the client does not wait for it')
    await pgbun.waitForLog(/cannot look into the functions.*lock timeout/)
    await admin.query('ROLLBACK')
    await admin.end()
  })
})
