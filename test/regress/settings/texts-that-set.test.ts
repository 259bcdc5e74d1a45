import t, { type Test } from 'tap'
import { frontend, type Message, message } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres } from '../../fixtures/postgres.ts'
import { type Address, errorOf, loginRaw, type RawClient, rowsOf } from '../../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// What a client set by a long text, by one of many, or by a message that is no text was lost to it: a parameter of
// an application, which PostgreSQL does not list, was not asked for.
t.test('a parameter that a long text sets follows its client', async (t) => {
  const LONG = 'x'.repeat(300_000)

  const DATA = `INSERT INTO data VALUES ('${LONG} set call do create into;')`

  const set = (name: string): string => `SET app.${name} = 'mine'`

  /** Statements, and the parameter that one of them sets. */
  const SAID: readonly (readonly [string, readonly string[], string])[] = [
    ['in front of long data', [`${set('a')}; ${DATA}`], 'app.a'],
    ['behind long data', [`${DATA}; ${set('b')}`], 'app.b'],
    ['behind a long comment', [`/* ${LONG} */ ${set('c')}`], 'app.c'],
    ['with a long value', [`SET app.d = '${LONG}'`], 'app.d'],
    ['with set_config() in a long statement', [`SELECT set_config('app.e', 'mine', false), '${LONG}'`], 'app.e'],
    ['in a long DO', [`DO $$ BEGIN PERFORM set_config('app.f', 'mine', false), '${LONG}'; END $$`], 'app.f'],
    [
      'as the first of many in a transaction',
      ['BEGIN', ...Array.from({ length: 40 }, (_, i) => set(`many${i}`)), 'COMMIT'],
      'app.many0',
    ],
    [
      'as one of many in a DO',
      [
        `DO $$ DECLARE name text; BEGIN FOREACH name IN ARRAY ARRAY[${Array.from({ length: 120 }, (_, i) => `'app.do${i}'`)}]
        LOOP PERFORM set_config(name, 'mine', false); END LOOP; END $$`,
      ],
      'app.do119',
    ],
  ]

  /** What `client` has of the parameter `name` while `other` has had the server it had, if that is to be had. */
  async function elsewhere(client: RawClient, other: RawClient, name: string): Promise<string> {
    await other.query('BEGIN')
    const found = await setting(client, name)
    await other.query('COMMIT')
    return found
  }

  async function setting(client: RawClient, name: string): Promise<string> {
    return (await client.rows(`SELECT coalesce(current_setting('${name}', true), '')`))[0]![0]!
  }

  const target = await postgres.database(t, ['CREATE TABLE data (a text)'])
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })

  for (const [what, statements, name] of SAID) {
    await t.test(what, async (t) => {
      const [mine, other] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
      for (const sql of statements) t.equal(errorOf(await mine.query(sql)).M, undefined, sql.slice(0, 40))
      t.match(await elsewhere(mine, other, name), /^(?:mine|x+)$/)
      t.match(await setting(other, name), /^$/, 'nobody else has it')
      await Promise.all([mine.end(), other.end()])
    })
  }

  await t.test('a parameter that a FunctionCall sets follows its client', async (t) => {
    const [mine, other] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
    mine.send(frontend.functionCall(2078, ['app.called', 'mine', 'f']))
    await mine.readUntil('Z')
    t.equal(await elsewhere(mine, other, 'app.called'), 'mine')
    await Promise.all([mine.end(), other.end()])
  })

  await t.test('a short FunctionCall that comes in pieces keeps no server', async (t) => {
    const clients = await Promise.all([1, 2, 3].map(() => loginRaw(t, pgbun)))
    for (const client of clients) {
      const call = frontend.functionCall(1397, ['-7'])
      for (let at = 0; at < call.length; at++) {
        client.send(call.subarray(at, at + 1))
        await new Promise(setImmediate)
      }
      t.equal(errorOf(await client.readUntil('Z')).M, undefined)
    }
    await Promise.all(clients.map((client) => client.end()))
  })

  await t.test('long data alone keeps no server', async (t) => {
    const clients = await Promise.all([1, 2, 3].map(() => loginRaw(t, pgbun)))
    for (const client of clients) {
      t.equal(errorOf(await client.query(DATA)).M, undefined)
      t.equal(await setting(client, 'work_mem'), '4MB')
    }
    for (const client of clients) await client.end()
  })

  await t.test('a client whose text cannot be read keeps its server, which ends with it', async (t) => {
    const [mine, other] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
    const sql = `SET standard_conforming_strings = off; SELECT 'it\\'s; ${LONG}', set_config('app.g', 'mine', false)`
    await mine.rows('SET standard_conforming_strings = off')
    t.equal(errorOf(await mine.query(sql)).M, undefined)
    t.equal(await elsewhere(mine, other, 'app.g'), 'mine')
    const [[pid]] = (await mine.rows('SELECT pg_backend_pid()')) as [[string]]
    await mine.end()
    const [[next]] = (await other.rows('SELECT pg_backend_pid()')) as [[string]]
    t.not(next, pid)
    await other.end()
  })
})

