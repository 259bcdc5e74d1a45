/**
 * PostgreSQL reads a Terminate when it has done what was sent before it; pgbun had canceled that. Held directly, too.
 */
import t from 'tap'
import { frontend } from '../fixtures/messages.ts'
import { startPgbun } from '../fixtures/pgbun.ts'
import { startPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { waitFor } from '../fixtures/wait.ts'

t.test('Terminate right behind a query', async (t) => {
  const server = await startPostgres(t)
  await server.query('CREATE TABLE done (mode text, line text)')
  const lines = async (mode: string): Promise<unknown[]> => {
    return (await server.query(`SELECT line FROM done WHERE mode = '${mode}' ORDER BY line`)).map(({ line }) => line)
  }
  for (const mode of ['direct', 'session', 'transaction'] as const) {
    const address = mode === 'direct' ? server : await startPgbun(t, { target: server, poolMode: mode, poolSize: 1 })
    const insert = (line: string): string => `INSERT INTO done SELECT '${mode}', '${line}' FROM pg_sleep(0.2)`
    for (const messages of [
      [frontend.query(insert('a'))],
      [frontend.query(insert('b')), frontend.query(insert('c'))],
      [frontend.parse(insert('d')), frontend.bind(), frontend.execute(), frontend.sync()],
      [frontend.query(`BEGIN; ${insert('rolled back')}`)],
      [frontend.parse(insert('not synced')), frontend.bind(), frontend.execute()],
    ]) {
      const client = await loginRaw(t, address)
      // Who leaves while it waits for a server has asked for nothing yet.
      await client.query('SELECT 1')
      client.send(...messages, frontend.terminate())
      client.socket.end()
      await client.expectClosed()
    }
    await waitFor(async () => (await lines(mode)).length === 4, { what: `all that was sent whole, ${mode}` })
    const next = await loginRaw(t, address)
    await next.query('SELECT 1')
    t.same(await lines(mode), ['a', 'b', 'c', 'd'], mode)
  }
})
