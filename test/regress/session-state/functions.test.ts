import t from 'tap'
import { functionsKnown } from '../../fixtures/functions-known.ts'
import { frontend } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres, type TestPostgres } from '../../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf } from '../../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// Functions in C may leave something in the session and do not say so: set_limit() of pg_trgm was left to the next
// client and lost to its own, and so were setseed(), connections of dblink and the like, called by their names, by
// functions, views and defaults, or under another name.
t.test('what a function in C keeps in the session stays with its client', async (t) => {
  /** What a function leaves: it follows its client, or keeps it on its server, which ends with it. */
  interface Kind {
    name: string
    extension?: string
    statements: readonly string[]
    look: string
    keeps: boolean
    /** Statements through a function of the user's own, a view, a default. */
    hidden?: readonly string[]
    /** It fails after a look by somebody else. */
    refused?: string
  }

  const RANDOM = 'SELECT setseed(0.25)'

  const KINDS: readonly Kind[] = [
    {
      name: 'set_limit()',
      extension: 'pg_trgm',
      statements: ['SELECT set_limit(0.7)'],
      look: 'SELECT show_limit()',
      keeps: false,
      hidden: ['SELECT limited()', 'SELECT * FROM limiting', 'INSERT INTO limits DEFAULT VALUES'],
    },
    {
      name: 'isn_weak()',
      extension: 'isn',
      statements: ['SELECT isn_weak(true)'],
      look: 'SELECT isn_weak()',
      keeps: false,
    },
    {
      name: 'setseed()',
      statements: [RANDOM],
      look: 'SELECT random()',
      keeps: true,
      hidden: ['SELECT seeded()', 'SELECT seeds(0.25)'],
      refused: 'setseed()',
    },
    {
      name: 'SET seed',
      statements: ['SET seed = 0.25'],
      look: 'SELECT random()',
      keeps: true,
      hidden: [
        'SET LOCAL "seed" TO 0.25',
        "SELECT 1; SELECT set_config('seed', '0.25', false)",
        "DO $$ BEGIN PERFORM set_config('seed', '0.25', true); END $$",
        'SELECT reseeded()',
      ],
      refused: 'SET seed',
    },
    {
      name: 'dblink_connect()',
      extension: 'dblink',
      statements: ["SELECT dblink_connect('mine', 'host=/nowhere')"],
      look: "SELECT coalesce(array_to_string(dblink_get_connections(), ' '), '')",
      keeps: true,
      refused: 'dblink_connect()',
    },
    {
      name: 'pg_backup_start()',
      statements: ["SELECT BACKUP_START('mine', true)"],
      look: 'SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()',
      keeps: true,
      refused: 'BACKUP_START()',
    },
    {
      name: 'pg_replication_origin_session_setup()',
      statements: ["SELECT pg_replication_origin_session_setup('origin')"],
      look: 'SELECT pg_replication_origin_session_is_setup()',
      keeps: true,
    },
  ]

  async function prepare(target: TestPostgres, available: Set<string>): Promise<void> {
    const { host, port } = target
    const seeded = "LANGUAGE plpgsql AS 'BEGIN PERFORM setseed(0.25); END'"
    await target.query(`CREATE FUNCTION seeded() RETURNS void ${seeded}`)
    await target.query("CREATE FUNCTION seeds(float8) RETURNS void LANGUAGE internal STRICT AS 'setseed'")
    await target.query("CREATE FUNCTION reseeded() RETURNS void LANGUAGE plpgsql AS 'BEGIN SET seed = 0.25; END'")
    await target.query("SELECT pg_replication_origin_create('origin')")
    if (available.has('pg_trgm')) {
      await target.query(
        "CREATE FUNCTION limited() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM set_limit(0.7); END'",
      )
      await target.query('CREATE VIEW limiting AS SELECT set_limit(0.7)')
      await target.query('CREATE TABLE limits (x real DEFAULT set_limit(0.7))')
    }
    if (available.has('dblink')) {
      await target.query(`CREATE FUNCTION autonomous() RETURNS void LANGUAGE plpgsql AS $$
      BEGIN
        PERFORM dblink_connect('own', 'host=${host} port=${port} user=postgres password=postgres dbname=postgres');
        PERFORM dblink_disconnect('own');
      END $$`)
    }
  }

  async function value(client: RawClient, sql: string): Promise<string | null> {
    return (await client.rows(sql))[0]![0]!
  }

  const target = await postgres.database(t)
  const available = new Set(
    (await target.query('SELECT name FROM pg_available_extensions')).map(({ name }) => name as string),
  )
  for (const { extension } of KINDS) {
    if (extension !== undefined && available.has(extension)) await target.query(`CREATE EXTENSION ${extension}`)
  }
  await prepare(target, available)
  const names = (sql: string): string => {
    return sql
      .replaceAll('BACKUP_START', target.major < 15 ? 'pg_start_backup' : 'pg_backup_start')
      .replaceAll(
        "'host=/nowhere'",
        `'host=${target.host} port=${target.port} user=postgres password=postgres dbname=postgres'`,
      )
  }

  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  await functionsKnown(pgbun, target)
  for (const kind of KINDS) {
    const skip = kind.extension !== undefined && !available.has(kind.extension) && `no ${kind.extension} here`
    for (const statements of [kind.statements, ...(kind.hidden ?? []).map((sql) => [sql])]) {
      await t.test(`${kind.name} by ${statements[0]}`, { skip }, async (t) => {
        const keeps = kind.keeps || (kind.extension === 'isn' && target.major < 18)
        const direct = await loginRaw(t, target)
        const fresh = await value(direct, kind.look)
        for (const sql of statements) t.equal(errorOf(await direct.query(names(sql))).M, undefined)
        const seen = await value(direct, kind.look)
        // An online backup is of the whole server: one after the other.
        await direct.end()

        const mine = await loginRaw(t, pgbun)
        for (const sql of statements) t.equal(errorOf(await mine.query(names(sql))).M, undefined)
        const others = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
        const pids = new Set<string | null>()
        for (const other of others) {
          await other.query('BEGIN')
          pids.add(await value(other, 'SELECT pg_backend_pid()'))
          if (kind.look !== 'SELECT random()')
            t.equal(await value(other, kind.look), fresh, 'nothing of it for another')
          else t.not(await value(other, kind.look), seen, 'nothing of it for another')
          if (keeps) await other.query('COMMIT')
        }
        if (keeps) t.equal(pids.size, 1, 'its server is its own')
        else for (const other of others) await other.query('COMMIT')
        t.equal(await value(mine, kind.look), seen, 'as on a direct connection')
        if (!keeps) {
          await mine.query('BEGIN')
          const other = others[0]
          await other.query('BEGIN')
          t.equal(await value(mine, kind.look), seen)
          t.equal(await value(other, kind.look), fresh)
          await Promise.all([mine.query('COMMIT'), other.query('COMMIT')])
          await Promise.all([mine, ...others].map((client) => client.end()))
          return
        }
        const kept = await value(mine, 'SELECT pg_backend_pid()')
        await mine.end()
        // The server ends with its client: of the two that are there now, none is that one.
        for (const other of others) {
          await other.query('BEGIN')
          t.not(await value(other, 'SELECT pg_backend_pid()'), kept, 'a server of its own until its end')
        }
        await Promise.all(others.map((other) => other.query('COMMIT')))
        await Promise.all(others.map((client) => client.end()))
      })
    }
  }

  const skip = !available.has('dblink') && 'no dblink here'
  await t.test('a function that closes its dblink connection itself keeps no server', { skip }, async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
    await functionsKnown(pgbun, target)
    const [one, two] = await Promise.all([loginRaw(t, pgbun), loginRaw(t, pgbun)])
    t.equal(errorOf(await one.query('SELECT autonomous()')).M, undefined)
    t.equal(await value(two, 'SELECT 1'), '1')
  })

  await t.test('such a function is refused with session_state = error', async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', args: ['--session-state', 'error'] })
    for (const { statements, refused } of KINDS) {
      if (refused === undefined) continue
      const client = await loginRaw(t, pgbun)
      t.match(errorOf(await client.query(names(statements[0]!))).M, names(refused))
      t.equal(await value(client, 'SELECT 1'), '1', 'the client goes on')
    }
  })
})