// Parameters of applications whose names begin with a word of SET itself (SET local.x), are written with escapes, or
// stand behind a comment that a carriage return ends were left to the next client and lost to their own.
t.test('a parameter named local.x belongs to the client that set it', async (t) => {
  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const words = ['local', 'role', 'names', 'schema', 'transaction', 'constraints', 'session', 'time']
  const writings = words.map((word) => [`SET ${word}.x = 'mine'`, `${word}.x`])
  writings.push(["-- a comment\rSET app.a = 'mine'", 'app.a'], ["SET -- a comment\rapp.b = 'mine'", 'app.b'])
  writings.push(["BEGIN; SET local.y = 'mine'; COMMIT", 'local.y'], [`SET U&"\\0061pp".c = 'mine'`, 'app.c'])
  for (const [sql, name] of writings) {
    const look = `SELECT nullif(current_setting('${name}', true), '')`
    const owner = await loginRaw(t, pgbun)
    await owner.rows(sql!)
    const pinned = name === 'app.c'
    const stranger = await loginRaw(t, pgbun)
    if (!pinned) t.strictSame(await stranger.rows(look), [[null]], `${sql}: not another client’s`)
    t.strictSame(await owner.rows(look), [['mine']], `${sql}: its own`)
    await owner.end()
    t.strictSame(await stranger.rows(look), [[null]], `${sql}: gone with its client`)
  }
})

// A parameter of an application whose name was quoted, spelled with white space around its dot, with a comment
// beside it or with letters outside of ASCII did not follow its client, and was seen by the next one on the same
// server.
t.test('a parameter belongs to the client that set it, however its name is written', async (t) => {
  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const writings: [string, string][] = [
    [`SET "app"."quoted" = 'mine'`, 'app.quoted'],
    [`SET "app.together" = 'mine'`, 'app.together'],
    [`SET "App"."Case" = 'mine'`, 'app.case'],
    ["SET app . spaced TO 'mine'", 'app.spaced'],
    ["SET /* a */ app /* b */ . /* c */ commented = 'mine'", 'app.commented'],
    ["SET SESSION -- a line\n app.line = 'mine'", 'app.line'],
    ["SELECT '--'; SET app.behind = 'mine'", 'app.behind'],
    [`DO $$ BEGIN SET "app.in.code" = 'mine'; END $$`, 'app.in.code'],
    [`SET "app.of.several" = 'mine'; SET app.b TO DEFAULT`, 'app.of.several'],
  ]
  for (const [sql, name] of writings) {
    const look = `SELECT nullif(current_setting('${name}', true), '')`
    const owner = await loginRaw(t, pgbun)
    const stranger = await loginRaw(t, pgbun)
    await owner.rows(sql)
    t.same(await stranger.rows(look), [[null]], `${sql}: not another client’s`)
    t.same(await owner.rows(look), [['mine']], `${sql}: its own`)
    await owner.end()
    t.same(await stranger.rows(look), [[null]], `${sql}: gone with its client`)
  }

  // What such a name is, depends on the client's encoding: its client keeps the server.
  for (const sql of [
    "SET app.größe = 'mine'",
    "SELECT set_config('app.größe', 'mine', false)",
    'SET app.größe TO mine; SELECT 1',
  ]) {
    const owner = await loginRaw(t, pgbun)
    const stranger = await loginRaw(t, pgbun)
    await owner.rows(sql)
    t.same(await owner.rows("SELECT current_setting('app.größe', true)"), [['mine']], `${sql}: its own`)
    await owner.end()
    const look = "SELECT nullif(current_setting('app.größe', true), '')"
    t.same(await stranger.rows(look), [[null]], `${sql}: gone with its client`)
  }
})

