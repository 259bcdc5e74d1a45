import t, { type Test } from 'tap'
import { functionsKnown } from '../../fixtures/functions-known.ts'
import { frontend } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres, startPostgres } from '../../fixtures/postgres.ts'
import { errorOf, type LoginOptions, loginRaw, type RawClient, rowsOf } from '../../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// What left session state without a text to suspect it by reached the next client, or was lost: a FunctionCall,
// which names its function by a number, a library that no reset unloads, and a Query too long to be looked at.
t.test('state that no text shows stays with its client', async (t) => {
  const server = await postgres.database(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })

  await t.test('a lock that a FunctionCall takes', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const [[lock]] = (await client.rows("SELECT 'pg_advisory_lock(int,int)'::regprocedure::oid")) as [[string]]
    client.send(frontend.functionCall(Number(lock), ['1', '2']))
    await client.readUntil('Z')
    other.send(frontend.query('SELECT pg_advisory_unlock(1, 2)'))
    t.same(await client.rows('SELECT pg_advisory_unlock(1, 2)'), [['t']], 'is still its own')
    t.same(rowsOf(await other.readUntil('Z')), [['f']], "and never was the other one's")
    await client.end()
    await other.end()
  })

  await t.test('a parameter that a FunctionCall sets', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const [[set]] = (await client.rows("SELECT 'set_config(text,text,bool)'::regprocedure::oid")) as [[string]]
    client.send(frontend.functionCall(Number(set), ['work_mem', '7MB', 'false']))
    await client.readUntil('Z')
    t.not((await other.rows('SHOW work_mem'))[0]![0], '7MB')
    t.same(await client.rows('SHOW work_mem'), [['7MB']])
    await client.end()
    await other.end()
  })

  await t.test('a parameter that a long Query sets', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await client.query(`SELECT length('${'x'.repeat(3_000_000)}'); SET work_mem = '8MB'`)
    t.not((await other.rows('SHOW work_mem'))[0]![0], '8MB')
    t.same(await client.rows('SHOW work_mem'), [['8MB']])
    await client.end()
    await other.end()
  })

  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`a library that a client loads, in ${mode} mode`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
      const client = await loginRaw(t, pgbun)
      const before = await client.rows('SELECT pg_backend_pid()')
      await client.query("LOAD 'plpgsql'")
      t.same(await client.rows('SELECT pg_backend_pid()'), before, 'its client keeps it')
      await client.end()
      const next = await loginRaw(t, pgbun)
      t.notSame(await next.rows('SELECT pg_backend_pid()'), before, 'nobody else gets it')
    })
  }
})

// PostgreSQL hides some parameters from most roles: what one of them could not see any more was taken for reset, and
// reached the next client.
t.test('a parameter that the role may not see does not count as reset', async (t) => {
  const server = await postgres.database(t)
  await server.query('DROP ROLE IF EXISTS sees_little')
  await server.query("CREATE ROLE sees_little LOGIN PASSWORD 'little'")
  t.teardown(() => server.query('DROP ROLE sees_little'))
  const look = 'SHOW dynamic_library_path'
  const usual = await server.query(look)
  const set = "SET dynamic_library_path = '/hidden'"
  for (const texts of [
    [set, 'SET ROLE sees_little', 'SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE', 'RESET ROLE'],
    [`BEGIN; ${set}; SET ROLE sees_little; COMMIT`],
    [`BEGIN; ${set}; SET SESSION AUTHORIZATION sees_little; COMMIT`],
  ]) {
    await t.test(texts.join('; '), async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
      const [client, next] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
      for (const text of texts) {
        t.match(errorOf(await client.query(text)), {})
        t.same(await next.rows(look), [[usual[0]!.dynamic_library_path]], text)
      }
      if (texts.length > 1) t.same(await client.rows(look), [['/hidden']], 'the wish of its own client stays')
      await client.query('RESET SESSION AUTHORIZATION; RESET ROLE; RESET dynamic_library_path')
      t.same(await client.rows(look), [[usual[0]!.dynamic_library_path]], 'until that resets it')
    })
  }
})

