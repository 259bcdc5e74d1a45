/**
 * A Query between an Execute and its Sync leaves PostgreSQL's transaction open although it says that it is idle: the
 * server went to the next client like that, whose first statement failed with "unexpected state STARTED".
 */
import t from 'tap'
import { frontend, int16, int32, message } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

t.test('the server stays with the client until its status can be believed again', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const mix = [frontend.parse('SELECT 1'), frontend.bind(), frontend.execute(), frontend.query('SELECT 2')]

  await t.test('which then gets the error that is its own', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(...mix, frontend.sync())
    t.equal(typesOf(await client.readUntil('Z')), '12DCTDCZ')
    t.equal(typesOf(await client.readUntil('Z')), 'Z')
    other.send(frontend.query("SELECT 'mine'"))
    client.send(frontend.query('SELECT 3'))
    await client.readUntil('Z')
    t.same(rowsOf(await other.readUntil('Z')), [['mine']])
    client.socket.destroy()
  })

  await t.test(
    'and is anybody’s again once a Query has ended the transaction, also where no Sync ever comes',
    async (t) => {
      const client = await loginRaw(t, pgbun)
      client.send(...mix)
      t.equal(typesOf(await client.readUntil('Z')), '12DCTDCZ')
      client.send(frontend.query('COMMIT'))
      await client.readUntil('Z')
      const other = await loginRaw(t, pgbun)
      t.same(await other.rows("SELECT 'mine'"), [['mine']])
      client.send(...mix)
      await client.readUntil('Z')
      await client.end()
      t.same(await other.rows("SELECT 'still mine'"), [['still mine']])
      const third = await loginRaw(t, pgbun)
      t.same(await third.rows("SELECT 'and mine'"), [['and mine']], 'not kept by who got it next')
      await other.end()
      await third.end()
    },
  )

  await t.test('and is rolled back when that leaves', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    client.send(...mix, frontend.sync())
    await client.readUntil('Z')
    await client.readUntil('Z')
    await client.end()
    other.send(frontend.query("SELECT 'mine'"))
    t.same(rowsOf(await other.readUntil('Z')), [['mine']])
  })
  await t.test('and a Parse that fails with that error leaves the unnamed statement as it was', async (t) => {
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse("SELECT 'kept'"), frontend.bind(), frontend.execute(), frontend.flush())
    await client.readUntil('C')
    // A FunctionCall, unlike a Query, leaves it alone: abs(-1).
    client.send(message('F', int32(1397), int16(0), int16(1), int32(2), Buffer.from('-1'), int16(0)), frontend.sync())
    await client.readUntil('Z')
    await client.readUntil('Z')
    client.send(frontend.parse("SELECT 'other'"), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { M: /unexpected state STARTED/ })
    client.send(frontend.bind(), frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['kept']])
  })
})
