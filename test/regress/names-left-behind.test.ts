/**
 * A statement under a client's own name stayed on the server for the next client where its owner had also run a DO: the
 * question that follows it was taken to speak of all prepared statements, not only of those of SQL-level PREPARE.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw } from '../fixtures/raw-client.ts'

t.test('a name that was given twice, or cannot be carried, goes with its client', async (t) => {
  const server = await startPostgres(t)
  for (const limit of ['200', '0']) {
    const args = ['--max-prepared-statements', limit]
    const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
    const client = await loginRaw(t, pgbun)
    client.send(frontend.parse('SELECT 1', 'name'), frontend.query('DO $$ BEGIN END $$'))
    client.send(frontend.parse('SELECT 2', 'name'), frontend.sync())
    await client.readUntil('Z')
    t.match(errorOf(await client.readUntil('Z')), { C: '42P05' }, limit)
    await client.end()
    const stranger = await loginRaw(t, pgbun)
    t.same(await stranger.rows("SELECT name FROM pg_prepared_statements WHERE name = 'name'"), [], limit)
    t.match(errorOf(await stranger.query('EXECUTE name')), { C: '26000' }, limit)
  }
})
