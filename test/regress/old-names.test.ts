/** What was set under a name of old (`SET vacuum_mem`) did not follow its client, and stayed for the next one. */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

const LOOK = "SELECT current_setting('work_mem'), current_setting('maintenance_work_mem')"

t.test('names of old', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const fresh = await (await loginRaw(t, target)).rows(LOOK)
  const cases: [Record<string, string>, ...string[]][] = [
    [{}, "SET vacuum_mem = '90MB'"],
    [{}, "SET work_mem = '6MB'", "SET sort_mem = '9MB'"],
    [{}, "SELECT set_config('Sort_Mem', '9MB', false)"],
    [{ work_mem: '8MB' }, "SET sort_mem = '9MB'", 'RESET work_mem'],
    [{ options: '-c sort_mem=8MB' }, "SET work_mem = '9MB'", 'RESET sort_mem'],
    [{ options: '-c work_mem=8MB -c sort_mem=7MB' }],
  ]
  for (const [parameters, ...texts] of cases) {
    await t.test(`${JSON.stringify(parameters)} ${texts.join('; ')}`, async (t) => {
      const [client, direct] = [await loginRaw(t, pgbun, { parameters }), await loginRaw(t, target, { parameters })]
      const other = await loginRaw(t, pgbun)
      for (const text of texts) for (const each of [client, direct]) await each.rows(text)
      t.same(await other.rows(LOOK), fresh, 'nothing of it is another client’s')
      t.same(await client.rows(LOOK), await direct.rows(LOOK), 'all of it is its own')
      for (const each of [client, direct, other]) await each.end()
    })
  }
})
