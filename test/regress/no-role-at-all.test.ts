/** SET ROLE NONE of a client whose user begins with a role (ALTER ROLE … SET role) was lost with the next DO, CALL or RESET ALL. */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('no role is a wish as well', async (t) => {
  const target = await startPostgres(t, {
    bootstrapSql: [
      'CREATE ROLE other',
      "CREATE ROLE settled LOGIN PASSWORD 'settled' IN ROLE other",
      'ALTER ROLE settled SET role = other',
    ],
  })
  const login = { user: 'settled', password: 'settled' }
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  for (const text of ['DO $$ BEGIN END $$', 'RESET ALL', "SELECT 1; SET work_mem = '7MB'"]) {
    await t.test(text, async (t) => {
      const [client, other] = [await loginRaw(t, pgbun, login), await loginRaw(t, pgbun, login)]
      await client.rows('SET ROLE NONE')
      await client.rows(text)
      t.same(await other.rows('SELECT current_user'), [['other']])
      t.same(await client.rows('SELECT current_user'), [['settled']])
      await client.rows('RESET ROLE')
      t.same(await client.rows('SELECT current_user'), [['other']])
      await Promise.all([client.end(), other.end()])
    })
  }
})
