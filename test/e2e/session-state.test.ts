/** The policies for session state that cannot follow its client: session_state = error and reset. Pins: pins.test.ts. */
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'
import { PREPARE_STATES, STATE_SAMPLES } from '../fixtures/session-state.ts'
import { waitFor } from '../fixtures/wait.ts'

const extended = (sql: string, name = ''): Buffer[] => [
  frontend.parse(sql, name),
  frontend.bind([], name),
  frontend.execute(),
  frontend.sync(),
]

async function statusAfter(client: RawClient, ...request: Buffer[]): Promise<{ error: string; status: string }> {
  client.send(...request)
  const messages = await client.readUntil('Z')
  return { error: errorOf(messages).C ?? '', status: messages.at(-1)!.body.toString() }
}

t.test('policies', async (t) => {
  const server = await startPostgres(t, {
    bootstrapSql: [
      ...PREPARE_STATES,
      'CREATE TABLE words (temporary int, hold text)',
      'CREATE PROCEDURE lock_it() LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(77); END $$',
    ],
  })
  const start = (t: Test, policy: string, ...args: string[]) => {
    const all = ['--session-state', policy, ...args]
    return startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args: all })
  }
  const locks = () => server.query("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")

  await t.test('error: a statement that leaves state is refused', async (t) => {
    const pgbun = await start(t, 'error')
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    for (const { create, present, refused } of STATE_SAMPLES) {
      const simple = await client.query(create)
      t.equal(typesOf(simple), 'EZ', create)
      const error = errorOf(simple)
      t.match(error, { S: 'ERROR', V: 'ERROR', C: '0A000', M: `${refused} is not allowed (session_state = error)` })
      t.match(error.H, /session_state = pin\.$/, 'it says what else can be done')
      t.same(await statusAfter(client, ...extended(create)), { error: '0A000', status: 'I' }, 'extended')
      t.same(await statusAfter(client, ...extended(create, 'name')), { error: '0A000', status: 'I' }, 'named')
      for (const request of [[frontend.query(create)], extended(create), extended(create, 'name')]) {
        await client.query('BEGIN')
        t.same(await statusAfter(client, ...request), { error: '0A000', status: 'E' }, 'in a transaction')
        t.same(await statusAfter(client, ...request), { error: '25P02', status: 'E' }, "PostgreSQL's own then")
        t.match(errorOf(await client.query('SELECT 1')), { C: '25P02' })
        t.equal(typesOf(await client.query('ROLLBACK')), 'CZ')
      }
      t.same(await other.rows(present), [['f']], 'nobody has it')
    }
    t.same(await statusAfter(client, ...extended('SELECT 1', 'name')), { error: '', status: 'I' }, 'the name is free')
  })

  await t.test('error: pipelines, and several statements in one Query', async (t) => {
    const pgbun = await start(t, 'error')
    const client = await loginRaw(t, pgbun)
    client.send(...['SELECT 1', 'LISTEN mine', 'SELECT 2'].map(frontend.query))
    t.same(rowsOf(await client.readUntil('Z')), [['1']])
    t.match(errorOf(await client.readUntil('Z')), { C: '0A000' })
    t.same(rowsOf(await client.readUntil('Z')), [['2']])
    client.send(...extended('SELECT 1'), ...extended('LISTEN mine', 'n'), ...extended('SELECT 2'))
    t.equal(typesOf(await client.readUntil('Z')), '12DCZ')
    t.equal(typesOf(await client.readUntil('Z')), 'EZ')
    t.equal(typesOf(await client.readUntil('Z')), '12DCZ')
    // In one batch: what comes before it is rolled back with it, what comes behind is skipped.
    const batch = extended('CREATE TABLE gone ()').slice(0, 3)
    client.send(...batch, ...extended('LISTEN mine').slice(0, 3), frontend.query('SELECT 3'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '12CEZ')
    t.match(errorOf(await client.query('CREATE TABLE gone (); LISTEN mine')), { C: '0A000' })
    t.same(await client.rows("SELECT to_regclass('gone')"), [[null]])
    await client.query('BEGIN')
    t.same(await statusAfter(client, frontend.query('COMMIT; LISTEN mine')), { error: '0A000', status: 'E' })
    await client.query('ROLLBACK')
    client.send(frontend.query('BEGIN'), frontend.query('LISTEN mine'), frontend.query('ROLLBACK'))
    for (const status of ['T', 'E', 'I']) t.equal((await client.readUntil('Z')).at(-1)!.body.toString(), status)
  })

  await t.test('error: the unnamed statement is what it would be on a direct connection', async (t) => {
    const pgbun = await start(t, 'error')
    for (const address of [pgbun, server]) {
      const through = address === pgbun
      const client = await loginRaw(t, address)
      // Something that fails directly, too.
      const refused = through ? 'LISTEN mine' : 'SELECT nowhere'
      for (const [request, kept] of [
        [[frontend.query(refused)], false],
        [extended(refused), false],
        [extended(refused, 'name'), true],
      ] as const) {
        await statusAfter(client, frontend.parse("SELECT 'kept'"), frontend.sync())
        await statusAfter(client, ...request)
        client.send(frontend.bind(), frontend.execute(), frontend.sync())
        const answer = await client.readUntil('Z')
        if (kept) t.same(rowsOf(answer), [['kept']])
        else t.match(errorOf(answer), { C: '26000' })
      }
    }
  })

  await t.test('error: what leaves nothing is not refused', async (t) => {
    const pgbun = await start(t, 'error')
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    t.same(await client.rows("SELECT 'LISTEN x', temporary, hold FROM words"), [])
    t.same(await client.rows("SET work_mem = '7MB'; SELECT pg_advisory_xact_lock(1)"), [['']])
    await client.query('BEGIN')
    await client.query('CREATE TEMP TABLE mine (a int) ON COMMIT DROP')
    t.same(await client.rows('SELECT * FROM mine'), [])
    await client.query('COMMIT')
    await other.query('SELECT 1')
    t.same(await client.rows('SHOW work_mem'), [['7MB']], 'settings follow, as ever')
    t.match(errorOf(await client.query('SELECT set_config($$app.a$$, 1::text, false)')), { C: '0A000' })
    t.same(await statusAfter(client, ...extended("SELECT set_config('app.a' || '', '1', true)")), {
      error: '',
      status: 'I',
    })
    t.match(errorOf(await client.query('LISTEN')), { C: '0A000' }, 'still connected')
  })

  await t.test('error: what shows afterwards ends the session, and never reaches another', async (t) => {
    const pgbun = await start(t, 'error')
    for (const hidden of [
      'DO $$ BEGIN CREATE TEMP TABLE mine (a int); END $$',
      'CALL lock_it()',
      'SET search_path = pg_temp, public; CREATE TABLE mine (a int)',
      "DO $$ BEGIN EXECUTE 'PREPARE mine AS SELECT 1'; END $$",
    ]) {
      const client = await loginRaw(t, pgbun)
      client.send(frontend.query(hidden))
      const answer = await client.expectClosed()
      t.match(typesOf(answer), /^C+S?ZE$/, hidden)
      t.match(errorOf(answer), { S: 'FATAL', C: '0A000', M: /^session state is not allowed to outlive a transaction/ })
      const next = await loginRaw(t, pgbun)
      for (const { present } of STATE_SAMPLES) t.same(await next.rows(present), [['f']])
      await next.end()
    }
    t.same(await locks(), [])
  })

  await t.test('error: a named statement that cannot be carried', async (t) => {
    const pgbun = await start(t, 'error', '--max-prepared-statements', '0')
    const client = await loginRaw(t, pgbun)
    t.same(await statusAfter(client, ...extended('SELECT 1', 'name')), { error: '0A000', status: 'I' })
    t.same(await statusAfter(client, ...extended('SELECT 1')), { error: '', status: 'I' })
  })

  await t.test('reset: state ends with the transaction, for its own client, too', async (t) => {
    const pgbun = await start(t, 'reset')
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await client.query("SET work_mem = '7MB'")
    for (const { create, present, kind } of STATE_SAMPLES) {
      // A name is given once.
      const again = [frontend.bind([], kind), frontend.execute(), frontend.sync()]
      for (const [request, second] of [
        [[frontend.query(create)], [frontend.query(create)]],
        [extended(create), extended(create)],
        [extended(create, kind), again],
      ] as const) {
        await client.query('BEGIN')
        t.same(await statusAfter(client, ...request), { error: '', status: 'T' }, create)
        const [pid] = (await client.rows('SELECT pg_backend_pid()'))[0]!
        if (kind !== 'listen') t.same(await client.rows(present), [['t']], 'until then it is there')
        await client.query('COMMIT')
        t.same(await client.rows(present), [['f']], 'then it is gone')
        t.same(await client.rows('SHOW work_mem'), [['7MB']], 'settings follow')
        t.equal((await client.rows('SELECT pg_backend_pid()'))[0]![0] === pid, kind !== 'load', 'on the same server')
        t.same(await statusAfter(client, ...second), { error: '', status: 'I' }, 'outside of a transaction')
        if (kind === 'load') continue
        t.same(await other.rows(present), [['f']], 'nobody else ever has it')
        t.same(await client.rows(present), [['f']])
      }
    }
    t.equal(pgbun.logs().match(/session state ends with the transaction/g)?.length, 1, 'logged once')
  })

  await t.test('reset: at once, not when somebody needs the server', async (t) => {
    const pgbun = await start(t, 'reset')
    const client = await loginRaw(t, pgbun)
    await client.query('SELECT pg_advisory_lock(1)')
    await waitFor(async () => (await locks()).length === 0, { what: 'the lock to go without another query' })
    client.send(frontend.query('SELECT pg_advisory_lock(1)'), frontend.query(STATE_SAMPLES[2]!.present))
    await client.readUntil('Z')
    t.same(rowsOf(await client.readUntil('Z')), [['t']], 'what is sent ahead of the answer belongs to the same loan')
    t.same(await client.rows(STATE_SAMPLES[2]!.present), [['f']])
  })

  await t.test('reset: a search_path with pg_temp makes no table that another sees', async (t) => {
    const pgbun = await start(t, 'reset')
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await client.query('SET search_path = pg_temp, public')
    await client.query('CREATE TABLE words (mine int)')
    t.same(await other.rows('SELECT * FROM words'), [])
    t.match(errorOf(await other.query('SELECT mine FROM words')), { C: '42703' })
    t.same(await client.rows('SHOW search_path'), [['pg_temp, public']])
  })

  for (const policy of ['error', 'reset']) {
    await t.test(`${policy}: an unnamed statement too long to be kept is not taken for another`, async (t) => {
      const pgbun = await start(t, policy)
      const client = await loginRaw(t, pgbun)
      const other = await loginRaw(t, pgbun)
      const long = `SELECT length('${'x'.repeat(3_000_000)}')`
      client.send(...extended(long))
      t.same(rowsOf(await client.readUntil('Z')), [['3000000']], 'in one batch it runs')
      await statusAfter(other, frontend.parse("SELECT 'of another'"), frontend.sync())
      t.same(await statusAfter(client, frontend.bind(), frontend.execute(), frontend.sync()), {
        error: '26000',
        status: 'I',
      })
    })
  }

  await t.test('a policy for one database or user', async (t) => {
    await server.query('CREATE DATABASE strict')
    await server.query("CREATE ROLE loose LOGIN PASSWORD 'loose'")
    const pgbun = await startPgbun(t, {
      target: server,
      poolMode: 'transaction',
      config: {
        databases: { strict: { session_state: 'error' }, '*': {} },
        users: { loose: { session_state: 'reset' } },
      },
    })
    const state = async (user: string, database: string): Promise<unknown> => {
      const client = await loginRaw(t, pgbun, { user, password: user, database })
      const refused = errorOf(await client.query('CREATE TEMP TABLE mine (a int)')).C
      return refused ?? (await client.rows("SELECT to_regclass('pg_temp.mine') IS NOT NULL"))[0]![0]
    }
    t.equal(await state('postgres', 'postgres'), 't')
    t.equal(await state('postgres', 'strict'), '0A000')
    t.equal(await state('loose', 'postgres'), 'f')
    t.equal(await state('loose', 'strict'), 'f', "the user's counts")
  })

  await t.test('session mode has no policy', async (t) => {
    const pgbun = await startPgbun(t, { target: server, poolSize: 1, args: ['--session-state', 'error'] })
    const client = await loginRaw(t, pgbun)
    for (const { create } of STATE_SAMPLES) t.equal(errorOf(await client.query(create)).C, undefined, create)
  })
})
