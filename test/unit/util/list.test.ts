/** The list keeps its members' links right whatever is done to it, and refuses what would break them. */
import t, { type Test } from 'tap'
import { List, type ListNode } from '../../../lib/util/list.ts'

class Node implements ListNode<Node> {
  list: { readonly name: string } | null = null
  prev: Node | null = null
  next: Node | null = null
  readonly id: number
  constructor(id: number) {
    this.id = id
  }
}

/** Forwards and backwards, and every link looked at. */
function ids(t: Test, list: List<Node>): number[] {
  const forwards = [...list].map((node) => node.id)
  const backwards: number[] = []
  for (let node = list.last; node; node = node.prev) backwards.unshift(node.id)
  t.strictSame(backwards, forwards)
  t.equal(list.size, forwards.length)
  t.equal(list.first?.prev ?? null, null)
  t.equal(list.last?.next ?? null, null)
  return forwards
}

t.test('push, shift and remove anywhere', async (t) => {
  const list = new List<Node>('test')
  const [a, b, c, d] = [1, 2, 3, 4].map((id) => new Node(id)) as [Node, Node, Node, Node]
  t.equal(list.shift(), null)
  for (const node of [a, b, c, d]) list.push(node)
  t.strictSame(ids(t, list), [1, 2, 3, 4])
  list.remove(b)
  t.strictSame(ids(t, list), [1, 3, 4])
  list.remove(d)
  t.strictSame(ids(t, list), [1, 3])
  t.equal(list.shift(), a)
  t.equal(list.shift(), c)
  t.strictSame(ids(t, list), [])
  t.strictSame([a.list, a.prev, a.next], [null, null, null])
})

t.test('a node is on one list at most', async (t) => {
  const [one, other] = [new List<Node>('one'), new List<Node>('other')]
  const node = new Node(1)
  one.push(node)
  t.throws(() => other.push(node), /already a member of list one/)
  t.throws(() => one.push(node), /already a member of list one/)
  t.throws(() => other.remove(node), /not a member of list other/)
  t.strictSame(ids(t, one), [1], 'what failed changed nothing')
  t.equal(other.size, 0)
  one.remove(node)
  t.throws(() => one.remove(node), /not a member/)
  other.push(node)
  t.equal(node.list, other)
})

t.test('the current member may be removed while the list is walked', async (t) => {
  const list = new List<Node>('test')
  for (let id = 1; id <= 6; id++) list.push(new Node(id))
  const seen: number[] = []
  for (const node of list) {
    seen.push(node.id)
    if (node.id % 2) list.remove(node)
  }
  t.strictSame(seen, [1, 2, 3, 4, 5, 6])
  t.strictSame(ids(t, list), [2, 4, 6])
})

t.test('thousands of random moves between two lists', async (t) => {
  const lists = [new List<Node>('a'), new List<Node>('b')] as const
  const model: [number[], number[]] = [[], []]
  const nodes = Array.from({ length: 20 }, (_, id) => new Node(id))
  let seed = 5
  const random = (below: number): number => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff
    return (seed >> 8) % below
  }
  for (let round = 0; round < 5000; round++) {
    const node = nodes[random(nodes.length)]!
    for (const i of [0, 1] as const) {
      if (node.list !== lists[i]) continue
      lists[i].remove(node)
      model[i].splice(model[i].indexOf(node.id), 1)
    }
    const to = random(2) as 0 | 1
    lists[to].push(node)
    model[to].push(node.id)
  }
  t.strictSame(ids(t, lists[0]), model[0])
  t.strictSame(ids(t, lists[1]), model[1])
})
