import t from 'tap'
import { functionsKnown } from '../../fixtures/functions-known.ts'
import { backend, type Message, parse } from '../../fixtures/messages.ts'
import { startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres, startPostgres } from '../../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient } from '../../fixtures/raw-client.ts'
import { answerQueries, type ScriptedConnection, startScriptedPostgres } from '../../fixtures/scripted-postgres.ts'
import { deadline, waitFor } from '../../fixtures/wait.ts'

const postgres = sharedPostgres(t)

// The look into functions held up the first query of everybody for as long as it took, was sent again where its own
// limit of time had ended it, had its server closed, and began anew on the next: whoever could create functions,
// temporary ones even, stopped a database.
t.test('a client is served while pgbun looks into the functions of a database', async (t) => {
  const CANNOT = 'cannot look into the functions'

  const isQuestion = (message: Message): boolean => /WITH RECURSIVE/.test(parse.strings(message.body)[0] ?? '')

  /** A script that leaves the question about functions to `answer`. */
  const questioned =
    (answer: (server: ScriptedConnection) => void) =>
    (server: ScriptedConnection, message: Message): void | Promise<void> =>
      message.type === 'Q' && isQuestion(message) ? answer(server) : answerQueries(server, message)

  await t.test('a client is served although the server does not answer the question about functions', async (t) => {
    const ways: [string, (server: ScriptedConnection) => void][] = [
      ['says nothing', () => {}],
      [
        'takes too long',
        (server) =>
          server.send(backend.error('57014', 'canceling statement due to statement timeout'), backend.ready()),
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

  await t.test(
    'a question that is interrupted for waiting clients again and again is answered in the end',
    async (t) => {
      let questions = 0
      let waits: { server: ScriptedConnection; timer?: NodeJS.Timeout } | undefined
      const target = await startScriptedPostgres(t, {
        onMessage: questioned((server) => {
          const answer = (): void =>
            server.send(backend.rowDescription('a'), backend.commandComplete('SELECT 0'), backend.ready())
          // The first is interrupted however slow the machine is; the others take longer than that was given.
          waits = { server, timer: ++questions === 1 ? undefined : setTimeout(answer, 450) }
        }),
        onCancel() {
          clearTimeout(waits?.timer)
          waits?.server.send(backend.error('57014', 'canceling statement due to user request'), backend.ready())
        },
      })
      const pgbun = await startPgbun(t, {
        target,
        poolMode: 'transaction',
        poolSize: 1,
        args: ['--auth-type', 'trust'],
      })
      let known = false
      const busy = Array.from({ length: 3 }, async () => {
        const client = await loginRaw(t, pgbun, { user: 'postgres', database: 'postgres' })
        while (!known) await client.rows('SELECT 1')
      })
      await waitFor(() => pgbun.logs().includes('functions of the database are known again'), {
        timeout: 3 * deadline,
        what: () => `an answer:\n${pgbun.logs()}`,
      })
      known = true
      await Promise.all(busy)
      t.ok(questions >= 2, `asked ${questions} times`)
    },
  )

  await t.test('the functions of a real PostgreSQL', async (t) => {
    const target = await postgres.database(t, [
      'CREATE ROLE eve LOGIN PASSWORD $$eve$$',
      "CREATE FUNCTION leave() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '77MB'; END $$",
    ])
    const many = (count: number, schema: string) =>
      `DO $do$ BEGIN FOR i IN 1..${count} LOOP EXECUTE format('CREATE FUNCTION ${schema}.f%s() RETURNS text LANGUAGE sql AS %L',
       i, 'SELECT set_config(''a.b'', ''1'', false)'); END LOOP; END $do$`

    await t.test('temporary functions of other sessions do not count', async (t) => {
      const eve = await loginRaw(t, target, { user: 'eve', password: 'eve' })
      await eve.query(many(3000, 'pg_temp'))
      const pgbun = await startPgbun(t, { target, poolMode: 'transaction' })
      const client = await loginRaw(t, pgbun)
      await client.rows('SELECT leave()')
      await client.rows('SELECT 1')
      await t.resolves(functionsKnown(pgbun, target), 'there are not too many')
      await eve.end()
    })

    await t.test('temporary functions of the client leave nothing to others when they are dropped', async (t) => {
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

    await t.test('with more functions than pgbun reads nothing of one client is left to the next', async (t) => {
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

    await t.test('short limits of the role do not end the question', async (t) => {
      await target.query("ALTER ROLE eve SET statement_timeout = '10ms'; ALTER ROLE eve SET lock_timeout = '10ms'")
      const eve = { user: 'eve', password: 'eve' }
      const pgbun = await startPgbun(t, { target, poolMode: 'transaction', ...eve })
      // What she runs herself has time. Where PostgreSQL is too busy to answer, it is asked again, by hers alone.
      await t.resolves(functionsKnown(pgbun, target, { options: '-c statement_timeout=0' }))
    })

    await t.test('a client does not wait for a lock on the catalog', async (t) => {
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
})

// What pgbun asks on the server of a client runs with the privileges of that server: functions, operators, types and
// tables of somebody else, in front of those of PostgreSQL in whatever search_path, must not be what answers.
t.test('nobody gets the rights of another user by functions in front of those that pgbun calls', async (t) => {
  const ARGUMENTS = ['text', 'name', 'oid', '"char"', 'bigint', 'int', 'boolean', 'anyelement', 'text[]']

  const FUNCTIONS = [
    ...[
      'lower',
      'upper',
      'current_setting',
      'set_config',
      'pg_has_role',
      'pg_backend_pid',
      'pg_my_temp_schema',
      'replace',
    ],
    ...['pg_listening_channels', 'regexp_replace', 'regexp_matches', 'strpos', 'translate', 'octet_length', 'unnest'],
    ...[
      'string_agg',
      'md5',
      'concat_ws',
      'chr',
      'pg_get_functiondef',
      'pg_get_keywords',
      'pg_column_size',
      'count',
      'sum',
    ],
    ...['current_database', 'pg_advisory_unlock_all', 'bool_or', 'array_agg'],
  ]

  const OPERATORS = ['=', '<>', '~', '!~', '||', '<', '>', '<=', '>=', '+', '&&', '~~']

  const TYPES = ['text', 'name', 'oid', 'bool', 'int4', 'regclass', 'regnamespace', 'xid', 'int8']

  /** Whatever of this runs leaves a mark that no rollback takes away. */
  function traps(): string[] {
    const sql = [
      'CREATE SEQUENCE public.caught',
      'CREATE SCHEMA evil',
      'GRANT USAGE ON SCHEMA evil TO PUBLIC',
      'GRANT ALL ON SEQUENCE public.caught TO PUBLIC',
      "CREATE FUNCTION public.catch() RETURNS boolean LANGUAGE sql AS $$ SELECT pg_catalog.nextval('public.caught') IS NOT NULL $$",
    ]
    const make = (name: string, args: string, returns: string): void => {
      const body = `BEGIN PERFORM pg_catalog.nextval('public.caught'); RETURN NULL; END`
      sql.push(`CREATE FUNCTION evil.${name}(${args}) RETURNS ${returns} LANGUAGE plpgsql AS $$ ${body} $$`)
    }
    for (const name of FUNCTIONS) {
      make(name, '', 'text')
      make(name, 'VARIADIC text[]', 'text')
      for (const type of ['text', 'name', 'oid', 'int', 'anyelement']) make(name, type, 'text')
      for (const type of ['text', 'name', 'oid']) make(name, `${type}, text`, 'text')
      make(name, 'text, text, boolean', 'text')
      make(name, 'text, boolean', 'text')
    }
    for (const [at, operator] of OPERATORS.entries()) {
      for (const type of ARGUMENTS) {
        make(`op_${at}`, `${type}, ${type}`, 'boolean')
        sql.push(`CREATE OPERATOR evil.${operator} (LEFTARG = ${type}, RIGHTARG = ${type}, FUNCTION = evil.op_${at})`)
      }
      make(`op_${at}`, 'name, text', 'boolean')
      sql.push(`CREATE OPERATOR evil.${operator} (LEFTARG = name, RIGHTARG = text, FUNCTION = evil.op_${at})`)
    }
    for (const type of TYPES) sql.push(`CREATE DOMAIN evil.${type} AS pg_catalog.text CHECK (public.catch())`)
    for (const view of ['pg_settings', 'pg_class', 'pg_proc', 'pg_roles', 'pg_database', 'pg_cursors', 'pg_locks']) {
      sql.push(`CREATE VIEW evil.${view} AS SELECT public.catch()`, `GRANT SELECT ON evil.${view} TO PUBLIC`)
    }
    return sql
  }

  /** What makes pgbun ask, or set something itself. */
  const STATEMENTS = [
    "SET work_mem = '7MB'",
    "SET app.tenant = 'one'",
    "SELECT pg_catalog.set_config('app.' || 'x', '1', false)",
    "SET statement_timeout = '300ms'; SET lock_timeout = '300ms'",
    "DO $$ BEGIN SET work_mem = '8MB'; END $$",
    'LISTEN channel; UNLISTEN channel',
    'SELECT pg_catalog.pg_advisory_lock(1); SELECT pg_catalog.pg_advisory_unlock(1)',
    'CREATE TEMP TABLE mine (a pg_catalog.int4)',
    'CREATE TEMP VIEW pg_settings AS SELECT public.catch()',
    'CREATE TEMP VIEW pg_roles AS SELECT public.catch()',
    'SET ROLE other',
    'SELECT a FROM public.closed',
    'DROP DATABASE nobodys',
    'CREATE DATABASE copied TEMPLATE closed',
    'RESET ROLE',
    'DROP VIEW pg_temp.pg_settings, pg_temp.pg_roles; DROP TABLE mine',
    'PREPARE mine AS SELECT 1; DEALLOCATE mine',
    'BEGIN; DECLARE mine CURSOR WITH HOLD FOR SELECT 1; COMMIT; CLOSE mine',
    'CREATE OR REPLACE FUNCTION public.made() RETURNS pg_catalog.int4 LANGUAGE sql AS $$ SELECT 1 $$',
    'RESET ALL',
    'DISCARD ALL',
  ]

  const target = await startPostgres(t, { bootstrapSql: ['CREATE ROLE other', 'GRANT other TO CURRENT_USER'] })
  await target.query(traps().join(';\n'))
  await target.query('CREATE TABLE public.closed AS SELECT 1 AS a; REVOKE ALL ON public.closed FROM other')
  const path = 'evil, pg_catalog, public'
  const ways: [string, string, Record<string, string>, string][] = [
    ['ALTER ROLE … SET', `ALTER ROLE CURRENT_USER SET search_path = ${path}`, {}, 'SELECT 1'],
    ['ALTER DATABASE … SET', `ALTER DATABASE postgres SET search_path = ${path}`, {}, 'SELECT 1'],
    ['the startup packet', '', { search_path: path }, 'SELECT 1'],
    ['options', '', { options: `-c search_path=${path.replaceAll(' ', '')}` }, 'SELECT 1'],
    ['SET', '', {}, `SET search_path = ${path}`],
    ['set_config()', '', {}, `SELECT pg_catalog.set_config('search_path', '${path}', false)`],
    ['pg_temp first', '', { search_path: `pg_temp, ${path}` }, 'SELECT 1'],
  ]
  for (const mode of ['transaction', 'session'] as const) {
    for (const [way, before, parameters, first] of ways) {
      await t.test(`${way}, ${mode} mode`, async (t) => {
        if (before !== '') await target.query(before)
        const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 2 })
        const open = async (): Promise<RawClient> => {
          const client = await loginRaw(t, pgbun, { parameters })
          t.match(errorOf(await client.query(first)), {})
          return client
        }
        const clients = [await open(), await open()]
        for (const sql of STATEMENTS) {
          for (const client of clients) {
            await client.query(sql)
            if (!sql.startsWith('RESET') && !sql.startsWith('DISCARD')) await client.query('SELECT 1')
          }
        }
        for (const client of clients) await client.end()
        const last = await open()
        await last.end()
        t.same(await target.query('SELECT is_called FROM public.caught'), [{ is_called: false }], 'nothing was caught')
        await target.query('ALTER ROLE CURRENT_USER RESET search_path; ALTER DATABASE postgres RESET search_path')
        // A busy PostgreSQL may be interrupted; it refuses nothing.
        t.notMatch(pgbun.logs(), /internal error|cannot look into(?!.*reason="canceling statement)/)
      })
    }
  }

  await t.test('the traps of this test work', async (t) => {
    await target.query(`SET search_path = ${path}; SELECT lower('x'::pg_catalog.text)`)
    t.same(await target.query('SELECT is_called FROM public.caught'), [{ is_called: true }])
  })
})
