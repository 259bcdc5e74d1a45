/** How functions that may leave session state are found, and which statements are suspected to lead to them. */
import type pg from 'pg'
import t from 'tap'
import { type FunctionSources, functionSourcesQuery, readFunctionSources } from '../../lib/sql/function-sources.ts'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres, type TestPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../fixtures/raw-client.ts'

const HARMLESS = [
  "UPDATE t SET a = 1 WHERE b = 'x'",
  "PERFORM set_config('app.x', '1', true)",
  "PERFORM pg_catalog.set_config('app.x', coalesce(current_setting('a.b', true), upper('x')), is_local => true)",
  "SET LOCAL work_mem = '1MB'",
  "SET /* for now */ LOCAL work_mem = '1MB'",
  "PERFORM set_config('app.x', set_config('app.y', '1', true), true), set_config('app.z', '', TRUE)",
  "PERFORM set_config('search_path', 'tenant', true); CREATE TABLE z (a int)",
  "PERFORM set_config('app.x', b, true); CREATE TABLE z (a int)",
  "PERFORM set_config('search_path', b, true)",
  "PERFORM set_config('app.x', (a->>'b')::text || $1 - 1 / 2, true)",
  'CREATE TEMP TABLE z ON COMMIT DROP AS SELECT 1',
  'CREATE TEMP TABLE z (a numeric(3, 2) DEFAULT -1, b int CHECK (b / 2 > 1)) ON COMMIT DROP',
  "EXECUTE format('INSERT INTO %I (a) VALUES (1)', 't')",
  "EXECUTE 'ANALYZE ' || 't'",
  "EXECUTE 'ANALYZE'",
  "EXECUTE 'CREATE TABLE ' || 't' || ' (a int)'",
  "EXECUTE format('CREATE TABLE %I PARTITION OF %s FOR VALUES IN (%L)', 'p', 't', 1)",
  "EXECUTE format('INSERT INTO %s SELECT * FROM %I', b, c)",
  "DECLARE a int; BEGIN EXECUTE 'SELECT 1' INTO a; END",
  "EXECUTE 'WITH x AS (SELECT 1) INSERT INTO ' || b || ' SELECT * FROM x'",
  'INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING',
  'PERFORM pg_advisory_xact_lock(1)',
  "RAISE NOTICE 'reset'",
  '/* a */ PERFORM 1; /* set */ PERFORM 2 /***/',
]

