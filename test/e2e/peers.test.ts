/** A cancel request that reaches the wrong pgbun is passed on to the right one. */
import t, { type Test } from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { sharedPostgres } from '../fixtures/postgres.ts'
import { cancel, errorOf, loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const { server: sharedServer } = sharedPostgres(t)

async function runsAndIsCanceled(t: Test, at: Pgbun, by: Pgbun, version?: number): Promise<void> {
  const client = await loginRaw(t, at, { version })
  client.send(frontend.query('SELECT pg_sleep(3600) /* peers */'))
  const running = async () =>
    (await sharedServer()).query("SELECT FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")
  await waitFor(async () => (await running()).length > 0, { what: 'the query to run' })
  const almost = Buffer.from(client.session.secret)
  almost[0]! ^= 1
  await cancel(t, by, client.session.pid, almost)
  t.equal((await running()).length, 1, 'a wrong key does nothing')
  await cancel(t, by, client.session.pid, client.session.secret)
  t.match(errorOf(await client.readUntil('Z')), { C: '57014' })
  t.same(await client.rows('SELECT 1'), [['1']])
  await client.end()
}

t.test('peers with ids', async (t) => {
  const target = await sharedServer()
  const ports = [await freePort(), await freePort(), await freePort()]
  const peers = ports.map((port, index) => `${index + 1}=127.0.0.1:${port}`)
  // The second one is told a wrong place for the third: it is asked by way of the first.
  const misled = [peers[0], peers[1], `3=127.0.0.1:${ports[0]}`]
  const [one, two, three] = (await Promise.all(
    ports.map((listenPort, index) => {
      const list = (index === 1 ? misled : peers).join(',')
      const args = ['--peer-id', String(index + 1), '--peers', list, '--admin-users', 'postgres']
      return startPgbun(t, { target, listenPort, args })
    }),
  )) as [Pgbun, Pgbun, Pgbun]
  await runsAndIsCanceled(t, one, two)
  await runsAndIsCanceled(t, two, one, 0x30002)
  await runsAndIsCanceled(t, three, two)
  const console = await loginRaw(t, one, { database: 'pgbouncer' })
  t.same(await console.rows('SHOW PEERS'), [
    ['2', '127.0.0.1', String(ports[1]), '25'],
    ['3', '127.0.0.1', String(ports[2]), '25'],
  ])
  t.same(await console.rows('SHOW PEER_POOLS'), [
    ['2', '0', '0', '0', '0'],
    ['3', '0', '0', '0', '0'],
  ])
  // A key of a peer that does not exist, a thousand times: nobody minds.
  await Promise.all(Array.from({ length: 50 }, (_, n) => cancel(t, one, (9 << 17) | n, Buffer.from('none'))))
  t.same(await console.rows('SHOW VERSION').then((rows) => rows.length), 1)
})

t.test('peers by the name of a host', async (t) => {
  const target = await sharedServer()
  const ports = [await freePort(), await freePort()]
  const [one, two] = (await Promise.all(
    ports.map((listenPort, index) => {
      return startPgbun(t, { target, listenPort, args: ['--peers', `localhost:${ports[1 - index]}`] })
    }),
  )) as [Pgbun, Pgbun]
  await runsAndIsCanceled(t, one, two)
  await runsAndIsCanceled(t, two, one)
})
