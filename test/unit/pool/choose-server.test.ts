/** Which idle server a client gets. */
import t from 'tap'
import { type Chooser, chooseServer } from '../../../lib/pool/choose-server.ts'
import type { ServerConnection } from '../../../lib/server/connection.ts'
import { List } from '../../../lib/util/list.ts'

/** Idle servers in the order in which they came back; `d` marks one that needs a reset. */
function idle(...servers: string[]): List<ServerConnection> {
  const list = new List<ServerConnection>('idle')
  for (const text of servers) {
    const content = { needsReset: text.endsWith('d') }
    const server = { id: Number.parseInt(text, 10), content, list: null, prev: null, next: null }
    list.push(server as unknown as ServerConnection)
  }
  return list
}

/** A client that used server `lastServer` last, and wants what `settings` servers have. */
const who = (lastServer: number, ...settings: number[]): Chooser => ({
  lastServer,
  suits: ({ id }) => settings.includes(id),
})

t.test('the last that came back, or with round robin the first', async (t) => {
  t.equal(chooseServer(idle(), who(0), false), undefined)
  t.equal(chooseServer(idle('1', '2', '3'), who(0), false)?.id, 3)
  t.equal(chooseServer(idle('1', '2', '3'), who(0), true)?.id, 1)
})

t.test("the client's own, whether it needs a reset or not", async (t) => {
  t.equal(chooseServer(idle('1', '2', '3'), who(1), false)?.id, 1)
  t.equal(chooseServer(idle('1', '2d', '3'), who(2), false)?.id, 2)
  t.equal(chooseServer(idle('1', '2', '3'), who(3), true)?.id, 3)
  t.equal(chooseServer(idle('1', '2', '3'), who(9), false)?.id, 3, 'one that is gone')
})

t.test('a clean one rather than one that has to be reset', async (t) => {
  t.equal(chooseServer(idle('1', '2', '3d'), who(0), false)?.id, 2)
  t.equal(chooseServer(idle('1d', '2', '3'), who(0), true)?.id, 2)
  t.equal(chooseServer(idle('1d', '2d', '3d'), who(0), false)?.id, 3)
})

t.test('one with the settings wanted rather than another clean one, but no other than the own', async (t) => {
  t.equal(chooseServer(idle('1', '2', '3'), who(0, 1), false)?.id, 1)
  t.equal(chooseServer(idle('1', '2', '3'), who(2, 1), false)?.id, 2)
  t.equal(chooseServer(idle('1d', '2', '3d'), who(0, 1), false)?.id, 2, 'what has to be reset will not have them')
  t.equal(chooseServer(idle('1', '2', '3'), who(0, 1, 2), true)?.id, 1)
})

t.test('only a few are looked at', async (t) => {
  const many = idle('1', ...Array.from({ length: 50 }, (_, i) => `${i + 2}d`))
  t.equal(chooseServer(many, who(1), false)?.id, 51)
})
