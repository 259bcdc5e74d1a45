/** UPDATE pg_settings sets parameters for the session: it follows its client, and the next one does not find it. */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('UPDATE pg_settings', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const login = { user: 'postgres', password: 'postgres' }
  const client = await loginRaw(t, pgbun, login)
  const next = await loginRaw(t, pgbun, login)
  await client.rows("UPDATE pg_settings SET setting = '7MB' WHERE name = 'work_mem'")
  t.same(await next.rows("SELECT current_setting('work_mem')"), [['4MB']], 'the next client')
  t.same(await client.rows("SELECT current_setting('work_mem')"), [['7MB']], 'its own')
})