const LEAVING = [
  "SET DateStyle = 'German, DMY'",
  "PERFORM set_config('app.one', '1', false)",
  "PERFORM set_config('app.x', '(', true), set_config('work_mem', '1MB', false)",
  "PERFORM set_config('app.two', '1', 1 = 2)",
  "PERFORM set_config('app.x', set_config('app.y', 'secret', false), true)",
  "PERFORM set_config('app.x', pg_try_advisory_lock(1)::text, true)",
  "PERFORM set_config('app.x', coalesce(nullif(pg_try_advisory_lock(1)::text, ''), ''), true)",
  "PERFORM set_config('app.x', query_to_xml(b, true, true, '')::text, true)",
  "PERFORM set_config('search_path', 'pg_temp', true); CREATE TABLE z (a int)",
  "PERFORM set_config('search_path', b, true); CREATE TABLE z (a int)",
  "PERFORM set_config(b, c, true); EXECUTE 'SELECT 1 AS a INTO z'",
  "PERFORM set_config('app.x', 'secret', false -- , true\n)",
  "PERFORM set_config('app.x', 'secret', false /*, true)*/)",
  "PERFORM set_config('app.x', $x$, true)$x$, false)",
  "PERFORM set_config('app.x', E'\\', true) ', false)",
  "PERFORM set_config('search_path' /* x */ , /* y */ 'x' || b, true); CREATE TABLE z (a int)",
  'CREATE TEMP TABLE z AS SELECT 1 -- not ON COMMIT DROP\n',
  'CREATE TEMP TABLE z AS SELECT 1 /* ON COMMIT DROP */',
  "CREATE TEMP TABLE z AS SELECT ' ON COMMIT DROP'",
  "EXECUTE 'CREATE TEMP TABLE z AS SELECT 1 ' || CASE WHEN b THEN 'ON COMMIT DROP' ELSE '' END",
  "EXECUTE CASE WHEN b THEN $x$CREATE TEMP TABLE y (a int)$x$ ELSE 'CREATE TEMP TABLE z (a int) ON COMMIT DROP' END",
  '/* x */ SET /* y */ ROLE other',
  '-- x\n SET app.three = 1',
  "IF true THEN RESET ALL; ELSE LOAD 'x'; END IF",
  'CREATE TEMP TABLE z (a int)',
  'CREATE TABLE pg_temp.z (a int)',
  'PERFORM pg_try_advisory_lock_shared(1)',
  "PERFORM pg_create_logical_replication_slot('z', 'pgoutput', true)",
  'EXECUTE $x$ LISTEN a $x$',
  "EXECUTE 'PREPARE mine AS SELECT 1'",
  "EXECUTE 'DECLARE mine CURSOR WITH HOLD FOR SELECT 1'",
  'EXECUTE b',
  "EXECUTE '' || 'SET a = 1'",
  "EXECUTE format('%s', 'x')",
  "EXECUTE format('SELECT %I()', 'x')",
  "EXECUTE 'SELECT ' || 'f' || '()'",
  "EXECUTE 'CREATE ' || CASE WHEN b THEN 'TEMP ' ELSE '' END || 'TABLE z (a int)'",
  "EXECUTE format('CREATE %s TABLE z (a int)', 'TEMP')",
  "EXECUTE format('CREATE %1$sTABLE z (a int)', 'TEMP ')",
  'EXECUTE $x$CREATE /* x */ $x$ || b',
  "EXECUTE ('CREATE OR REPLACE ' || b || 'VIEW z AS SELECT 1')",
  "EXECUTE 'CREATE' || b",
  "EXECUTE concat('CREA', 'TE TEMP TABLE z (a int)')",
  "EXECUTE 'CREA' || 'TE TEMP TABLE z (a int)'",
  "EXECUTE 'SELECT 1 AS a INTO ' || b || 'z'",
  "EXECUTE format('SELECT 1 AS a INTO %s z', b)",
  "EXECUTE 'DECLARE c CURSOR ' || b || ' FOR SELECT 1'",
  "UPDATE pg_settings SET setting = '1MB' WHERE name = 'work_mem'",
  "/* a /* b */ c */ SET work_mem = '1MB'",
  'CREATE /*/**/*/ TEMP TABLE z (a int)',
  "-- x\rSET work_mem = '1MB'",
]

const plpgsql = (name: string, body: string): string =>
  `CREATE FUNCTION ${name}() RETURNS void LANGUAGE plpgsql AS $body$ BEGIN ${body}; END $body$`

async function ask(server: TestPostgres): Promise<FunctionSources> {
  const client = await server.connect()
  // Several statements: one result each, which the types of pg do not know of.
  const results = (await client.query({
    text: functionSourcesQuery(20_000),
    rowMode: 'array',
  })) as unknown as pg.QueryArrayResult[]
  await client.end()
  return readFunctionSources(results.find(({ command }) => command === 'SELECT')!.rows)
}

