/** A Bind in pieces whose names are long: it ran the unnamed statement of another client. */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf } from '../fixtures/raw-client.ts'

t.test('long names in a Bind that comes in pieces', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, args: ['--pool-mode', 'transaction', '--pool-size', '1'] })
  const stranger = await loginRaw(t, pgbun)
  const client = await loginRaw(t, pgbun)
  const prepared = async (): Promise<void> => {
    stranger.send(frontend.parse("SELECT 'stranger'"), frontend.sync())
    await stranger.readUntil('Z')
  }

  await t.test('of a portal: the unnamed statement is the client’s own, and it has none', async (t) => {
    await prepared()
    const portal = 'p'.repeat(2000)
    await client.sendBytewise(frontend.bind([], '', portal))
    client.send(frontend.execute(0, portal), frontend.sync())
    t.match(errorOf(await client.readUntil('Z')), { C: '26000', M: 'unnamed prepared statement does not exist' })
  })

  await t.test('of a statement: it is the client’s', async (t) => {
    const name = 'n'.repeat(2000)
    client.send(frontend.parse("SELECT 'mine'", name), frontend.sync())
    await client.readUntil('Z')
    await client.sendBytewise(frontend.bind([], name))
    client.send(frontend.execute(), frontend.sync())
    t.same(rowsOf(await client.readUntil('Z')), [['mine']])
  })

  await t.test('longer than is looked at: the session ends', async (t) => {
    await prepared()
    const portal = 'p'.repeat(100_000)
    client.send(frontend.bind([], '', portal), frontend.execute(0, portal), frontend.sync())
    t.match(errorOf(await client.expectClosed()), { S: 'FATAL', C: '08P01', M: 'too long a name in Bind' })
    stranger.send(frontend.bind(), frontend.execute(), frontend.sync())
    t.same(rowsOf(await stranger.readUntil('Z')), [['stranger']])
  })
})
