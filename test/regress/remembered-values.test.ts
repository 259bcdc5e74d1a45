/**
 * What `SET default_text_search_config = 'english'` had once become was given to every client that ran the same text,
 * although it depends on the search_path.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('values that depend on other settings', async (t) => {
  const server = await startPostgres(t)
  await server.query('CREATE SCHEMA mine')
  await server.query('CREATE TEXT SEARCH CONFIGURATION mine.english (COPY = pg_catalog.german)')
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const set = "SET default_text_search_config = 'english'"
  const show = 'SHOW default_text_search_config'
  const one = await loginRaw(t, pgbun)
  const other = await loginRaw(t, pgbun)
  await one.rows(set)
  await other.rows('SET search_path = mine, pg_catalog')
  await other.rows(set)
  t.strictSame(await one.rows(show), [['pg_catalog.english']])
  t.strictSame(await other.rows(show), [['mine.english']])
})
