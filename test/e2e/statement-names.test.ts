/**
 * Named prepared statements of the protocol as SQL sees them, in transaction mode with clients sharing servers:
 * DEALLOCATE, EXECUTE and PREPARE with names that were given by Parse, the limits, and statements gone stale.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

t.test('prepared statements by name', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })

  /** Every conversation is held directly, too, and must go the same way. */
  const both = async (name: string, hold: (client: Awaited<ReturnType<typeof loginRaw>>) => Promise<unknown>) => {
    const found: unknown[] = []
    for (const address of [server, pgbun]) {
      const client = await loginRaw(t, address, { user: server.user, password: server.password })
      found.push(await hold(client))
      await client.end()
    }
    t.same(found[1], found[0], name)
    return found[1]
  }

  await t.test('DEALLOCATE by a Query', async (t) => {
    const answers = await both('as on a direct connection', async (client) => {
      client.send(frontend.parse('SELECT 1', 'mine'), frontend.sync())
      const first = typesOf(await client.readUntil('Z'))
      client.send(frontend.query('DEALLOCATE mine'))
      const second = typesOf(await client.readUntil('Z'))
      client.send(frontend.bind([], 'mine'), frontend.sync())
      const third = errorOf(await client.readUntil('Z'))
      client.send(frontend.query('DEALLOCATE mine'))
      return [first, second, third.C, third.M, errorOf(await client.readUntil('Z')).C]
    })
    t.same(answers, ['1Z', 'CZ', '26000', 'prepared statement "mine" does not exist', '26000'])
  })

  await t.test('what is prepared anew takes the place of what was there', async (t) => {
    const [first, second] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
    const prepare = async (client: typeof first) => {
      client.send(frontend.parse('SELECT 37', 'same'), frontend.sync())
      t.equal(typesOf(await client.readUntil('Z')), '1Z')
    }
    const names = () => first.rows("SELECT name FROM pg_prepared_statements WHERE statement = 'SELECT 37'")
    await prepare(first)
    const [[before]] = (await names()) as [[string]]
    // Longer than what was prepared is taken for what it was.
    await first.rows('SELECT pg_sleep(0.3)')
    await prepare(second)
    const after = await names()
    t.equal(after.length, 1, 'one at a time')
    t.not(after[0]![0], before, 'another one')
    await first.end()
    await second.end()
  })

  await t.test('DEALLOCATE in a transaction, in one that failed, pipelined, and among others', async () => {
    await both('as on a direct connection', async (client) => {
      const seen: string[] = []
      const ask = async (...messages: Buffer[]) => {
        client.send(...messages)
        for (const _ of messages.filter(({ 0: type }) => type === 0x51 || type === 0x53)) {
          seen.push(typesOf(await client.readUntil('Z')))
        }
      }
      await ask(frontend.parse('SELECT 1', 'a'), frontend.parse('SELECT 2', 'b'), frontend.sync())
      await ask(frontend.query('BEGIN'), frontend.query('DEALLOCATE a'), frontend.query('ROLLBACK'))
      await ask(frontend.bind([], 'a'), frontend.execute(), frontend.sync())
      await ask(frontend.query('BEGIN'), frontend.query('SELECT 1/0'), frontend.query('DEALLOCATE b'))
      await ask(frontend.query('ROLLBACK'), frontend.bind([], 'b'), frontend.execute(), frontend.sync())
      await ask(frontend.query('SELECT 1; DEALLOCATE b; SELECT 2'))
      await ask(frontend.bind([], 'b'), frontend.sync())
      return seen
    })
  })

  await t.test('DEALLOCATE by the extended protocol', async () => {
    await both('as on a direct connection', async (client) => {
      client.send(frontend.parse('SELECT 1', 'a'), frontend.parse('DEALLOCATE a', 'd'), frontend.sync())
      await client.readUntil('Z')
      client.send(frontend.bind([], 'd'), frontend.execute(), frontend.sync())
      const first = typesOf(await client.readUntil('Z'))
      client.send(frontend.bind([], 'a'), frontend.sync())
      return [first, errorOf(await client.readUntil('Z')).C]
    })
  })

  await t.test('EXECUTE and PREPARE', async () => {
    await both('as on a direct connection', async (client) => {
      client.send(frontend.parse('SELECT $1::int + 1', 'plus', [23]), frontend.sync())
      await client.readUntil('Z')
      const first = rowsOf(await client.query('EXECUTE plus(41)'))
      const again = rowsOf(await client.query('EXECUTE plus(42)'))
      const taken = errorOf(await client.query('PREPARE plus AS SELECT 1')).C
      client.send(frontend.bind(['1'], 'plus'), frontend.execute(), frontend.sync())
      return [first, again, taken, rowsOf(await client.readUntil('Z'))]
    })
    const stranger = await loginRaw(t, pgbun, { user: server.user, password: server.password })
    t.equal(errorOf(await stranger.query('EXECUTE plus(1)')).C, '26000', 'nobody else finds it')
  })

  await t.test('errors speak of the names the client knows', async () => {
    await both('as on a direct connection', async (client) => {
      client.send(frontend.parse('SELECT $1::int', 'one'), frontend.bind(['1', '2'], 'one'), frontend.sync())
      const { M, C } = errorOf(await client.readUntil('Z'))
      return [C, M]
    })
  })
})