// Session state that no text named plainly enough stayed for the next client: what EXECUTE runs, names in an escaped
// spelling, functions that run a text, objects of other kinds in the temporary schema, temporary replication slots,
// a library loaded by DO.
t.test('state that a text hides stays with its client', async (t) => {
  const LOOK =
    "SELECT current_setting('work_mem'), coalesce(current_setting('app.tenant', true), '')," +
    " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())," +
    ' (SELECT count(*) FROM pg_replication_slots WHERE active_pid = pg_backend_pid()),' +
    " (SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema())," +
    " (SELECT count(*) FROM pg_settings WHERE name LIKE 'auto_explain.%')"

  const FRESH = [['4MB', '', '0', '0', '0', '0']]

  const STATES: readonly (readonly [string, readonly string[]])[] = [
    [
      'EXECUTE',
      [
        "PREPARE p AS SELECT set_config('app.tenant', 'A', false), set_config('work_mem', '17MB', false), pg_advisory_lock(7)",
        'EXECUTE p',
        'DEALLOCATE p',
      ],
    ],
    ['a call in quotes', [`EXPLAIN ANALYZE SELECT "set_config"('app.tenant', 'A', false)`]],
    ['a call with a comment', ["COPY (SELECT set_config/**/('app.tenant', 'A', false)) TO STDOUT"]],
    ['an escaped name', ['SELECT U&"set\\005fconfig"(\'work_mem\', \'17MB\', false), U&"pg_advisory\\005flock"(9)']],
    [
      'query_to_xml()',
      [
        "SELECT query_to_xml('SELECT set_conf'||'ig(''work_mem'', ''17MB'', false), pg_adv'||'isory_lock(5)', true, true, '')",
      ],
    ],
    ['a collation', ['CREATE COLLATION pg_temp.c FROM "C"']],
    ['a text search configuration', ['CREATE TEXT SEARCH CONFIGURATION pg_temp.cfg (COPY = simple)']],
    ['the temporary schema by its number', ['CREATE TEMP TABLE x (a int)', 'SCHEMA', 'DROP TABLE x']],
    ['a temporary replication slot', ["SELECT pg_create_physical_replication_slot('slot', false, true)"]],
    ['a temporary replication slot of a function', ['SELECT makes_slot()']],
    ['a temporary replication slot of a view', ['TABLE slot_maker']],
    ['a temporary replication slot of CALL', ['CALL calls_for_slot()']],
    [
      'a temporary replication slot of DO',
      ["DO $$ BEGIN EXECUTE 'SELECT pg_create_phys' || 'ical_replication_slot(''slot_3'', false, true)'; END $$"],
    ],
    ['LOAD in DO', ["DO $$ BEGIN LOAD 'auto_explain'; END $$"]],
    ['a view of pg_settings', ["UPDATE changing SET setting = '17MB' WHERE name = 'work_mem'"]],
  ]

  const look = (client: RawClient): Promise<(string | null)[][]> => client.rows(LOOK)

  const slot = (name: string): string => `pg_create_physical_replication_slot('${name}', false, true)`
  const target = await postgres.database(t, [
    'CREATE VIEW changing AS SELECT * FROM pg_settings',
    `CREATE FUNCTION makes_slot() RETURNS text LANGUAGE sql AS $$ SELECT slot_name FROM ${slot('slot_1')} $$`,
    `CREATE PROCEDURE calls_for_slot() LANGUAGE plpgsql AS $$ BEGIN PERFORM ${slot('slot_2')}; END $$`,
    `CREATE VIEW slot_maker AS SELECT slot_name FROM ${slot('slot_4')}`,
  ])
  for (const leaves of ['stays', 'leaves'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: leaves === 'stays' ? 2 : 1 })
    await functionsKnown(pgbun, target)
    for (const [what, statements] of STATES) {
      await t.test(`${what}, and its client ${leaves}`, async (t) => {
        const client = await loginRaw(t, pgbun)
        for (const sql of statements) {
          if (sql === 'SCHEMA') {
            const [[schema]] = (await client.rows(
              'SELECT nspname FROM pg_namespace WHERE oid = pg_my_temp_schema()',
            )) as [[string]]
            await client.query(`CREATE TABLE ${schema}.yy (a int)`)
          } else t.equal(errorOf(await client.query(sql)).M, undefined, sql)
        }
        if (leaves === 'leaves') await client.end()
        const other = await loginRaw(t, pgbun)
        t.same(await other.rows(LOOK), FRESH, 'nothing of it')
        if (leaves === 'stays') t.notSame(await look(client), FRESH, 'its own is there')
        await Promise.all([client.end(), other.end()])
      })
    }
  }

  await t.test('a SET that is prepared by the protocol and run by EXECUTE', async (t) => {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse('SELECT pg_advisory_lock(5)', 'l'), frontend.sync())
    await client.readUntil('Z')
    await client.query('EXECUTE l')
    const other = await loginRaw(t, pgbun)
    t.same(await other.rows(LOOK), FRESH)
    t.same((await look(client))[0]![2], '1', 'its lock is there')
  })
})

