/**
 * A DEALLOCATE or DISCARD ALL, and what was sent behind it before it was answered, in the same batch of the extended
 * protocol, too: a name stands for what PostgreSQL knows by then, not for what it stood for when the messages came.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, type RawClient, rowsOf, typesOf } from '../fixtures/raw-client.ts'

const run = (statement: string): Buffer[] => [frontend.bind([], statement), frontend.execute()]
const deallocate = (sql: string): Buffer[] => [frontend.parse(sql), ...run('')]

t.test('what follows a deallocation', async (t) => {
  const target = await startPostgres(t)
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
    await t.test(`${sql}: a Parse gives the name anew`, async (t) => {
      const client = await prepared()
      client.send(...deallocate(sql), frontend.parse("SELECT 'new'", 'a'), ...run('a'), frontend.sync())
      const answers = await client.readUntil('Z')
      t.equal(typesOf(answers).replace(/S/g, ''), '12C12DCZ')
      t.same(rowsOf(answers), [['new']])
    })

    await t.test(`${sql}: a Bind does not find it`, async (t) => {
      const client = await prepared()
      client.send(...deallocate(sql), ...run('a'), ...run('b'), frontend.sync())
      t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
      client.send(...run('b'), frontend.sync())
      t.equal(typesOf(await client.readUntil('Z')), sql === 'DEALLOCATE a' ? '2DCZ' : 'EZ')
    })
  }

  await t.test('one that fails: what follows is skipped, and the name is there', async (t) => {
    const client = await prepared()
    client.send(...deallocate('DEALLOCATE missing'), ...run('a'), frontend.sync(), ...run('a'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: /"missing"/ })
    t.same(rowsOf(await client.readUntil('Z')), [['a']])
  })

  await t.test('of two portals only the one that is run counts', async (t) => {
    const client = await prepared()
    client.send(frontend.parse('DEALLOCATE a'), frontend.bind([], '', 'p'))
    client.send(frontend.parse('DEALLOCATE b'), frontend.bind([], '', 'q'), frontend.execute(0, 'q'))
    client.send(...run('a'), ...run('b'), frontend.sync())
    const answers = await client.readUntil('Z')
    t.same(rowsOf(answers), [['a']])
    t.match(errorOf(answers), { C: '26000', M: 'prepared statement "b" does not exist' })
  })
  await t.test('answered by pgbun, it is not sent as well, whatever is in front of it and behind it', async (t) => {
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

  await t.test('as one of several statements of a Query', async (t) => {
    const client = await prepared()
    client.send(frontend.query('SELECT 1; DEALLOCATE ALL'), ...run('a'), frontend.sync())
    await client.readUntil('Z')
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
  })

  for (const last of ['DEALLOCATE ALL', 'DEALLOCATE PREPARE "a"']) {
    await t.test(`as the last of several statements, done when their commit fails: ${last}`, async (t) => {
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

  await t.test('as the last of several statements that is not reached: the name is there', async (t) => {
    const client = await prepared()
    client.send(frontend.query('SELECT 1; SELECT 1 / 0; DEALLOCATE ALL'))
    t.match(errorOf(await client.readUntil('Z')), { C: '22012' })
    client.send(...run('a'), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['a']])
  })

  await t.test('by a statement with a name, of one this server does not have', async (t) => {
    const client = await prepared()
    client.send(frontend.parse('DEALLOCATE a', 'c'), frontend.parse('SELECT 1', 'd'), frontend.sync())
    await client.readUntil('Z')
    client.send(...run('c'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '2CZ')
  })
  await t.test('in a Query sent behind a batch that fails without its Sync', async (t) => {
    const client = await prepared()
    client.send(frontend.execute(0, 'missing'), frontend.query('BEGIN'), frontend.query('DEALLOCATE a; SELECT 1'))
    client.send(frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), 'EZ')
    client.send(...run('a'), frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '2DCZ')
  })

  await t.test('by a portal, of a statement that was closed since it was bound', async (t) => {
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

  await t.test('of a name whose Parse is discarded with the batch before', async (t) => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.execute(0, 'missing'), frontend.parse("SELECT 'a'", 'a'), frontend.sync())
    client.send(...deallocate('DEALLOCATE a'), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '34000' })
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'prepared statement "a" does not exist' })
  })
})
