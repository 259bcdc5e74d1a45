import t from 'tap'
import { frontend } from '../../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../../fixtures/pgbun.ts'
import { sharedPostgres, type Teardown } from '../../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../../fixtures/raw-client.ts'

const postgres = sharedPostgres(t)

// A DEALLOCATE or DISCARD ALL, and what was sent behind it before it was answered, in the same batch of the extended
// protocol, too: a name stands for what PostgreSQL knows by then, not for what it stood for when the messages came.
t.test('what a client sends behind a DEALLOCATE finds what PostgreSQL has by then', async (t) => {
  const run = (statement: string): Buffer[] => [frontend.bind([], statement), frontend.execute()]

  const deallocate = (sql: string): Buffer[] => [frontend.parse(sql), ...run('')]

  const target = await postgres.database(t)
  // With room for no second one, each statement has the one before it closed.
  const args = ['--max-prepared-statements', '1']
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1, args })
  const prepared = async (): Promise<RawClient> => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'a'", 'a'), frontend.parse("SELECT 'b'", 'b'), frontend.sync())
    await client.readUntil('Z')
    return client
  }

  for (const sql of ['DEALLOCATE a', 'DEALLOCATE ALL', 'DISCARD ALL']) {
    await t.test(`behind ${sql} a Parse gives the name anew`, async (t) => {
      const client = await prepared()
      client.send(...deallocate(sql), frontend.parse("SELECT 'new'", 'a'), ...run('a'), frontend.sync())
      const answers = await client.readUntil('Z')
      t.equal(typesOf(answers).replace(/S/g, ''), '12C12DCZ')
      t.same(rowsOf(answers), [['new']])
    })

    await t.test(`behind ${sql} a Bind does not find the statement`, async (t) => {
      const client = await prepared()
      client.send(...deallocate(sql), ...run('a'), ...run('b'), frontend.sync())
      t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
      client.send(...run('b'), frontend.sync())
      t.equal(typesOf(await client.readUntil('Z')), sql === 'DEALLOCATE a' ? '2DCZ' : 'EZ')
    })
  }

  await t.test('behind a DEALLOCATE that fails the rest is skipped, and the name is there', async (t) => {
    const client = await prepared()
    client.send(...deallocate('DEALLOCATE missing'), ...run('a'), frontend.sync(), ...run('a'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: /"missing"/ })
    t.same(rowsOf(await client.readUntil('Z')), [['a']])
  })

  await t.test('of two portals with a DEALLOCATE only the one that is run counts', async (t) => {
    const client = await prepared()
    client.send(frontend.parse('DEALLOCATE a'), frontend.bind([], '', 'p'))
    client.send(frontend.parse('DEALLOCATE b'), frontend.bind([], '', 'q'), frontend.execute(0, 'q'))
    client.send(...run('a'), ...run('b'), frontend.sync())
    const answers = await client.readUntil('Z')
    t.same(rowsOf(answers), [['a']])
    t.match(errorOf(answers), { C: '26000', M: 'prepared statement "b" does not exist' })
  })
  await t.test('a DEALLOCATE that pgbun answers is not sent to PostgreSQL as well', async (t) => {
    const ignored = { Flush: frontend.flush(), CopyFail: frontend.copyFail('no copy'), CopyDone: frontend.copyDone() }
    for (const [name, message] of Object.entries(ignored)) {
      const client = await prepared()
      client.send(frontend.query('BEGIN'))
      await client.readUntil('Z')
      client.send(message, frontend.query('DEALLOCATE a'), frontend.query("SELECT 'next'"))
      t.equal(typesOf(await client.readUntil('Z')), 'CZ', name)
      t.same(rowsOf(await client.readUntil('Z')), [['next']], name)
      client.send(...run('b'), frontend.sync(), ...run('a'), frontend.sync())
      t.same(rowsOf(await client.readUntil('Z')), [['b']], name)
      t.match(errorOf(await client.readUntil('Z')), { C: '26000' }, name)
      client.send(frontend.query('ROLLBACK'))
      await client.readUntil('Z')
    }
  })

  await t.test('a DEALLOCATE among several statements of a Query counts', async (t) => {
    const client = await prepared()
    client.send(frontend.query('SELECT 1; DEALLOCATE ALL'), ...run('a'), frontend.sync())
    await client.readUntil('Z')
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
  })

  for (const last of ['DEALLOCATE ALL', 'DEALLOCATE PREPARE "a"']) {
    await t.test(`${last} as the last of several statements counts although their commit fails`, async (t) => {
      const client = await prepared()
      const other = await prepared()
      client.send(frontend.query('CREATE TABLE IF NOT EXISTS late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)'))
      await client.readUntil('Z')
      client.send(frontend.query(`INSERT INTO late VALUES (1), (1); ${last}`))
      const answers = await client.readUntil('Z')
      t.equal(typesOf(answers), 'CEZ', 'no command tag tells of it')
      t.match(errorOf(answers), { C: '23505' })
      client.send(...run('a'), frontend.sync())
      t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
      other.send(...run('a'), ...run('b'), frontend.sync())
      t.same(rowsOf(await other.readUntil('Z')), [['a'], ['b']], 'nothing of another client is gone')
    })
  }

  await t.test('a DEALLOCATE behind a statement that fails does not count', async (t) => {
    const client = await prepared()
    client.send(frontend.query('SELECT 1; SELECT 1 / 0; DEALLOCATE ALL'))
    t.match(errorOf(await client.readUntil('Z')), { C: '22012' })
    client.send(...run('a'), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['a']])
  })

  await t.test('a prepared DEALLOCATE of a statement that this server does not have succeeds', async (t) => {
    const client = await prepared()
    client.send(frontend.parse('DEALLOCATE a', 'c'), frontend.parse('SELECT 1', 'd'), frontend.sync())
    await client.readUntil('Z')
    client.send(...run('c'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '2CZ')
  })
  await t.test('a DEALLOCATE that a failed batch discards does not count', async (t) => {
    const client = await prepared()
    client.send(frontend.execute(0, 'missing'), frontend.query('BEGIN'), frontend.query('DEALLOCATE a; SELECT 1'))
    client.send(frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), 'EZ')
    client.send(...run('a'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '2DCZ')
  })

  await t.test('a bound DEALLOCATE fails where its statement was closed meanwhile', async (t) => {
    const client = await prepared()
    client.send(frontend.parse('DEALLOCATE a'), frontend.bind([]), frontend.flush())
    await client.readUntil('2')
    client.send(frontend.close('S', 'a'), frontend.execute(), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
    client.send(...run('a'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000' })
    client.send(...run('b'), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['b']])
  })

  await t.test('a DEALLOCATE fails where the Parse was discarded with the batch before', async (t) => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.execute(0, 'missing'), frontend.parse("SELECT 'a'", 'a'), frontend.sync())
    client.send(...deallocate('DEALLOCATE a'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '34000' })
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
  })
})

