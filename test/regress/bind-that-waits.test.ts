/**
 * A Bind that waits for what its statement is on another server: meanwhile it is canceled, the server is lost, or its client
 * leaves. Nobody gets what is another's, and the pool goes on.
 */
import t from 'tap'
import { run } from '../fixtures/changed-tables.ts'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { cancel, errorOf, loginRaw, typesOf } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

const { parse, describe, sync } = frontend
const SQL = 'SELECT * FROM waiting'

t.test('a Bind that waits', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  const admin = await loginRaw(t, target)
  const watcher = await loginRaw(t, target)
  await admin.query('CREATE TABLE waiting (a int); INSERT INTO waiting VALUES (1)')

  for (const how of ['canceled', 'its server lost', 'its client gone']) {
    await t.test(how, async (t) => {
      const client = await loginRaw(t, pgbun)
      client.send(parse(SQL, 's'), describe('S', 's'), sync())
      await client.readUntil('Z')
      // The other server does not have it.
      const other = await loginRaw(t, pgbun)
      await other.query('BEGIN')
      await admin.query('BEGIN; LOCK TABLE waiting')
      client.send(...run('s'), sync(), ...run('s'), sync())
      const blocked = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
      const pid = await waitFor(async () => (await watcher.rows(blocked))[0]?.[0])
      if (how === 'canceled') {
        await cancel(t, pgbun, client.session.pid, client.session.secret)
        t.equal(errorOf(await client.readUntil('Z')).C, '57014')
      } else if (how === 'its client gone') client.destroy()
      else {
        await watcher.query(`SELECT pg_terminate_backend(${pid})`)
        t.match((await client.expectFatal()).C, /^57P01|08006$/)
      }
      await admin.query('ROLLBACK')
      if (how === 'canceled') t.equal(typesOf(await client.readUntil('Z')), '2DCZ', 'the next batch runs')
      await other.query('ROLLBACK')
      for (const who of [other, await loginRaw(t, pgbun)]) {
        who.send(parse(SQL, 's'), describe('S', 's'), ...run('s'), sync())
        t.equal(typesOf(await who.readUntil('Z')), '1tT2DCZ')
        await who.end()
      }
    })
  }
})
