/**
 * What works in transaction mode, through a pool of two servers that other clients use all the while. Each feature is a
 * test case and a row of the table in TRANSACTION-MODE.md; with PGBUN_TEST_WRITE_DOCS=1 the table is written anew.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import type { Feature } from '../fixtures/features.ts'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { rootDir, startPostgres } from '../fixtures/postgres.ts'
import { protocolFeatures } from '../fixtures/protocol-features.ts'
import { loginRaw, type RawClient, rowsOf } from '../fixtures/raw-client.ts'
import { pinFeatures, sequenceFeatures, settingFeatures } from '../fixtures/session-features.ts'

const GROUPS: Record<string, Feature[]> = {
  protocol: protocolFeatures,
  settings: settingFeatures,
  'state of a session': [...pinFeatures, ...sequenceFeatures],
}

/** Uses the servers until told to stop, with settings and a statement of its own under names that others use, too. */
async function disturb(client: RawClient, mark: string, going: () => boolean): Promise<void> {
  client.send(frontend.parse(`SELECT '${mark}', $1::text, current_setting('app.tenant')`, 'mine'), frontend.sync())
  await client.readUntil('Z')
  await client.rows(`SET app.tenant = '${mark}'`)
  while (going()) {
    client.send(frontend.bind(['7'], 'mine'), frontend.execute(), frontend.sync())
    const [row] = rowsOf(await client.readUntil('Z'))
    if (String(row) !== `${mark},7,${mark}`) throw new Error(`${mark} found ${row}`)
    await client.rows('BEGIN; SELECT pg_sleep(0.001); COMMIT')
  }
}

t.test('features', async (t) => {
  const settled = ["work_mem = '12MB'", "DateStyle = 'German, DMY'", "app.tenant = 'of the role'"]
  const server = await startPostgres(t, {
    settings: { max_prepared_transactions: '5' },
    bootstrapSql: [
      'CREATE ROLE other',
      "CREATE ROLE plain LOGIN PASSWORD 'plain'",
      'GRANT other TO plain',
      "CREATE ROLE settled LOGIN PASSWORD 'settled'",
      ...settled.map((set) => `ALTER ROLE settled SET ${set}`),
      'CREATE SEQUENCE counter',
      // A notice leaves at once: who gets it knows that the query runs.
      `CREATE FUNCTION run_long() RETURNS void LANGUAGE plpgsql AS
        'BEGIN RAISE NOTICE ''it runs''; PERFORM pg_sleep(600); END'`,
    ],
  })
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 2 })
  let going = true
  const logins = ['postgres', 'postgres', 'postgres', 'postgres', 'plain', 'plain', 'settled', 'settled']
  const neighbours = await Promise.all(logins.map((user) => loginRaw(t, pgbun, { user, password: user })))
  const disturbed = Promise.all(neighbours.map((client, at) => disturb(client, `neighbour ${at}`, () => going)))
  for (const [group, features] of Object.entries(GROUPS)) {
    for (const { feature, kept, todo = false, check } of features) {
      await t.test(`${group}: ${feature}: ${kept}`, { todo }, (t) => check(t, { server, pgbun }))
    }
  }
  going = false
  await disturbed
  t.pass('the neighbours had their own answers all the while')
  t.notMatch(pgbun.logs(), /lost synchronization|internal error/)
})

t.test('the table of the page', async (t) => {
  const kept = Object.values(GROUPS).flatMap((features) => features.filter(({ todo }) => todo === undefined))
  const rows = kept.map(({ feature, kept }) => `| ${feature} | ${kept} |`)
  const table = ['| feature | through pgbun |', '| --- | --- |', ...rows].join('\n')
  const page = path.join(rootDir, 'TRANSACTION-MODE.md')
  const text = readFileSync(page, 'utf8')
  const block = /<!-- features: begin -->\n[\s\S]*?<!-- features: end -->/
  t.match(text, block, 'there is a place for it')
  const next = text.replace(block, () => `<!-- features: begin -->\n${table}\n<!-- features: end -->`)
  if (process.env.PGBUN_TEST_WRITE_DOCS) writeFileSync(page, next)
  else t.equal(text, next, 'PGBUN_TEST_WRITE_DOCS=1 npx tap run test/e2e/transaction-mode.test.ts writes it anew')
})
