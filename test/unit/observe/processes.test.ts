/** What another process says is not taken on trust. */
import t from 'tap'
import { readProcesses } from '../../../lib/observe/processes.ts'

t.test('what is told is read', async (t) => {
  const told = { pid: 7, version: '1.0', startedAt: 5, accepting: true, clients: 1, waiting: 0, servers: 2 }
  t.same(readProcesses([told]), [told])
})

t.test('anything else is nothing', async (t) => {
  for (const value of [undefined, null, 7, 'x', {}]) t.same(readProcesses(value), [])
  const nothing = { pid: 0, version: '', startedAt: 0, accepting: false, clients: 0, waiting: 0, servers: 0 }
  t.same(readProcesses([null, { pid: -1, version: 7, clients: 'many', servers: Number.NaN }]), [nothing, nothing])
  t.equal(readProcesses([{ version: 'x'.repeat(1000) }])[0]?.version.length, 64)
  t.equal(readProcesses(Array(1000).fill({})).length, 32)
})
