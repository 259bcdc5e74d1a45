/** The console's language: tokens, conditions, commands, who may run them; without sockets. */
import t from 'tap'
import { likePattern } from '../../../lib/admin/like-pattern.ts'
import { readTokens } from '../../../lib/admin/tokens.ts'
import { TOPICS } from '../../../lib/admin/topics.ts'
import { ADMIN, backend, done, errorOf, rows, run, STATS, state } from './sample-console.ts'

t.test('tokens', async (t) => {
  const words = (text: string): string[][] => readTokens(text).map((tokens) => tokens.map((token) => token.text))
  t.same(words('PAUSE my-app; resume "a ""b"" c" -- so\n;;/* x */'), [
    ['PAUSE', 'my-app'],
    ['resume', 'a "b" c'],
  ])
  t.same(words("a<=1 and b!='it''s'"), [['a', '<=', '1', 'and', 'b', '!=', "it's"]])
  t.same(words(''), [])
  for (const text of ["show 'x", 'show "x', 'show /* x']) t.throws(() => readTokens(text), /^unterminated /)
})

t.test('LIKE', async (t) => {
  for (const [text, pattern, like] of [
    ['application', 'app%', true],
    ['application', '%ion', true],
    ['application', '%li%a%', true],
    ['application', 'a_p%n', true],
    ['application', 'app', false],
    ['50%', '50\\%', true],
    ['500', '50\\%', false],
    ['', '%', true],
    ['', '_', false],
  ] as const) {
    t.equal(likePattern(text, pattern, true), like, `${text} ${pattern}`)
  }
  t.ok(likePattern('APP', 'app', false))
  const long = 'a'.repeat(20_000)
  t.notOk(likePattern(long, '%a%a%a%a%b', true), 'in time that does not explode')
})

t.test('rows are chosen, put in order and counted', async (t) => {
  t.same(await rows('SELECT id FROM clients ORDER BY id DESC'), [[3], [2], [1]])
  t.same(await rows('show clients (id, user) where user = $1', ADMIN, ['zoe']), [[1, 'zoe']])
  t.same(
    await rows("SHOW CLIENTS (id) WHERE state IN ('active', 'waiting') AND NOT wait > 1 OR user LIKE 'z%' ORDER BY id"),
    [[1], [2]],
  )
  t.same(
    await rows('SELECT id FROM clients WHERE id BETWEEN $1 AND 3 ORDER BY wait_us DESC, id LIMIT $2 OFFSET 1', ADMIN, [
      '1',
      '1',
    ]),
    [[1]],
  )
  t.same(await rows("SELECT count(*) FROM clients WHERE pinned <> ''"), [[1]])
  t.same((await run('SELECT id FROM clients LIMIT 2')).tag, 'SELECT 2')
  t.same((await run('SHOW CLIENTS LIMIT 2')).tag, 'SHOW')
  t.equal((await rows('SHOW CLIENTS'))[0]!.length, 21, 'those of PgBouncer alone')
  t.ok((await rows('SELECT * FROM clients'))[0]!.length > 21)
  t.same(backend.read('SHOW CLIENTS WHERE id = $2 AND user = $1', ADMIN)[0]!.parameters, ['text', 'int8'])
  t.equal(await errorOf('SHOW CLIENTS WHERE usr = 1'), '42703 column "usr" does not exist')
  t.equal(await errorOf("SHOW CLIENTS WHERE id = 'x'"), '22023 "x" is no number')
  t.equal(await errorOf('SHOW CLIENTS WHERE id'), '42601 syntax error at end of input')
  t.equal(await errorOf('SHOW CLIENTS LIMIT -1'), '22023 LIMIT and OFFSET must not be negative')
  t.equal(await errorOf('SHOW CLIENTS WHERE id = $0'), '42601 there is no parameter $0')
  t.equal(await errorOf(`SHOW CLIENTS WHERE ${'('.repeat(100)}id = 1`), '42601 conditions are nested too deeply')
})

t.test('what is shown of clients and servers', async (t) => {
  const [active, , waiting] = [...(await rows('SHOW CLIENTS ORDER BY id'))]
    .slice(1)
    .concat(await rows('SHOW CLIENTS WHERE id = 3'))
  t.same(active!.slice(0, 7), ['C', 'app', 'app', 'none', 'active', '10.0.0.2', 50_002])
  t.same(active!.slice(9, 11), ['2026-01-31 11:59:58 UTC', '2026-01-31 12:00:00 UTC'])
  t.same(active!.slice(14, 16), ['c2', 's7'])
  t.same(waiting!.slice(4, 5).concat(waiting!.slice(11, 13)), ['waiting', 2, 500_250])
  const [server] = await rows('SHOW SERVERS')
  t.same(server!.slice(14, 17), ['s7', 'c2', 4711])
  t.same(await rows("SHOW SERVERS (link) WHERE link = 'c2'"), [['c2']])
  t.same(
    (await rows('SHOW QUEUE (role, client, what)')).map((row) => row.slice(0, 2)),
    [
      ['waits', 3],
      ['holds', 2],
    ],
  )
  t.same(await rows('SHOW PINS (client, reason)'), [[2, 'temporary table']])
  t.same(await rows("SHOW ERRORS (sqlstate, reason, count) WHERE source = 'PostgreSQL'"), [
    ['23505', 'database app', 3],
  ])
  t.same(await rows('SHOW MEM'), [['heap', 2 ** 31 - 1, 1, 0, 2 ** 31 - 1]])
})