t.test('limits', async (t) => {
  const server = await startPostgres(t)
  const args = ['--max-client-prepared-statements', '2']
  const pgbun = await startPgbun(t, {
    target: server,
    poolMode: 'transaction',
    poolSize: 1,
    args: [...args, '--max-prepared-statement-memory', '24kB'],
  })
  const client = await loginRaw(t, pgbun, { user: server.user, password: server.password })
  const prepare = async (name: string, sql: string) => {
    client.send(frontend.parse(sql, name), frontend.sync())
    return client.readUntil('Z')
  }

  await t.test('of one client', async (t) => {
    t.equal(typesOf(await prepare('a', 'SELECT 1')), '1Z')
    t.equal(typesOf(await prepare('b', 'SELECT 2')), '1Z')
    t.match(errorOf(await prepare('c', 'SELECT 3')), { C: '53400', M: /may keep 2 .*max_client_prepared_statements/ })
    client.send(frontend.close('S', 'a'), frontend.parse('SELECT 3', 'c'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '31Z')
  })

  await t.test('of all clients together, with what only servers keep making room', async (t) => {
    for (let i = 0; i < 5; i++) {
      client.send(frontend.close('S', 'c'), frontend.sync())
      await client.readUntil('Z')
      t.equal(typesOf(await prepare('c', `SELECT ${i} -- ${'x'.repeat(6000)}`)), '1Z')
    }
    const other = await loginRaw(t, pgbun, { user: server.user, password: server.password })
    other.send(frontend.query('BEGIN'), frontend.parse(`SELECT -- ${'y'.repeat(6000)}`, 'y'), frontend.sync())
    await other.readUntil('Z')
    const refused = await other.readUntil('Z')
    t.match(errorOf(refused), { S: 'ERROR', C: '53400', M: /24576 bytes \(max_prepared_statement_memory\)/ })
    t.equal(String(refused.at(-1)!.body), 'E', 'the transaction has failed')
    other.send(frontend.query('ROLLBACK'))
    await other.readUntil('Z')
    t.same(await other.rows('SELECT 1'), [['1']])
  })
})

t.test('a statement that is stale after a change of its table', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const login = { user: server.user, password: server.password }
  const owner = await loginRaw(t, server, login)
  await owner.query('CREATE TABLE stale (a int); INSERT INTO stale VALUES (1)')
  const client = await loginRaw(t, pgbun, login)
  const run = [frontend.bind([], 's'), frontend.describe('P', ''), frontend.execute(), frontend.sync()]
  client.send(frontend.parse('SELECT * FROM stale', 's'), ...run)
  t.equal(typesOf(await client.readUntil('Z')), '12TDCZ')

  await t.test('is run again, unseen, where its columns were asked for', async (t) => {
    await owner.query('ALTER TABLE stale ADD b int DEFAULT 2')
    client.send(...run)
    const answers = await client.readUntil('Z')
    t.equal(typesOf(answers), '2TDCZ')
    t.same(rowsOf(answers), [['1', '2']])
    await owner.query('ALTER TABLE stale ADD c int DEFAULT 3')
    client.send(frontend.describe('S', 's'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), 'tTZ')
    const other = await loginRaw(t, pgbun, login)
    await owner.query('ALTER TABLE stale ADD d int DEFAULT 4')
    other.send(frontend.parse('SELECT * FROM stale', 'new'), ...[frontend.bind([], 'new'), ...run.slice(1)])
    t.same(rowsOf(await other.readUntil('Z')), [['1', '2', '3', '4']], 'also for one that prepared it just now')
  })

  await t.test(
    'fails as on a direct connection where the client relies on the old columns, until it asks',
    async (t) => {
      await owner.query('ALTER TABLE stale DROP c, DROP d')
      for (let i = 0; i < 2; i++) {
        client.send(frontend.bind([], 's'), frontend.execute(), frontend.sync())
        t.match(errorOf(await client.readUntil('Z')), { C: '0A000', R: 'RevalidateCachedQuery' })
      }
      client.send(...run)
      t.equal(typesOf(await client.readUntil('Z')), '2TDCZ')
      client.send(frontend.bind([], 's'), frontend.execute(), frontend.sync())
      t.equal(typesOf(await client.readUntil('Z')), '2DCZ')
    },
  )

  await t.test('fails in a transaction, and with something sent behind it', async (t) => {
    await owner.query('ALTER TABLE stale ADD e int')
    client.send(frontend.query('BEGIN'), ...run)
    await client.readUntil('Z')
    t.match(errorOf(await client.readUntil('Z')), { C: '0A000' })
    client.send(frontend.query('ROLLBACK'))
    await client.readUntil('Z')
    client.send(...run)
    t.equal(typesOf(await client.readUntil('Z')), '2TDCZ')
    await owner.query('ALTER TABLE stale DROP e')
    client.send(...run, frontend.query('SELECT 7'))
    t.match(errorOf(await client.readUntil('Z')), { C: '0A000' })
    t.same(rowsOf(await client.readUntil('Z')), [['7']])
  })
})
