/**
 * What servers report was remembered however long it was, once for each change: a server that went on inventing parameters
 * had pgbun keep half a gigabyte of them within a second.
 */
import t from 'tap'
import { defaultsOf } from '../../lib/settings/server-defaults.ts'
import { backend } from '../fixtures/messages.ts'
import type { ScriptedConnection } from '../fixtures/scripted-postgres.ts'
import { waitFor } from '../fixtures/wait.ts'
import { startLab } from '../wire/lab.ts'

t.test('parameters without end, while nobody has the server', async (t) => {
  const connections: ScriptedConnection[] = []
  const lab = await startLab(t, {
    authType: 'trust',
    script: {
      onStartup(connection: ScriptedConnection) {
        connections.push(connection)
        connection.greet()
      },
    },
  })
  const client = await lab.client()
  const [liar] = connections
  const before = process.memoryUsage().rss
  for (let i = 0; i < 2000; i++) liar!.send(backend.parameterStatus(`name${i}`, 'x'.repeat(10_000)))
  await waitFor(() => liar!.closed)
  const grown = process.memoryUsage().rss - before
  // 256 of several megabytes each were kept.
  t.ok(grown < 400 * 1024 * 1024, `${grown} bytes more`)
  client.destroy()
})

t.test('what is reported, as a value', async (t) => {
  const map = (length: number): Map<string, string> => new Map([['a', 'x'.repeat(length)]])
  t.equal(defaultsOf(map(100)), defaultsOf(map(100)))
  t.not(defaultsOf(map(100_000)), defaultsOf(map(100_000)), 'too long to be remembered')
  t.same(defaultsOf(map(100_000)), map(100_000))
})