t.test('totals and averages', async (t) => {
  t.same(
    await rows(
      "SHOW STATS (total_query_count, total_query_time, avg_query_count, avg_query_time) WHERE database = 'app'",
    ),
    [[40, 80_000, 4, 2000]],
  )
  const totals = new Map((await rows('SHOW TOTALS')) as unknown as [string, number][])
  t.equal(totals.get('total_query_count'), 49, 'those of the console, too')
  t.equal(totals.get('total_client_bytes'), 7)
})

t.test('commands, their errors and who may run them', async (t) => {
  for (const [text, tag, noted] of [
    ['PAUSE', 'PAUSE', 'pause'],
    ['pause "My DB";', 'PAUSE', 'pause My DB'],
    ['RESUME held', 'RESUME', 'resume held'],
    ['SUSPEND', 'SUSPEND', 'suspend'],
    ['DISABLE app', 'DISABLE', 'disable app'],
    ['ENABLE app', 'ENABLE', 'enable app'],
    ['RECONNECT', 'RECONNECT', 'reconnect'],
    ['KILL app', 'KILL', 'kill app'],
    ['WAIT_CLOSE', 'WAIT_CLOSE', 'wait_close'],
    ['RELOAD', 'RELOAD', 'reload'],
    ["SET pool_size = '7'", 'SET pool_size=7', 'set pool_size 7'],
    ['set query_timeout to 5s', 'SET query_timeout=5s', 'set query_timeout 5s'],
    ['SHUTDOWN', 'SHUTDOWN', 'shutdown now'],
    ['shutdown wait_for_clients', 'SHUTDOWN', 'shutdown wait_for_clients'],
  ] as const) {
    done.length = 0
    t.equal(await errorOf(text, STATS), '08P01 admin access needed', text)
    t.same(done, [])
    t.equal((await run(text)).tag, tag)
    t.same(done, [noted])
  }
  t.equal((await run('KILL_CLIENT 7')).tag, 'KILL_CLIENT')
  for (const [text, error] of [
    ['PAUSE none', 'no such database: none'],
    ['PAUSE pgbouncer', 'cannot pause admin db: pgbouncer'],
    ['DISABLE', 'a database is required'],
    ['RESUME app', 'database app is not paused'],
    ['RESUME', 'pooler is not paused/suspended'],
    ['KILL_CLIENT 8', 'client not found'],
    ['KILL_CLIENT x', 'invalid client pointer supplied'],
    ['RELOAD x', "invalid command 'RELOAD x', use SHOW HELP;"],
    ['SHUTDOWN soon', "invalid command 'SHUTDOWN soon', use SHOW HELP;"],
    ['SHOW', "invalid command 'SHOW', use SHOW HELP;"],
    ['SHOW nothing', "invalid command 'SHOW nothing', use SHOW HELP;"],
    ['SELECT 1', "invalid command 'SELECT 1', use SHOW HELP;"],
    ['DROP TABLE x', "invalid command 'DROP TABLE x', use SHOW HELP;"],
  ] as const) {
    t.equal(await errorOf(text), `08P01 ${error}`, text)
  }
  state.paused = true
  t.equal(await errorOf('PAUSE'), '08P01 already suspended/paused')
  t.equal(await errorOf('SUSPEND'), '08P01 already suspended/paused')
  t.equal(await errorOf('KILL'), '08P01 already suspended/paused')
  state.paused = false
  for (const text of ['SHOW FDS', 'SHOW PREPARED']) t.equal(await errorOf(text, STATS), '08P01 admin access needed')
})

t.test('what drivers send by themselves', async (t) => {
  for (const [text, tag, inBlock] of [
    ['BEGIN', 'BEGIN', true],
    ['START TRANSACTION READ ONLY', 'START TRANSACTION', true],
    ['COMMIT', 'COMMIT', false],
    ['ROLLBACK', 'ROLLBACK', false],
    ['DISCARD ALL', 'DISCARD ALL', undefined],
    ['SET extra_float_digits = 3', 'SET', undefined],
    ["SET client_encoding TO 'UTF8'", 'SET', undefined],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'SET', undefined],
  ] as const) {
    t.match(await run(text, STATS), { tag, inBlock }, text)
  }
  t.same(await rows('SHOW standard_conforming_strings', STATS), [['on']])
  t.same(await rows('select version()', STATS), [['PgBouncer 1.25.2']])
})

t.test('every SHOW can be run by who may look, and HELP names all', async (t) => {
  const help = (await rows('SHOW HELP (command)', STATS)).map(([command]) => command)
  for (const [name, topic] of TOPICS) {
    const shown = await rows(`SHOW ${name}`)
    const { columns, plain } = topic
    for (const row of shown) t.equal(row.length, plain, name)
    for (const row of await rows(`SELECT * FROM ${name}`)) t.equal(row.length, columns.length, name)
    if (name !== 'help') t.ok(help.includes(`SHOW ${name.toUpperCase()}`))
  }
  t.match(await run('show help'), { notices: [{ severity: 'NOTICE', message: 'Console usage', detail: /SHOW POOLS/ }] })
})
