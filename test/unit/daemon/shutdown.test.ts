/** Who leaves when, told apart from what leaving is: the clients here only note that they were asked. */
import t, { type Test } from 'tap'
import { Shutdown, type ShutdownParts } from '../../../lib/daemon/shutdown.ts'
import { createLogger } from '../../../lib/util/logger.ts'
import { waitFor } from '../../fixtures/wait.ts'

class Client {
  isNew = false
  /** Asked once, it leaves when it is asked for the last time. */
  busy = false
  readonly asked: ('served first' | 'at once')[] = []
  ended = ''
  readonly #sessions: Set<Client>

  constructor(sessions: Set<Client>) {
    this.#sessions = sessions
    sessions.add(this)
  }

  shutDown(serves: boolean): void {
    if (!this.#sessions.has(this)) return
    this.asked.push(serves ? 'served first' : 'at once')
    if (!this.busy) this.leave()
  }

  leave(): void {
    this.#sessions.delete(this)
  }

  endWith(name: string): void {
    this.ended = name
    this.leave()
  }
}

function makeShutdown(t: Test, { clients = 0, timeoutMs = 60_000, delayMs = 0 }) {
  const sessions = new Set<Client>()
  const all = Array.from({ length: clients }, () => new Client(sessions))
  const events: string[] = []
  const note = (event: string) => (): void => void events.push(event)
  const shutdown = new Shutdown({
    registry: {
      sessions,
      close: note('no newcomers'),
      get admitted() {
        return sessions.size
      },
    },
    router: { pools: () => [] },
    listener: { stopAcceptingTcp: note('not accepting'), close: async () => note('closed')() },
    deadlines: { shutDown: () => {} },
    times: () => ({ timeoutMs, delayMs }),
    hasPredecessor: () => false,
    stop: note('stopped'),
    log: createLogger({ write: () => {} }),
  } as unknown as ShutdownParts)
  t.teardown(() => shutdown.begin('now'))
  return { shutdown, clients: all, events }
}

t.test('wait_for_clients: one after the other', async (t) => {
  const { shutdown, clients, events } = makeShutdown(t, { clients: 200 })
  const [first, second, last] = [clients[0]!, clients[1]!, clients.at(-1)!]
  second.isNew = true
  t.notOk(shutdown.begun)
  const finished = shutdown.begin('wait_for_clients')
  t.ok(shutdown.begun)
  await waitFor(() => first.asked.length > 0)
  t.same(second.asked, ['served first'], 'who has not logged in need not wait for its turn')
  t.same(last.asked, [])
  t.same(events, ['not accepting', 'no newcomers'])

  clients[3]!.busy = true
  await waitFor(() => clients[3]!.asked.length > 2, { what: 'a client that has had its turn to be asked again' })
  t.same(last.asked, [], 'in the order of their arrival')
  shutdown.begin('wait_for_servers')
  await waitFor(() => last.asked.length > 0, { what: 'all turns to come at once' })
  t.same(last.asked, ['at once'])
  clients[3]!.leave()
  await finished
  t.same(events.slice(2), ['stopped', 'closed'])
})

t.test('the turns are over before the time is', async (t) => {
  const { shutdown, clients } = makeShutdown(t, { clients: 300, timeoutMs: 300 })
  await shutdown.begin('wait_for_clients')
  t.same(
    clients.filter(({ asked }) => asked.length === 0).length,
    0,
    'each had its turn, though the longest ones would have taken 15 s',
  )
})

t.test('the deadline', async (t) => {
  const { shutdown, clients } = makeShutdown(t, { clients: 2, timeoutMs: 50 })
  clients[1]!.busy = true
  await shutdown.begin('wait_for_servers')
  t.equal(clients[0]!.ended, '')
  t.equal(clients[1]!.ended, 'admin_shutdown')
})

t.test('the delay', async (t) => {
  const { shutdown, events } = makeShutdown(t, { delayMs: 3_600_000 })
  const finished = shutdown.begin('wait_for_clients')
  t.ok(shutdown.begun, 'not ready')
  t.same(events, [], 'and still accepting')
  shutdown.begin('wait_for_clients')
  t.same(events, [], 'asking the same again changes nothing')
  shutdown.begin('wait_for_servers')
  await finished
  t.same(events, ['not accepting', 'no newcomers', 'stopped', 'closed'])
})

t.test('now, and no delay for those who do not wait for clients', async (t) => {
  for (const mode of ['now', 'wait_for_servers'] as const) {
    const { shutdown, clients } = makeShutdown(t, { clients: 3, delayMs: 3_600_000 })
    if (mode === 'now') for (const client of clients) client.busy = true
    await shutdown.begin(mode)
    t.same(
      clients.map(({ ended }) => ended),
      mode === 'now' ? Array(3).fill('admin_shutdown') : ['', '', ''],
      mode,
    )
  }
})

t.test('of several times the shortest counts', async (t) => {
  const { shutdown, clients } = makeShutdown(t, { clients: 1, timeoutMs: 3_600_000 })
  clients[0]!.busy = true
  const finished = shutdown.begin('wait_for_servers')
  shutdown.begin('wait_for_servers', { timeoutMs: 20 })
  shutdown.begin('wait_for_servers', { timeoutMs: 3_600_000 })
  await finished
  t.equal(clients[0]!.ended, 'admin_shutdown')
})