// The values that sequences gave to one client (currval, lastval) were seen by another one where a function or a
// view read them; nextval() kept its client on its server once anybody had read one; and from then on each change of
// the client of a server cost a round trip.
t.test('currval() and lastval() give a client its own values', async (t) => {
  const UNDEFINED = { C: '55000' }

  const target = await postgres.database(t, ['CREATE SEQUENCE counter'])
  const one = { target, poolMode: 'transaction', poolSize: 1 } as const

  for (const [what, sql] of [
    ['a function', "CREATE FUNCTION last() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN lastval(); END'"],
    ['a view', 'CREATE VIEW last AS SELECT lastval()'],
  ] as const) {
    await t.test(`a client that reads by ${what} gets no value of another one`, async (t) => {
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

  await t.test('nextval() keeps no client on a server, also where others read', async (t) => {
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

  await t.test('the first client that reads finds its own value', async (t) => {
    const pgbun = await startPgbun(t, one)
    const client = await loginRaw(t, pgbun)
    const [[own]] = (await client.rows("SELECT nextval('counter')")) as [[string]]
    t.same(await client.rows('SELECT lastval()'), [[own]])
  })

  await t.test('a client that kept its server finds no value of another one', async (t) => {
    const pgbun = await startPgbun(t, { ...one, poolSize: 2 })
    // Whichever server it gets, there are values of another one.
    const takers = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    const pids: unknown[] = []
    for (const taker of takers) {
      await taker.query('BEGIN')
      pids.push((await taker.rows("SELECT pg_backend_pid(), nextval('counter')"))[0]![0])
    }
    for (const taker of takers) {
      await taker.query('COMMIT')
      await taker.end()
    }
    const kept = await loginRaw(t, pgbun)
    await kept.query('CREATE TEMP TABLE own (a int)')
    t.ok(pids.includes((await kept.rows('SELECT pg_backend_pid()'))[0]![0]), 'a server of theirs')
    const reader = await loginRaw(t, pgbun)
    t.match(errorOf(await reader.query('SELECT lastval()')), UNDEFINED)
    t.match(errorOf(await kept.query('SELECT lastval()')), UNDEFINED)
  })

  await t.test('values of another client are taken away without an answer that a client could see', async (t) => {
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

// A module that a client loaded (LOAD) stayed in the server connection for the clients after it: no reset of
// PostgreSQL unloads one.
t.test('a module that one client loads is not there for the next one', async (t) => {
  const server = await postgres.server()
  for (const mode of ['session', 'transaction', 'statement'] as const) {
    const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
    const loader = await loginRaw(t, pgbun)
    await loader.rows("LOAD 'auto_explain'")
    const look = "SELECT count(*) FROM pg_settings WHERE name LIKE 'auto_explain.%'"
    t.not((await loader.rows(look))[0]![0], '0', `${mode}: its own`)
    await loader.end()
    const next = await loginRaw(t, pgbun)
    t.same(await next.rows(look), [['0']], `${mode}: not the next client’s`)
  }
})
