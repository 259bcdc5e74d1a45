/**
 * Parameters of applications whose names begin with a word of SET's own (`SET local.x`), are written with escapes, or
 * stand behind a comment that a carriage return ends were left to the next client and lost to their own.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('it belongs to the client that set it', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const words = ['local', 'role', 'names', 'schema', 'transaction', 'constraints', 'session', 'time']
  const writings = words.map((word) => [`SET ${word}.x = 'mine'`, `${word}.x`])
  writings.push(["-- a comment\rSET app.a = 'mine'", 'app.a'], ["SET -- a comment\rapp.b = 'mine'", 'app.b'])
  writings.push(["BEGIN; SET local.y = 'mine'; COMMIT", 'local.y'], [`SET U&"\\0061pp".c = 'mine'`, 'app.c'])
  for (const [sql, name] of writings) {
    const look = `SELECT nullif(current_setting('${name}', true), '')`
    const owner = await loginRaw(t, pgbun)
    await owner.rows(sql!)
    const pinned = name === 'app.c'
    const stranger = await loginRaw(t, pgbun)
    if (!pinned) t.strictSame(await stranger.rows(look), [[null]], `${sql}: not another client’s`)
    t.strictSame(await owner.rows(look), [['mine']], `${sql}: its own`)
    await owner.end()
    t.strictSame(await stranger.rows(look), [[null]], `${sql}: gone with its client`)
  }
})
