/** Which host is next. */
import t from 'tap'
import type { Target } from '../../../lib/pool/target.ts'
import { HostBook } from '../../../lib/routing/host-book.ts'

const hosts = ['a', 'b', 'c'].map((host) => ({ host, port: 5432 }))

function target(balance: Target['balance'], weights: number[] = []): Target {
  return { hosts, balance, weights, priorities: [], attrs: 'any', place: 'here' } as unknown as Target
}

/** Where `count` connections lead, from `at` (ms) on, one each millisecond. */
function take(book: HostBook, where: Target, connections: Map<string, number>, count: number, at = 0): string {
  let taken = ''
  for (let i = 0; i < count; i++) {
    const [next] = book.fitting(where, at + i)
    book.took(where, next!, at + i)
    connections.set(next!.key, (connections.get(next!.key) ?? 0) + 1)
    taken += next!.address.host
  }
  return taken
}

function make(): { book: HostBook; connections: Map<string, number> } {
  const connections = new Map<string, number>()
  return { book: new HostBook((key) => connections.get(key) ?? 0), connections }
}

/** How often each letter is there. */
function counts(text: string): Record<string, number> {
  const found: Record<string, number> = {}
  for (const letter of text) found[letter] = (found[letter] ?? 0) + 1
  return found
}

t.test('in turn, by weight, by connections, in order', async (t) => {
  const cases: [Target, string][] = [
    [target('round-robin'), 'abcabcabc'],
    [target('disable'), 'aaa'],
    [target('least-connections'), 'abcabc'],
  ]
  for (const [where, expected] of cases) {
    const { book, connections } = make()
    t.equal(take(book, where, connections, expected.length), expected)
  }
  for (const balance of ['round-robin', 'least-connections'] as const) {
    const { book, connections } = make()
    t.same(counts(take(book, target(balance, [3, 1, 1]), connections, 50)), { a: 30, b: 10, c: 10 }, balance)
  }
})

t.test('a host that is back gets its share little by little, and makes up for nothing', async (t) => {
  for (const balance of ['round-robin', 'least-connections'] as const) {
    const { book, connections } = make()
    const where = target(balance)
    const b = book.of(hosts[1]!)
    b.failed(0, 'gone', 1000)
    t.same(counts(take(book, where, connections, 100)), { a: 50, c: 50 })
    b.probed(1000, 1)
    const back = counts(take(book, where, connections, 100, 1000))
    t.ok(back.b! >= 1 && back.b! <= 20, `${balance}: ${JSON.stringify(back)}`)
    connections.clear()
    const later = counts(take(book, where, connections, 90, 1_000_000)).b!
    t.ok(later >= 20 && later <= 30, `${balance}: ${later}`)
  }
})

t.test('those that do not answer come last, and first the one that failed longest ago', async (t) => {
  const { book } = make()
  for (const [i, host] of hosts.entries()) book.of(host).failed(3 - i, 'gone', 1000)
  t.same(book.candidates(target('round-robin'), 10), [hosts[2]])
})
