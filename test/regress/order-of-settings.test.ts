/**
 * Settings were given to a server in the order in which they were found: one that only a superuser may set or reset was
 * refused where the role of this client or of the last one came first, and the client ended with 42501.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('privileged settings and roles', async (t) => {
  const server = await startPostgres(t)
  await server.query('CREATE ROLE bob')
  await server.query("CREATE ROLE app LOGIN PASSWORD 'app' IN ROLE postgres")
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const setting = 'SET log_min_duration_statement = 1000'
  const show = `SELECT session_user, current_user, current_setting('log_min_duration_statement'), nullif(current_setting('app.a', true), '')`
  const cases: [string, string, ...string[]][] = [
    ['postgres', 'a setting, then a role', setting, 'SET ROLE bob'],
    ['postgres', 'no role, a setting, a role', 'SET ROLE none', setting, 'SET ROLE bob'],
    ['postgres', 'a setting, then another user', setting, 'SET SESSION AUTHORIZATION bob'],
    ['postgres', 'a setting and a role in a transaction', `BEGIN; ${setting}; SET ROLE bob; COMMIT`],
    ['app', 'a role, then a setting that only the role may set', 'SET ROLE postgres', setting],
  ]
  for (const [user, name, ...texts] of cases) {
    await t.test(name, async (t) => {
      const login = { user, password: user, database: 'postgres' }
      const direct = await loginRaw(t, server, login)
      const client = await loginRaw(t, pgbun, login)
      const other = await loginRaw(t, pgbun, login)
      const before = await other.rows(show)
      for (const text of texts) {
        await direct.rows(text)
        await client.rows(text)
      }
      t.strictSame(await other.rows(show), before, 'nothing of it is another client’s')
      t.strictSame(await client.rows(show), await direct.rows(show), 'all of it is its own')
      await client.rows("SET app.a = 'more'")
      await direct.rows("SET app.a = 'more'")
      await other.rows("SET app.a = 'other'")
      t.strictSame(await client.rows(show), await direct.rows(show), 'with more to set')
      t.strictSame(await other.rows(show), [[...before[0]!.slice(0, 3), 'other']])
      for (const each of [client, other, direct]) await each.end()
    })
  }
})