// A statement under the name that its client gave it stayed on the server for the next client where its owner had
// also run a DO: the question that follows a DO was taken to speak of all prepared statements, not only of those of
// SQL-level PREPARE.
t.test('a statement name of one client is free for the next one, also after a DO', async (t) => {
  const server = await postgres.server()
  for (const limit of ['200', '0']) {
    const args = ['--max-prepared-statements', limit]
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse('SELECT 1', 'name'), frontend.query('DO $$ BEGIN END $$'))
    client.send(frontend.parse('SELECT 2', 'name'), frontend.sync())
    await client.readUntil('Z')
    t.match(errorOf(await client.readUntil('Z')), { C: '42P05' }, limit)
    await client.end()
    const stranger = await loginRaw(t, pgbun)
    t.same(await stranger.rows("SELECT name FROM pg_prepared_statements WHERE name = 'name'"), [], limit)
    t.match(errorOf(await stranger.query('EXECUTE name')), { C: '26000' }, limit)
  }
})

// Names of statements in SQL were found by words alone: in string constants and comments, too, and not behind a
// comment. Every conversation is held directly, too, and must go the same way.
t.test('a statement name in a string constant or a comment changes nothing', async (t) => {
  const server = await postgres.server()
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  for (const sql of [
    "SELECT 'deallocate foo'; DEALLOCATE bar",
    '/* deallocate foo */ SELECT 1; DEALLOCATE bar',
    'DEALLOCATE /* c */ bar',
    'SELECT 1; DEALLOCATE -- c\n bar',
    'DEALLOCATE PREPARE U&"\\0062ar"',
    'EXECUTE /* c */ bar',
    'EXECUTE U&"bar"',
    'EXPLAIN EXECUTE bar',
    `DEALLOCATE ${'n'.repeat(70)}`,
    `${'/**/'.repeat(49)}DEALLOCATE bar`,
  ]) {
    const found: unknown[] = []
    for (const address of [server, pgbun]) {
      const client = await loginRaw(t, address, { user: server.user, password: server.password })
      const names = ['foo', 'bar', 'n'.repeat(63)]
      client.send(...names.map((name) => frontend.parse(`SELECT '${name}'`, name)), frontend.sync())
      await client.readUntil('Z')
      const answers = await client.query(sql)
      const seen: unknown[] = [typesOf(answers), errorOf(answers).C, rowsOf(answers)]
      for (const name of names) {
        client.send(frontend.bind([], name), frontend.execute(), frontend.sync())
        seen.push(typesOf(await client.readUntil('Z')))
      }
      await client.end()
      found.push(seen)
    }
    t.same(found[1], found[0], sql)
  }
})