t.test('the question', async (t) => {
  const server = await startPostgres(t)
  t.match(await ask(server), { leaving: undefined, defining: undefined, settings: [] }, 'a new database has none')
  await server.query('CREATE TABLE t (a int, b text)')
  await server.query(HARMLESS.map((body, at) => plpgsql(`fine_${at}`, body)).join(';'))
  t.equal((await ask(server)).leaving, undefined, 'what is harmless')

  await server.query(LEAVING.map((body, at) => plpgsql(`leaves_${at}`, body)).join(';'))
  await server.query(`
    CREATE FUNCTION calls() RETURNS void LANGUAGE sql AS 'SELECT leaves_1()';
    CREATE FUNCTION calls_that() RETURNS void LANGUAGE sql AS 'SELECT public."calls"()';
    CREATE FUNCTION "Odd name"() RETURNS void LANGUAGE sql AS 'SELECT calls_that()';
    CREATE VIEW seen AS SELECT calls()::text AS x;
    CREATE VIEW seen_again AS SELECT * FROM seen;
    CREATE VIEW direct AS SELECT set_config('work_mem', '1MB', false)`)
  if (server.major >= 14) {
    await server.query(
      "CREATE FUNCTION standard() RETURNS text BEGIN ATOMIC SELECT set_config('app.four', '', false); END",
    )
  }
  const found = await ask(server)
  for (const [at, body] of LEAVING.entries()) t.ok(found.leaving?.test(`SELECT leaves_${at}()`), body)
  for (const at of HARMLESS.keys()) t.notOk(found.leaving?.test(`SELECT fine_${at}()`), `beside it, ${HARMLESS[at]}`)
  for (const name of ['calls()', 'CALLS_THAT ()', '"Odd name"()', 'seen', 'public.seen_again', 'direct']) {
    t.ok(found.leaving?.test(`SELECT * FROM ${name}`), name)
  }
  t.notOk(found.leaving?.test('SELECT calls FROM t'), 'a function that is not called')
  t.notOk(found.leaving?.test('SELECT calls_other, xcalls, calls$ FROM "call"'), 'whole words only')
  t.ok(found.leaving?.test('SELECT U&"\\0063alls"()'), 'a name in disguise')
  if (server.major >= 14) {
    t.ok(found.leaving?.test('SELECT standard()'), 'a body of standard SQL')
    t.match(found.settings, ['app.four', 'app.one', 'app.three', 'app.two'], 'parameters of applications')
  }
  t.equal(found.defining, undefined)

  await server.query(plpgsql('makes', "CREATE OR REPLACE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 1'"))
  t.ok((await ask(server)).defining?.test('SELECT makes()'), 'functions that make functions')
  await server.query(`
    CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '1MB'; RETURN NEW; END $$;
    CREATE TRIGGER fires BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fires()`)
  const fired = await ask(server)
  t.ok(fired.leaving?.test('insert into t values (1)'), 'a trigger: whatever writes')
  t.ok(fired.leaving?.test('SELECT fine_0()'), 'in functions, too')
  t.notOk(fired.leaving?.test('SELECT * FROM t'), 'what only reads does not')
  await server.query(`
    CREATE FUNCTION "select"() RETURNS text LANGUAGE sql AS $$ SELECT set_config('work_mem', '1MB', false) $$;
    CREATE FUNCTION calls_it() RETURNS text LANGUAGE sql AS 'SELECT public . select ()';
    CREATE FUNCTION "a b"() RETURNS text LANGUAGE sql AS 'SELECT calls_it()';
    CREATE FUNCTION calls_odd() RETURNS text LANGUAGE sql AS 'SELECT"a b"()';
    CREATE FUNCTION a$c() RETURNS text LANGUAGE sql AS 'SELECT calls_odd()'`)
  const common = await ask(server)
  t.notOk(common.leaving?.test('SELECT 1 FROM t'), 'a function whose name is a keyword: not every statement')
  for (const call of ['public.select()', '"select"()', 'calls_it()', '"a b"()', 'calls_odd()', 'a$c()']) {
    t.ok(common.leaving?.test(`SELECT ${call}`), call)
  }
  await server.query('CREATE TABLE other (a int)')
  const temporary = await server.connect()
  await temporary.query(
    "CREATE FUNCTION pg_temp.mine() RETURNS text LANGUAGE sql AS $$ SELECT set_config('a.b', '', false) $$",
  )
  t.notOk((await ask(server)).leaving?.test('SELECT mine()'), 'a temporary function of another session')
  await temporary.query('DROP TRIGGER fires ON t')
  t.notOk((await ask(server)).leaving?.test('DELETE FROM other'))
  await temporary.query('ALTER TABLE other ALTER a SET DEFAULT length(pg_temp.mine())')
  t.ok((await ask(server)).leaving?.test('DELETE FROM other'), 'one that a permanent object uses')
  await temporary.end()
  await server.query(`
    CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RESET ALL; RETURN true; END $$;
    CREATE OPERATOR === (leftarg = int, rightarg = int, function = same)`)
  t.ok((await ask(server)).leaving?.test('SELECT 1'), 'an operator: everything')
})

