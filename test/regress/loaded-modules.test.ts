/**
 * A module that a client loaded (LOAD) stayed in the server connection for the clients after it: no reset of PostgreSQL
 * unloads one.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('a connection with a loaded module ends with its client', async (t) => {
  const server = await startPostgres(t)
  for (const mode of ['session', 'transaction', 'statement'] as const) {
    const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
    const loader = await loginRaw(t, pgbun)
    await loader.rows("LOAD 'auto_explain'")
    const look = "SELECT count(*) FROM pg_settings WHERE name LIKE 'auto_explain.%'"
    t.not((await loader.rows(look))[0]![0], '0', `${mode}: its own`)
    await loader.end()
    const next = await loginRaw(t, pgbun)
    t.same(await next.rows(look), [['0']], `${mode}: not the next client’s`)
  }
})