// What was set under an old name (SET vacuum_mem) did not follow its client, and stayed for the next one.
t.test('a parameter set under an old name of it follows its client', async (t) => {
  const LOOK = "SELECT current_setting('work_mem'), current_setting('maintenance_work_mem')"

  const target = await postgres.server()
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const fresh = await (await loginRaw(t, target)).rows(LOOK)
  const cases: [Record<string, string>, ...string[]][] = [
    [{}, "SET vacuum_mem = '90MB'"],
    [{}, "SET work_mem = '6MB'", "SET sort_mem = '9MB'"],
    [{}, "SELECT set_config('Sort_Mem', '9MB', false)"],
    [{ work_mem: '8MB' }, "SET sort_mem = '9MB'", 'RESET work_mem'],
    [{ options: '-c sort_mem=8MB' }, "SET work_mem = '9MB'", 'RESET sort_mem'],
    [{ options: '-c work_mem=8MB -c sort_mem=7MB' }],
  ]
  for (const [parameters, ...texts] of cases) {
    await t.test(`${JSON.stringify(parameters)} ${texts.join('; ')}`, async (t) => {
      const [client, direct] = [await loginRaw(t, pgbun, { parameters }), await loginRaw(t, target, { parameters })]
      const other = await loginRaw(t, pgbun)
      for (const text of texts) for (const each of [client, direct]) await each.rows(text)
      t.same(await other.rows(LOOK), fresh, 'nothing of it is another client’s')
      t.same(await client.rows(LOOK), await direct.rows(LOOK), 'all of it is its own')
      for (const each of [client, direct, other]) await each.end()
    })
  }
})

// What SET default_text_search_config = 'english' had once become was given to every client that ran the same text,
// although it depends on the search_path.
t.test('the same SET of two clients may mean two values', async (t) => {
  const server = await postgres.server()
  await server.query('CREATE SCHEMA mine')
  await server.query('CREATE TEXT SEARCH CONFIGURATION mine.english (COPY = pg_catalog.german)')
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const set = "SET default_text_search_config = 'english'"
  const show = 'SHOW default_text_search_config'
  const one = await loginRaw(t, pgbun)
  const other = await loginRaw(t, pgbun)
  await one.rows(set)
  await other.rows('SET search_path = mine, pg_catalog')
  await other.rows(set)
  t.strictSame(await one.rows(show), [['pg_catalog.english']])
  t.strictSame(await other.rows(show), [['mine.english']])
})

// PostgreSQL lists transaction_read_only as set in the session, so it was taken for a setting of the client. It
// cannot be reset: the next client was refused.
t.test('after SET TRANSACTION READ ONLY of one client the next one may write', async (t) => {
  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const client = await loginRaw(t, pgbun)
  client.send(frontend.query("SET TRANSACTION READ ONLY; SELECT set_config('app.tag', 'x', false)"))
  await client.readUntil('Z')
  const other = await loginRaw(t, pgbun)
  other.send(frontend.query('SHOW transaction_read_only'))
  t.same(rowsOf(await other.readUntil('Z')), [['off']])
})

