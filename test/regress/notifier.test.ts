/**
 * A notification that a client had caused itself bore the process of its server and not the one of its own
 * BackendKeyData, by which drivers tell their own from those of others. Protocol chapter "Asynchronous Operations".
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('who has notified', async (t) => {
  const server = await startPostgres(t)
  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`${mode} mode`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode })
      const client = await loginRaw(t, pgbun)
      await client.query('LISTEN news')
      const own = [
        [frontend.query("NOTIFY news, 'simple'")],
        [frontend.query("BEGIN; NOTIFY news, 'block'; COMMIT")],
        [frontend.parse("SELECT pg_notify('news', 'extended')"), frontend.bind(), frontend.execute(), frontend.sync()],
        [frontend.query("SET application_name = 'x'; NOTIFY news, 'with a setting'")],
        [frontend.query(`NOTIFY news, '${'x'.repeat(7000)}'`)],
      ]
      for (const request of own) {
        client.send(...request)
        const message = (await client.readUntil('A')).at(-1)!
        t.equal(message.body.readInt32BE(0), client.session.pid)
        await client.readUntil('Z')
      }
      const other = await server.connect()
      const { pid } = (await other.query('SELECT pg_backend_pid() AS pid')).rows[0]
      await other.query("NOTIFY news, 'from another'")
      const message = (await client.readUntil('A')).at(-1)!
      t.equal(message.body.readInt32BE(0), pid, 'the process of somebody else stays as it is')
    })
  }
})
