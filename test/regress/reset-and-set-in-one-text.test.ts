/**
 * A RESET of one parameter took others back to the startup packet that the same text, or the same transaction, had set to
 * the server's default.
 */
import t from 'tap'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'

t.test('what is set behind a RESET', async (t) => {
  const target = await startPostgres(t)
  const pgbun = await startPgbun(t, { target, poolMode: 'transaction', poolSize: 1 })
  const parameters = { standard_conforming_strings: 'off', TimeZone: 'Asia/Tokyo', work_mem: '5MB' }
  const names = Object.keys(parameters)
  const look = `SELECT ${names.map((name) => `current_setting('${name}')`).join(', ')}`
  const run = async (where: { host: string; port: number }, texts: string[]): Promise<unknown> => {
    const client = await loginRaw(t, where, { parameters })
    for (const text of texts) await client.query(text)
    const seen = await client.rows(look)
    await client.end()
    return seen
  }
  for (const texts of [
    ['RESET plan_cache_mode; SET standard_conforming_strings = on'],
    ['RESET plan_cache_mode; SET SESSION STANDARD_CONFORMING_STRINGS = on; RESET work_mem'],
    ["SET TimeZone = 'UTC'; RESET standard_conforming_strings"],
    ['BEGIN', 'RESET standard_conforming_strings', 'SET standard_conforming_strings = on', 'COMMIT'],
    ['BEGIN', 'SET standard_conforming_strings = on', 'RESET standard_conforming_strings', 'COMMIT'],
    ['SET standard_conforming_strings = on; RESET standard_conforming_strings'],
    ['SET work_mem = 64; RESET ALL'],
    ['RESET ALL; SET standard_conforming_strings = on'],
    ["RESET ALL; SET TimeZone = 'UTC'; SELECT 1; RESET work_mem"],
    ["RESET ALL; SET TimeZone = 'UTC'; RESET TimeZone"],
    ["SET TimeZone = 'UTC'; RESET ALL"],
    ['BEGIN', 'RESET ALL', "SET TIME ZONE 'UTC'", 'COMMIT'],
    ['BEGIN', "SET TIME ZONE 'UTC'", 'DO $$ BEGIN RESET ALL; END $$', 'COMMIT'],
  ]) {
    t.strictSame(await run(pgbun, texts), await run(target, texts), texts.join('; '))
  }
})
