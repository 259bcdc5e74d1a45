/** In session mode a RESET took parameters of the startup packet to the server's default where any statement had failed before. */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('RESET goes back to the startup packet', async (t) => {
  const target = await startPostgres(t)
  for (const mode of ['session', 'transaction'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode })
    for (const before of [
      [],
      ['SELECT 1/0'],
      ['BEGIN', 'SELECT 1', 'COMMIT'],
      ['BEGIN', 'SELECT 1/0', 'ROLLBACK', 'SELECT 1'],
    ]) {
      const client = await loginRaw(t, pgbun, { parameters: { work_mem: '5MB', options: '-c lock_timeout=5000' } })
      for (const sql of [...before, 'SET work_mem = 64', 'RESET ALL']) await client.query(sql)
      t.strictSame(
        await client.rows("SELECT current_setting('work_mem'), current_setting('lock_timeout')"),
        [['5MB', '5s']],
        `${mode}: ${before.join('; ')}`,
      )
      await client.end()
    }
  }
})
