/**
 * Clients that left while PostgreSQL was starting up counted as waiting for it: their pools were never forgotten, each
 * tried to connect once a second, and a recovery that took hours kept everybody who had ever come.
 */
import t from 'tap'
import { backend, frontend } from '../fixtures/messages.ts'
import { waitFor } from '../fixtures/wait.ts'
import { startLab } from '../wire/lab.ts'

t.test('a pool whose clients have left is forgotten', async (t) => {
  let starting = true
  const lab = await startLab(t, {
    script: {
      onStartup: (connection) =>
        starting
          ? connection.end(backend.error('57P03', 'the database system is starting up', 'FATAL'))
          : connection.greet(),
    },
  })
  const staying = lab.client({ user: 'staying' })
  const leaving = await lab.connect()
  leaving.send(frontend.startup({ user: 'leaving', database: 'postgres' }))
  const users = () => lab.pooler.snapshot().pools.map(({ user }) => user)
  await waitFor(() => users().length === 2 && lab.server.accepted >= 2, { what: 'their logins' })
  leaving.destroy()
  await waitFor(() => users().join() === 'staying', { what: 'the end of the pool nobody wants' })
  t.ok(lab.pooler.snapshot().forgotten.openFailures > 0, 'but for what it had counted')
  starting = false
  t.strictSame(await (await staying).rows('select 1'), [['select 1']], 'who stays is served')
})
