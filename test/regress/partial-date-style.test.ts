/**
 * A startup packet that names half of a DateStyle got the other half from the client its server had last, and all clients
 * after it got that: 01/02 was a day of February to them.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('half a DateStyle', async (t) => {
  const target = await startPostgres(t)
  const ask = "SELECT current_setting('DateStyle'), '01/02/03'::date - '2000-01-01'::date"
  const see = async (where: { host: string; port: number }, DateStyle: string): Promise<unknown[]> => {
    const client = await loginRaw(t, where, { parameters: { DateStyle } })
    const seen = [client.session.parameters.DateStyle, ...(await client.rows(ask))]
    await client.query('RESET DateStyle')
    seen.push(...(await client.rows(ask)))
    await client.end()
    return seen
  }
  for (const mode of ['transaction', 'session'] as const) {
    const pgbun = await startPgbun(t, { target, poolMode: mode, poolSize: 1 })
    for (const style of ['German', 'ISO', 'DMY', 'SQL', 'iso', 'Postgres, DMY', 'ISO', 'YMD', 'postgres']) {
      t.strictSame(await see(pgbun, style), await see(target, style), `${mode}: ${style}`)
    }
  }
})
