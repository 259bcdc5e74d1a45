/**
 * Prepared statements in transaction mode: cases in which a client got an error, or another statement than its own.
 * Each needs a pipeline or a text that drivers rarely send, and PostgreSQL's own answer is what is expected.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres, type Teardown } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

const run = (statement = ''): Buffer =>
  Buffer.concat([frontend.bind([], statement), frontend.execute(), frontend.sync()])
/** A statement too long for its text to be kept. */
const long = (value: string): string => `SELECT '${value}' /* ${'x'.repeat(1_000_000)} */`

t.test('prepared statements', async (t) => {
  const server = await startPostgres(t)
  const start = (t: Teardown, size: number, options: PgbunOptions = {}): Promise<Pgbun> =>
    startPgbun(t, { target: server, poolMode: 'transaction', poolSize: size, ...options })

  await t.test(
    'one that was skipped with a failing batch is there for the next batch in the same packet',
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

  await t.test('a Close that was skipped has not happened, neither has a Parse', async (t) => {
    const pgbun = await start(t, 1)
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'old'", 'name'), frontend.sync())
    await client.readUntil('Z')
    client.send(frontend.bind([], 'missing'), frontend.close('S', 'name'), frontend.parse("SELECT 'new'", 'name'))
    client.send(frontend.sync(), run('name'))
    await client.readUntil('Z')
    t.same(rowsOf(await client.readUntil('Z')), [['old']])
  })

  await t.test('an unnamed one that was skipped is not there, and no stranger’s is in its place', async (t) => {
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
  })

  await t.test('a name used twice is refused, and leaves nothing for a stranger', async (t) => {
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

  await t.test('a long unnamed one is not taken for the short one before it', async (t) => {
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

  await t.test('a long named one is refused where the name is taken, and goes with its client', async (t) => {
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
    'max_prepared_statements 0: a client keeps the server it prepares on, and its names to itself',
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
