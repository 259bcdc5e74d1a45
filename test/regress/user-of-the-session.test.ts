/**
 * A SET SESSION AUTHORIZATION that its text did not plainly name was taken for a reload of PostgreSQL's configuration:
 * the client lost it, and whoever came next on that server was the other user, and was greeted as such.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, type RawClient } from '../fixtures/raw-client.ts'

const WHO = 'SELECT session_user'

t.test('who a session is', async (t) => {
  const bootstrapSql = [
    'CREATE ROLE other',
    "CREATE FUNCTION become(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE format('SET SESSION AUTHORIZATION %I', $1); END $$",
  ]
  const target = await startPostgres(t, { bootstrapSql })
  const query =
    (...texts: string[]) =>
    async (client: RawClient) => {
      for (const sql of texts) await client.rows(sql)
    }
  const ways: [string, (client: RawClient) => Promise<unknown>][] = [
    ['one of several statements', query('SET SESSION AUTHORIZATION other; SET work_mem = 64')],
    ['behind a reset', query('BEGIN', 'RESET ALL', 'SET SESSION AUTHORIZATION other', 'COMMIT')],
    ['by code', query('DO $$ BEGIN SET SESSION AUTHORIZATION other; END $$')],
    ['by a function', query("SELECT become('other')")],
    [
      'in one batch',
      async (client) => {
        for (const sql of ['DISCARD SEQUENCES', 'SET SESSION AUTHORIZATION other', 'SELECT 1']) {
          client.send(frontend.parse(sql), frontend.bind(), frontend.execute())
        }
        client.send(frontend.sync())
        await client.readUntil('Z')
      },
    ],
  ]
  for (const size of [1, 2]) {
    const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: size })
    for (const [way, become] of ways) {
      await t.test(`${way}, ${size} servers`, async (t) => {
        const client = await loginRaw(t, pgbun)
        const other = await loginRaw(t, pgbun)
        await become(client)
        t.same(await other.rows(WHO), [['postgres']], 'the next client is nobody else')
        t.same(await client.rows(WHO), [['other']], 'it is who it wants to be')
        t.same(await other.rows(WHO), [['postgres']])
        const next = await loginRaw(t, pgbun)
        t.equal(next.session.parameters.session_authorization, 'postgres', 'nobody is greeted as another')
        await client.rows('RESET SESSION AUTHORIZATION')
        t.same(await client.rows(WHO), [['postgres']])
        for (const each of [client, other, next]) await each.end()
      })
    }
  }
})
