/**
 * A client waited for ever where a batch failed in which a Query had been sent: the Parse behind the Query was held back
 * until earlier requests were answered, because a Close of the batch before was thought to be still under way, and the
 * error that discards the Query came without a ReadyForQuery to go on at.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, typesOf } from '../fixtures/raw-client.ts'

t.test('what is behind a Query in a failing batch comes to its end', async (t) => {
  const server = await startPostgres(t)
  const args = ['--max-prepared-statements', '2']
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1, args })
  const client = await loginRaw(t, pgbun)
  for (const name of ['a', 'b', 'c', 'd']) {
    client.send(frontend.parse(`SELECT '${name}'`, name), frontend.sync())
    await client.readUntil('Z')
  }
  // The server keeps two statements: each Bind of another one closes one.
  client.send(frontend.bind([], 'a'), frontend.sync(), frontend.bind([], 'b'), frontend.bind(['too many'], 'b'))
  client.send(frontend.query('SELECT 1'), frontend.parse('SELECT 1', 'e'), frontend.sync(), frontend.query('SELECT 2'))
  t.equal(typesOf(await client.readUntil('Z')), '2Z')
  const failed = await client.readUntil('Z')
  t.equal(typesOf(failed), '2EZ')
  t.match(errorOf(failed), { C: '08P01', M: /supplies 1 parameters/ })
  t.equal(typesOf(await client.readUntil('Z')), 'TDCZ')
})
