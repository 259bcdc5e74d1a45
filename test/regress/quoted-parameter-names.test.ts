/**
 * A parameter of an application's whose name was quoted, spelled with white space around its dot, with a comment beside
 * it or with letters outside of ASCII did not follow its client, and was seen by the next one on the same server.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('however its name is written, a parameter belongs to the client that set it', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })
  const writings: [string, string][] = [
    [`SET "app"."quoted" = 'mine'`, 'app.quoted'],
    [`SET "app.together" = 'mine'`, 'app.together'],
    [`SET "App"."Case" = 'mine'`, 'app.case'],
    ["SET app . spaced TO 'mine'", 'app.spaced'],
    ["SET /* a */ app /* b */ . /* c */ commented = 'mine'", 'app.commented'],
    ["SET SESSION -- a line\n app.line = 'mine'", 'app.line'],
    ["SELECT '--'; SET app.behind = 'mine'", 'app.behind'],
    [`DO $$ BEGIN SET "app.in.code" = 'mine'; END $$`, 'app.in.code'],
    [`SET "app.of.several" = 'mine'; SET app.b TO DEFAULT`, 'app.of.several'],
  ]
  for (const [sql, name] of writings) {
    const look = `SELECT nullif(current_setting('${name}', true), '')`
    const owner = await loginRaw(t, pgbun)
    const stranger = await loginRaw(t, pgbun)
    await owner.rows(sql)
    t.same(await stranger.rows(look), [[null]], `${sql}: not another client’s`)
    t.same(await owner.rows(look), [['mine']], `${sql}: its own`)
    await owner.end()
    t.same(await stranger.rows(look), [[null]], `${sql}: gone with its client`)
  }

  // What such a name is, depends on the client's encoding: its client keeps the server.
  for (const sql of [
    "SET app.größe = 'mine'",
    "SELECT set_config('app.größe', 'mine', false)",
    'SET app.größe TO mine; SELECT 1',
  ]) {
    const owner = await loginRaw(t, pgbun)
    const stranger = await loginRaw(t, pgbun)
    await owner.rows(sql)
    t.same(await owner.rows("SELECT current_setting('app.größe', true)"), [['mine']], `${sql}: its own`)
    await owner.end()
    const look = "SELECT nullif(current_setting('app.größe', true), '')"
    t.same(await stranger.rows(look), [[null]], `${sql}: gone with its client`)
  }
})
