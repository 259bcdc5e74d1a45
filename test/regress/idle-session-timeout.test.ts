/**
 * The idle_session_timeout of a client stayed on its server between two leases: PostgreSQL ended the session when somebody
 * else had just got it, whose connection was closed with it.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('a limit of one client', { skip: Number(process.env.PGBUN_TEST_PG ?? 18) < 14 }, async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const [client, other] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
  const pid = async () => (await other.rows('SELECT pg_backend_pid()'))[0]![0]
  const server = await pid()
  const work = "SELECT 1 FROM pg_stat_activity WHERE pid = $1 AND clock_timestamp() - state_change < '200 ms'"
  const idles = (): Promise<unknown> =>
    waitFor(async () => (await target.query(work, [server])).length === 0, {
      what: 'it to idle for longer, or to be gone',
    })
  await client.rows("SET idle_session_timeout = '50ms'")
  await idles()
  t.equal(await pid(), server, 'the server is there')
  t.same(await other.rows('SHOW idle_session_timeout'), [['0']])
  t.same(await client.rows('SHOW idle_session_timeout'), [['50ms']], 'its own client has it')
  await idles()
  t.equal(await pid(), server)
})
