/**
 * Names of statements in SQL were found by words alone: in string constants and comments, too, and not behind a comment.
 * Every conversation is held directly, too, and must go the same way.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { errorOf, loginRaw, rowsOf, typesOf } from '../fixtures/raw-client.ts'

t.test('what SQL says of statements', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  for (const sql of [
    "SELECT 'deallocate foo'; DEALLOCATE bar",
    '/* deallocate foo */ SELECT 1; DEALLOCATE bar',
    'DEALLOCATE /* c */ bar',
    'SELECT 1; DEALLOCATE -- c\n bar',
    'DEALLOCATE PREPARE U&"\\0062ar"',
    'EXECUTE /* c */ bar',
    'EXECUTE U&"bar"',
    'EXPLAIN EXECUTE bar',
    `DEALLOCATE ${'n'.repeat(70)}`,
    `${'/**/'.repeat(49)}DEALLOCATE bar`,
  ]) {
    const found: unknown[] = []
    for (const address of [server, pgbun]) {
      const client = await loginRaw(t, address, { user: server.user, password: server.password })
      const names = ['foo', 'bar', 'n'.repeat(63)]
      client.send(...names.map((name) => frontend.parse(`SELECT '${name}'`, name)), frontend.sync())
      await client.readUntil('Z')
      const answers = await client.query(sql)
      const seen: unknown[] = [typesOf(answers), errorOf(answers).C, rowsOf(answers)]
      for (const name of names) {
        client.send(frontend.bind([], name), frontend.execute(), frontend.sync())
        seen.push(typesOf(await client.readUntil('Z')))
      }
      await client.end()
      found.push(seen)
    }
    t.same(found[1], found[0], sql)
  }
})
