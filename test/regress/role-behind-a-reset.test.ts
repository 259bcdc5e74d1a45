/**
 * In session mode, and where a client kept its server for good, a RESET ALL of a client with startup parameters took it
 * out of the role it had set, or back into one it had left.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

const LOOK = "SELECT session_user, current_user, current_setting('work_mem')"

t.test('a reset of all but the role', async (t) => {
  const target = await startPostgres(t, {
    bootstrapSql: [
      'CREATE ROLE one',
      'CREATE ROLE two IN ROLE one',
      'CREATE SEQUENCE numbers',
      'GRANT ALL ON SEQUENCE numbers TO PUBLIC',
    ],
  })
  const cases: [Record<string, string>, ...string[]][] = [
    [{}, 'SET SESSION AUTHORIZATION two', 'SET ROLE one'],
    [{ role: 'one' }, 'SET ROLE two'],
    [{ role: 'one' }, 'SET ROLE NONE'],
    [{}, 'SET ROLE one'],
  ]
  for (const mode of ['session', 'transaction'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 5 })
    for (const [parameters, ...texts] of cases) {
      await t.test(`${mode}: ${JSON.stringify(parameters)} ${texts.join('; ')}`, async (t) => {
        const login = { parameters: { ...parameters, work_mem: '7MB' } }
        const [client, direct] = [await loginRaw(t, pgbun, login), await loginRaw(t, target, login)]
        for (const text of [
          "SELECT nextval('numbers') - lastval()",
          'SET work_mem = 64',
          ...texts,
          'RESET ALL',
          'SELECT 1',
        ]) {
          for (const each of [client, direct]) await each.rows(text)
        }
        t.same(await client.rows(LOOK), await direct.rows(LOOK))
        for (const each of [client, direct]) await each.end()
      })
    }
  }
})