// Such values were read as UTF-8 whatever the encoding of the client was: given to the next server, they ended their
// client with 22P05.
t.test('a value outside of ASCII keeps the encoding of its client', async (t) => {
  const query = (sql: string, encoding: BufferEncoding): Buffer => message('Q', Buffer.from(`${sql}\0`, encoding))

  const rowOf = (messages: Message[]): string => {
    return messages
      .find(({ type }) => type === 'D')!
      .body.subarray(6)
      .toString('latin1')
  }

  async function values(
    t: Test,
    address: Address,
    database: string,
    client_encoding: string,
    encoding: BufferEncoding,
  ): Promise<string[]> {
    const found: string[] = []
    for (const [set, show] of [
      ["SET app.name = 'Müller'", "SELECT current_setting('app.name')"],
      ["SELECT set_config('app.name', 'Müller', false)", "SELECT current_setting('app.name')"],
      ['SET search_path = "schüma"', 'SHOW search_path'],
      ["BEGIN; SET app.name = 'Müller'; COMMIT", "SELECT current_setting('app.name')"],
    ]) {
      const client = await loginRaw(t, address, { database, parameters: { client_encoding } })
      client.send(query(set!, encoding))
      await client.readUntil('Z')
      const other = await loginRaw(t, address, { database })
      await other.rows("SET app.name = 'other'")
      for (let i = 0; i < 2; i++) {
        client.send(query(show!, encoding))
        found.push(rowOf(await client.readUntil('Z')))
      }
      await client.end()
      await other.rows('SHOW search_path')
      await other.end()
    }
    return found
  }

  await t.test('a client gets its values back on each server', async (t) => {
    const server = await postgres.server()
    await server.query("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
    t.strictSame(
      await values(t, pgbun, 'postgres', 'LATIN1', 'latin1'),
      await values(t, server, 'postgres', 'LATIN1', 'latin1'),
    )
    t.match(pgbun.logs(), /keeps its server.*another encoding/)
    t.strictSame(await values(t, pgbun, 'ascii', 'UTF8', 'utf8'), await values(t, server, 'ascii', 'UTF8', 'utf8'))
    t.strictSame(
      await values(t, pgbun, 'postgres', 'UTF8', 'utf8'),
      await values(t, server, 'postgres', 'UTF8', 'utf8'),
    )
    t.notMatch(pgbun.logs(), /WARN|ERROR/)
  })

  await t.test('session_state = reset takes such values away', async (t) => {
    const server = await postgres.server()
    const args = ['--session-state', 'reset']
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
    for (const [set, show, usual] of [
      ["SET app.name = 'Müller'", "SELECT nullif(current_setting('app.name', true), '')", null],
      ['SET search_path = "schüma"', 'SHOW search_path', '"$user", public'],
    ]) {
      const client = await loginRaw(t, pgbun, { parameters: { client_encoding: 'LATIN1' } })
      client.send(query(set!, 'latin1'))
      await client.readUntil('Z')
      t.strictSame(await client.rows(show!), [[usual]])
      const other = await loginRaw(t, pgbun)
      t.strictSame(await other.rows(show!), [[usual]])
      await client.end()
      await other.end()
    }
  })
})

// It sets parameters for the session: the next client does not find them.
t.test('what UPDATE pg_settings sets follows its client', async (t) => {
  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const login = { user: 'postgres', password: 'postgres' }
  const client = await loginRaw(t, pgbun, login)
  const next = await loginRaw(t, pgbun, login)
  await client.rows("UPDATE pg_settings SET setting = '7MB' WHERE name = 'work_mem'")
  t.same(await next.rows("SELECT current_setting('work_mem')"), [['4MB']], 'the next client')
  t.same(await client.rows("SELECT current_setting('work_mem')"), [['7MB']], 'its own')
})