// Cases in which a client in transaction mode got an error, or another statement than its own. Each needs a pipeline
// or a text that drivers rarely send, and the answer of PostgreSQL itself is what is expected.
t.test('a client gets its own statement where a pipeline or a long text is in the way', async (t) => {
  const run = (statement = ''): Buffer =>
    Buffer.concat([frontend.bind([], statement), frontend.execute(), frontend.sync()])

  /** A statement too long for its text to be kept. */
  const long = (value: string): string => `SELECT '${value}' /* ${'x'.repeat(1_000_000)} */`

  const server = await postgres.database(t)
  const start = (t: Teardown, size: number, options: PgbunOptions = {}): Promise<Pgbun> =>
    startPgbun(t, { target: server, poolMode: 'transaction', poolSize: size, ...options })

  await t.test(
    'a statement that was skipped with a failing batch is there for the next batch in the same packet',
    async (t) => {
      const pgbun = await start(t, 2)
      const client = await loginRaw(t, pgbun)
      const other = await loginRaw(t, pgbun)
      client.send(frontend.parse("SELECT 'mine'", 'mine'), frontend.sync())
      await client.readUntil('Z')
      // Make the client move to a server that does not have the statement.
      await other.query('BEGIN')
      const skipped = [frontend.bind([], 'missing'), frontend.bind([], 'mine'), frontend.execute(), frontend.sync()]
      client.send(...skipped, run('mine'))
      t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: /missing/ })
      t.same(rowsOf(await client.readUntil('Z')), [['mine']])
    },
  )

  await t.test('a Close or Parse that was skipped has not happened', async (t) => {
    const pgbun = await start(t, 1)
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'old'", 'name'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.bind([], 'missing'), frontend.close('S', 'name'), frontend.parse("SELECT 'new'", 'name'))
    client.send(frontend.sync(), run('name'))
    await client.readUntil('Z')
    t.same(rowsOf(await client.readUntil('Z')), [['old']])
  })

  await t.test(
    'an unnamed statement that was skipped is not there, and none of another client is in its place',
    async (t) => {
      const pgbun = await start(t, 1)
      const stranger = await loginRaw(t, pgbun)
      const client = await loginRaw(t, pgbun)
      stranger.send(frontend.parse("SELECT 'stranger'"), frontend.sync())
      await stranger.readUntil('Z')
      client.send(frontend.bind([], 'missing'), frontend.parse("SELECT 'mine'"), frontend.sync(), run())
      t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: /missing/ })
      t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'unnamed prepared statement does not exist' })
      stranger.send(run())
      t.same(rowsOf(await stranger.readUntil('Z')), [['stranger']])
    },
  )

  await t.test('a name used twice is refused, and leaves nothing to another client', async (t) => {
    const pgbun = await start(t, 1)
    const client = await loginRaw(t, pgbun)
    const stranger = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'mine'", 'name'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.parse("SELECT 'again'", 'name'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '42P05', M: /"name" already exists/ })
    stranger.send(run('name'))
    t.match(errorOf(await stranger.readUntil('Z')), { C: '26000', M: /"name" does not exist/ })
    client.send(run('name'))
    t.same(rowsOf(await client.readUntil('Z')), [['mine']])
  })

  await t.test('a long unnamed statement is not taken for the short one before it', async (t) => {
    const pgbun = await start(t, 2)
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'short'"), frontend.sync())
    await client.readUntil('Z')
    await other.query('BEGIN')
    client.send(frontend.parse(long('long')), run())
    t.same(rowsOf(await client.readUntil('Z')), [['long']])
    client.send(run())
    t.same(rowsOf(await client.readUntil('Z')), [['long']])
    client.send(frontend.parse("SELECT 'short again'"), run())
    t.same(rowsOf(await client.readUntil('Z')), [['short again']])
  })

  await t.test('a long named statement is refused where the name is taken, and goes with its client', async (t) => {
    const pgbun = await start(t, 1)
    const client = await loginRaw(t, pgbun)
    const stranger = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'short'", 'name'), frontend.sync(), frontend.parse(long('long'), 'name'))
    client.send(frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '1Z')
    t.match(errorOf(await client.readUntil('Z')), { C: '42P05' })
    client.send(frontend.parse(long('other'), 'other'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '1Z')
    await client.end()
    stranger.send(run('other'))
    t.match(errorOf(await stranger.readUntil('Z')), { C: '26000' })
    t.same(await stranger.rows('SELECT count(*) FROM pg_prepared_statements'), [['0']])
  })

  await t.test(
    'with max_prepared_statements = 0 a client keeps the server that it prepares on, and its names to itself',
    async (t) => {
      const args = ['--max-prepared-statements', '0']
      const pgbun = await start(t, 1, { poolMode: 'transaction', poolSize: 1, args })
      const client = await loginRaw(t, pgbun)
      const stranger = await loginRaw(t, pgbun)
      client.send(frontend.parse("SELECT 'mine'", 'name'), frontend.sync())
      await client.readUntil('Z')
      stranger.send(frontend.sync(), run('name'))
      await stranger.readUntil('Z')
      client.send(run('name'))
      t.same(rowsOf(await client.readUntil('Z')), [['mine']])
      await client.end()
      t.match(errorOf(await stranger.readUntil('Z')), { C: '26000' })
    },
  )
})
