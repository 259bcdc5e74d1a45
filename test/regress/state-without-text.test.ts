/**
 * What left session state without a text to suspect it by reached the next client, or was lost: a FunctionCall, which
 * names its function by a number, a library that no reset unloads, and a Query too long to be looked at.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw, rowsOf } from '../fixtures/raw-client.ts'

t.test('session state that no text shows', async (t) => {
  const server = await startPostgres(t)
  const pgbun = await startPgbun(t, { target: server, poolMode: 'transaction', poolSize: 1 })

  await t.test('a lock taken by a FunctionCall', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const [[lock]] = (await client.rows("SELECT 'pg_advisory_lock(int,int)'::regprocedure::oid")) as [[string]]
    client.send(frontend.functionCall(Number(lock), ['1', '2']))
    await client.readUntil('Z')
    other.send(frontend.query('SELECT pg_advisory_unlock(1, 2)'))
    t.same(await client.rows('SELECT pg_advisory_unlock(1, 2)'), [['t']], 'is still its own')
    t.same(rowsOf(await other.readUntil('Z')), [['f']], "and never was the other one's")
    await client.end()
    await other.end()
  })

  await t.test('a parameter set by a FunctionCall', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    const [[set]] = (await client.rows("SELECT 'set_config(text,text,bool)'::regprocedure::oid")) as [[string]]
    client.send(frontend.functionCall(Number(set), ['work_mem', '7MB', 'false']))
    await client.readUntil('Z')
    t.not((await other.rows('SHOW work_mem'))[0]![0], '7MB')
    t.same(await client.rows('SHOW work_mem'), [['7MB']])
    await client.end()
    await other.end()
  })

  await t.test('a parameter set in a long Query', async (t) => {
    const client = await loginRaw(t, pgbun)
    const other = await loginRaw(t, pgbun)
    await client.query(`SELECT length('${'x'.repeat(3_000_000)}'); SET work_mem = '8MB'`)
    t.not((await other.rows('SHOW work_mem'))[0]![0], '8MB')
    t.same(await client.rows('SHOW work_mem'), [['8MB']])
    await client.end()
    await other.end()
  })

  for (const mode of ['session', 'transaction'] as const) {
    await t.test(`a library, in ${mode} mode`, async (t) => {
      const pgbun = await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
      const client = await loginRaw(t, pgbun)
      const before = await client.rows('SELECT pg_backend_pid()')
      await client.query("LOAD 'plpgsql'")
      t.same(await client.rows('SELECT pg_backend_pid()'), before, 'its client keeps it')
      await client.end()
      const next = await loginRaw(t, pgbun)
      t.notSame(await next.rows('SELECT pg_backend_pid()'), before, 'nobody else gets it')
    })
  }
})
