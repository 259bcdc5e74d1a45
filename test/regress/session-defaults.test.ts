/**
 * ALTER ROLE … SET and ALTER DATABASE … SET had no effect on new clients for as long as servers from before were lent;
 * and a parameter of an application's was lost where the function that set it had only just been made.
 */
import t from 'tap'
import { parse } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('what sessions begin with', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  const [a, b] = [await loginRaw(t, pgbun), await loginRaw(t, pgbun)]
  // Both servers are there, and old.
  await Promise.all([a.query('BEGIN'), b.query('BEGIN')])
  await Promise.all([a.query('COMMIT'), b.query('COMMIT')])
  const look = async (sql: string): Promise<string | null> => {
    const client = await loginRaw(t, pgbun)
    const [row] = await client.rows(sql)
    await client.end()
    return row![0]!
  }

  await a.query("ALTER ROLE CURRENT_USER SET work_mem = '11MB'")
  t.equal(await look('SHOW work_mem'), '11MB', 'ALTER ROLE')
  await a.query('ALTER DATABASE postgres SET statement_timeout = 77000')
  t.equal(await look('SHOW statement_timeout'), '77s', 'ALTER DATABASE')
  await b.query("ALTER ROLE CURRENT_USER SET TimeZone = 'Asia/Tokyo'")
  await look('SELECT 1')
  const greeted = await loginRaw(t, pgbun)
  t.equal(greeted.session.parameters.TimeZone, 'Asia/Tokyo', 'one that is reported, in the greeting')
  t.same(await greeted.rows('SHOW TimeZone'), [['Asia/Tokyo']])
  const reports = (await a.query('SELECT 1')).filter(({ type }) => type === 'S')
  t.same(
    reports.map(({ body }) => parse.strings(body)),
    [['TimeZone', 'Asia/Tokyo']],
    'clients from before are told, and go on',
  )
  await a.query('BEGIN')
  await a.query("ALTER ROLE CURRENT_USER SET work_mem = '12MB'")
  await a.query('ROLLBACK')
  t.equal(await look('SHOW work_mem'), '11MB', 'one that is rolled back')
})

t.test('a parameter set by a function just made', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 2 })
  const client = await loginRaw(t, pgbun)
  await client.query(
    "CREATE FUNCTION enter(text) RETURNS text LANGUAGE sql AS $$ SELECT set_config('app.tenant', $1, false) $$",
  )
  for (let round = 0; round < 5; round++) {
    await client.query(`SELECT enter('mine ${round}')`)
    const other = await loginRaw(t, pgbun)
    await other.query('BEGIN')
    t.same(await other.rows("SELECT coalesce(current_setting('app.tenant', true), '')"), [['']])
    t.same(await client.rows("SELECT current_setting('app.tenant')"), [[`mine ${round}`]])
    await other.end()
  }
})
