/**
 * DISCARD TEMP, and a DEFAULT of a column beside a SET, were taken for a RESET of everything: what a client had set to
 * the server's own default went back to its startup packet. And of a text that resets one parameter, an empty value of
 * another was taken for a reset as well.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

const LOOK = "SELECT current_setting('TimeZone'), current_setting('app.a')"

t.test('what resets nothing', async (t) => {
  const target = await startPostgres(t, { bootstrapSql: ['CREATE TABLE numbered (id serial, name text)'] })
  await target.query("ALTER ROLE postgres SET app.a = 'of the role'")
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const [[zone]] = (await (await loginRaw(t, target)).rows('SHOW TimeZone')) as [[string]]
  const texts = [
    'DISCARD TEMP',
    'DISCARD PLANS',
    "SET work_mem = '5MB'; INSERT INTO numbered DEFAULT VALUES",
    'BEGIN; SET LOCAL lock_timeout = 1000; CREATE TEMP TABLE t (a int DEFAULT 1) ON COMMIT DROP; COMMIT',
    "SET app.a = ''; RESET work_mem",
  ]
  for (const text of texts) {
    await t.test(text, async (t) => {
      const login = { parameters: { TimeZone: 'Asia/Tokyo' } }
      const [client, direct] = [await loginRaw(t, pgbun, login), await loginRaw(t, target, login)]
      const other = await loginRaw(t, pgbun)
      for (const each of [client, direct]) {
        await each.rows(`SET TimeZone = '${zone}'`)
        await each.rows(text)
      }
      t.same(await other.rows(LOOK), [[zone, 'of the role']])
      t.same(await client.rows(LOOK), await direct.rows(LOOK))
      for (const each of [client, direct, other]) await each.end()
    })
  }
})