t.test('functions of PostgreSQL’s own in objects of every kind', async (t) => {
  const server = await startPostgres(t, { bootstrapSql: ['CREATE TABLE t (a int)'] })
  const call = "set_config('work_mem', '1MB', false) IS NOT NULL"
  const fires = 'EXECUTE FUNCTION fires()'
  const BODY = "RETURNS int LANGUAGE sql AS 'SELECT 1'"
  const OBJECTS: readonly (readonly [make: string, drop: string, leaves: string, not?: string])[] = [
    ['OPERATOR === (leftarg = int, rightarg = int, function = pg_try_advisory_lock)', '=== (int, int)', 'SELECT 1'],
    [`DOMAIN d AS int CHECK (${call})`, 'd', 'SELECT 1'],
    [`DOMAIN d AS text DEFAULT set_config('work_mem', '1MB', false)`, 'd', 'SELECT 1'],
    [`TABLE c (a int CHECK (${call}))`, 'c', 'INSERT INTO c VALUES (1)', 'SELECT 1'],
    [`POLICY p ON t USING (${call})`, 'p ON t', 'SELECT * FROM seen', 'SELECT 1'],
    [`RULE r AS ON INSERT TO t WHERE ${call} DO INSTEAD NOTHING`, 'r ON t', 'INSERT INTO seen VALUES (1)', 'TABLE t'],
    [`RULE r AS ON INSERT TO t DO ALSO SELECT ${call}`, 'r ON t', 'INSERT INTO seen VALUES (1)', 'TABLE t'],
    [`TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (${call}) ${fires}`, 'g ON t', 'UPDATE t SET a = 1', 'TABLE t'],
    [`FUNCTION f(boolean DEFAULT ${call}) ${BODY}`, 'f', 'SELECT uses()', 'SELECT 1'],
    [`PROCEDURE f(int, boolean DEFAULT ${call}) LANGUAGE sql AS ''`, 'f', 'CALL f(1)', 'SELECT 1'],
  ]
  await server.query('CREATE VIEW seen AS SELECT * FROM t')
  await server.query("CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'")
  await server.query("CREATE FUNCTION uses() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN f(); END'")
  for (const [make, drop, leaves, not] of OBJECTS) {
    await server.query(`CREATE ${make}`)
    const { leaving } = await ask(server)
    t.ok(leaving?.test(leaves), make)
    if (not !== undefined) t.notOk(leaving?.test(not), `${make}: ${not}`)
    await server.query(`DROP ${make.slice(0, make.indexOf(' '))} ${drop}`)
    t.equal((await ask(server)).leaving, undefined, 'gone')
  }
  await server.query('CREATE SEQUENCE s')
  for (const [expression, says] of [
    ['setseed(0.5)::text IS NULL', ({ keeping }: FunctionSources) => keeping?.test("INSERT INTO t VALUES (f('t'))")],
    ["currval('s') IS NULL", ({ readsSequences }: FunctionSources) => readsSequences],
  ] as const) {
    for (const [make, drop] of [
      [`RULE r AS ON INSERT TO t WHERE ${expression} DO INSTEAD NOTHING`, 'r ON t'],
      [`TRIGGER g BEFORE INSERT ON t FOR EACH ROW WHEN (${expression}) ${fires}`, 'g ON t'],
      [`FUNCTION f(boolean DEFAULT ${expression}) ${BODY}`, 'f'],
    ] as const) {
      t.notOk(says(await ask(server)))
      await server.query(`CREATE ${make}`)
      t.ok(says(await ask(server)), make)
      await server.query(`DROP ${make.slice(0, make.indexOf(' '))} ${drop}`)
    }
  }
})

interface Case {
  name: string
  /** Made past pgbun, before it starts. */
  before?: string
  /** Run by the client that leaves the state. */
  run: (client: RawClient, pgbun: Pgbun) => Promise<unknown>
}