// A temporary table that no text calls so was not noticed where search_path leads to the temporary schema by other
// ways than a SET of the client: it stayed for the next client, and was lost to its own.
t.test('a table that is temporary by the search_path alone stays with its client', async (t) => {
  const OBJECTS: readonly (readonly [string, string])[] = [
    ['CREATE TABLE mine (a int)', 'DROP TABLE mine'],
    ['CREATE TABLE mine AS SELECT 1 AS a', 'DROP TABLE mine'],
    ['SELECT 1 AS a INTO mine', 'DROP TABLE mine'],
    ['/* no INSERT */ SELECT 1 AS a INTO /* this */ mine', 'DROP TABLE mine'],
    ['CREATE VIEW mine AS SELECT 1', 'DROP VIEW mine'],
    ['CREATE SEQUENCE mine', 'DROP SEQUENCE mine'],
    ["CREATE TYPE mine AS ENUM ('a')", 'DROP TYPE mine'],
    ["CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", 'DROP FUNCTION pg_temp.mine()'],
    ['CREATE DOMAIN mine AS int', 'DROP DOMAIN mine'],
    ['CREATE AGGREGATE mine(int) (SFUNC = int4pl, STYPE = int)', 'DROP AGGREGATE pg_temp.mine(int)'],
    ['CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl)', 'DROP OPERATOR pg_temp.=== (int, int)'],
    ['CREATE COLLATION mine FROM "C"', 'DROP COLLATION pg_temp.mine'],
    ['SELECT public.makes()', 'DROP TABLE mine'],
  ]

  /** How search_path comes to begin with pg_temp. */
  const WAYS: readonly (readonly [string, LoginOptions, readonly string[]])[] = [
    ['ALTER ROLE', { user: 'of_role', password: 'x' }, []],
    ['ALTER ROLE IN DATABASE', { user: 'of_both', password: 'x' }, []],
    ['ALTER DATABASE', { database: 'of_database' }, []],
    ['options', { parameters: { options: '-c search_path=pg_temp,public' } }, []],
    ['SET', {}, ['SET search_path = pg_temp, public']],
    ['SET LOCAL', {}, ['BEGIN', 'SET LOCAL search_path = pg_temp, public']],
    ['set_config() for the transaction', {}, ['BEGIN', "SELECT set_config('search_path', 'pg_temp, public', true)"]],
  ]

  const PRESENT =
    "SELECT EXISTS (SELECT 1 FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = pg_my_temp_schema())"

  async function value(client: RawClient, sql: string): Promise<string | null> {
    return (await client.rows(sql))[0]![0]!
  }

  const makes = "FUNCTION public.makes() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TABLE mine (a int); END'"
  const target = await startPostgres(t, {
    bootstrapSql: [
      `CREATE ${makes}`,
      "CREATE FUNCTION public.path_of_its_own() RETURNS void LANGUAGE plpgsql SET search_path = pg_temp, public AS 'BEGIN CREATE TABLE mine (a int); END'",
      "CREATE ROLE of_role SUPERUSER LOGIN PASSWORD 'x'",
      "CREATE ROLE of_both SUPERUSER LOGIN PASSWORD 'x'",
      'ALTER ROLE of_role SET search_path = pg_temp, public',
      'ALTER ROLE of_both IN DATABASE postgres SET search_path = pg_temp, public',
      'CREATE DATABASE of_database TEMPLATE postgres',
      'ALTER DATABASE of_database SET search_path = pg_temp, public',
    ],
  })
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  const attempt = async (t: Test, login: LoginOptions, before: readonly string[], create: string, drop: string) => {
    const mine = await loginRaw(t, pgbun, login)
    const other = await loginRaw(t, pgbun, login)
    for (const sql of before) await mine.rows(sql)
    t.equal(errorOf(await mine.query(create)).M, undefined, create)
    if (before[0] === 'BEGIN') await mine.rows('COMMIT')
    // The server that came free last is lent first.
    t.equal(await value(other, PRESENT), 'f', `${create}: nothing for another client`)
    t.equal(await value(mine, PRESENT), 't', `${create}: there for its own`)
    if (before[0] === 'BEGIN') await mine.rows('SET search_path = pg_temp, public')
    t.equal(errorOf(await mine.query(drop)).M, undefined, drop)
    t.equal(await value(mine, PRESENT), 'f', 'nothing is left')
    await Promise.all([mine.end(), other.end()])
  }
  for (const [way, login, before] of WAYS) {
    await t.test(way, async (t) => {
      for (const [i, [create, drop]] of OBJECTS.entries()) {
        if (way !== 'ALTER ROLE' && i % 4 > 0) continue
        // What such a function does under a path of the transaction alone, its text does not say.
        if (before[0] === 'BEGIN' && create.includes('makes')) continue
        await attempt(t, login, before, create, drop)
      }
    })
  }
  await t.test('a function with a search_path of its own', (t) => {
    return attempt(t, {}, [], 'SELECT public.path_of_its_own()', 'DROP TABLE pg_temp.mine')
  })
})
