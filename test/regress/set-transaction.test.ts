/**
 * After `SET TRANSACTION READ ONLY; SELECT …` the next client was refused: PostgreSQL lists transaction_read_only as set
 * in the session, so it was taken for a setting of the client's, and cannot be reset.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, rowsOf } from '../fixtures/raw-client.ts'

t.test('what SET TRANSACTION sets is nobody else’s', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const client = await loginRaw(t, pgbun)
  client.send(frontend.query("SET TRANSACTION READ ONLY; SELECT set_config('app.tag', 'x', false)"))
  await client.readUntil('Z')
  const other = await loginRaw(t, pgbun)
  other.send(frontend.query('SHOW transaction_read_only'))
  t.same(rowsOf(await other.readUntil('Z')), [['off']])
})