const LEAVE = plpgsql('leave', "SET work_mem = '77MB'; PERFORM set_config('app.x', '1', false)")
const rows = (sql: string) => (client: RawClient) => client.rows(sql)
const CASES: Case[] = [
  { name: 'a function made past pgbun', before: LEAVE, run: rows('SELECT leave()') },
  {
    name: 'a named statement',
    before: LEAVE,
    run: async (client) => {
      client.send(frontend.parse('SELECT leave()', 'mine'), frontend.sync())
      await client.readUntil('Z')
      client.send(frontend.bind([], 'mine'), frontend.execute(), frontend.sync())
      await client.readUntil('Z')
    },
  },
  {
    name: 'the unnamed statement',
    before: LEAVE,
    run: async (client) => {
      client.send(frontend.parse('SELECT leave()'), frontend.bind(), frontend.execute(), frontend.sync())
      await client.readUntil('Z')
    },
  },
  {
    name: 'EXECUTE',
    before: LEAVE,
    run: async (client) => {
      await client.rows('PREPARE mine AS SELECT leave()')
      await client.rows('EXECUTE mine')
      await client.rows('DEALLOCATE mine')
    },
  },
  {
    name: 'a trigger',
    before: `CREATE TABLE t (a int); GRANT INSERT ON t TO PUBLIC;
      CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '77MB'; RETURN NEW; END $$;
      CREATE TRIGGER fires BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION fires()`,
    run: rows('INSERT INTO t VALUES (1)'),
  },
  {
    name: 'a view',
    before: `${LEAVE}; CREATE VIEW v AS SELECT leave()::text AS x; GRANT SELECT ON v TO PUBLIC`,
    run: rows('SELECT * FROM v'),
  },
  {
    name: 'a function that calls another',
    before: `${LEAVE}; ${plpgsql('calls', 'PERFORM leave()')}`,
    run: rows('SELECT calls()'),
  },
  {
    name: 'a function made in the same transaction',
    run: async (client) => {
      await client.rows('BEGIN')
      await client.rows(LEAVE)
      await client.rows('SELECT leave()')
      await client.rows('COMMIT')
    },
  },
  { name: 'a function made in the same text', run: rows(`${LEAVE}; SELECT leave()`) },
  {
    name: 'a function made through pgbun by another client, in another pool',
    run: async (client, pgbun) => {
      await client.rows('SELECT 1')
      const other = await pgbun.connect()
      await other.query(LEAVE)
      await client.rows('SELECT leave()')
    },
  },
  {
    name: 'a function made by DO',
    run: async (client) => {
      await client.rows(`DO $do$ BEGIN ${LEAVE}; END $do$`)
      await client.rows('SELECT leave()')
    },
  },
]

const LOOK = "SELECT current_setting('work_mem'), coalesce(current_setting('app.x', true), '')"

t.test('the next client', async (t) => {
  const server = await startPostgres(t, { bootstrapSql: ["CREATE ROLE app LOGIN PASSWORD 'app'"] })
  for (const [at, { name, before, run }] of CASES.entries()) {
    await t.test(name, async (t) => {
      const database = `case_${at}`
      await server.query(`CREATE DATABASE ${database} OWNER app`)
      const direct = await server.connect({ database })
      await direct.query(`GRANT CREATE ON SCHEMA public TO app; ${before ?? ''}`)
      await direct.end()
      const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, database })
      const login = { user: 'app', password: 'app', database }
      const client = await loginRaw(t, pgbun, login)
      const next = await loginRaw(t, pgbun, login)
      await run(client, pgbun)
      const pid = await client.rows('SELECT pg_backend_pid()')
      t.same(await next.rows(LOOK), [['4MB', '']], 'finds nothing')
      t.same(await next.rows('SELECT pg_backend_pid()'), pid, 'on the same server')
      t.same(await client.rows("SELECT current_setting('work_mem')"), [['77MB']], 'and the first its own')
    })
  }
  await t.test('with check_functions = false', async (t) => {
    const args = ['--no-check-functions']
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
    const login = { user: 'app', password: 'app', database: 'case_0' }
    const client = await loginRaw(t, pgbun, login)
    const next = await loginRaw(t, pgbun, login)
    t.match(errorOf(await client.query('SELECT leave()')), {})
    t.same(await next.rows(LOOK), [['77MB', '1']], 'finds what was left')
  })
})
