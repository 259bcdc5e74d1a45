/** A few at a time, each group in turn, and nobody stays in the queue who has left. */
import t from 'tap'
import { FairGate } from '../../../lib/util/fair-gate.ts'
import { SharedWork } from '../../../lib/util/shared-work.ts'

/** Lets all that has been promised happen. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function labOf(limit: number, share?: (limit: number) => number) {
  const lab = { limit, inside: [] as { name: string; leave: () => void }[], refused: [] as string[] }
  const gate = new FairGate(() => lab.limit, share)
  const enter = (name: string, signal?: AbortSignal): void => {
    gate.enter(name[0]!, signal).then(
      (leave) => void lab.inside.push({ name, leave }),
      () => void lab.refused.push(name),
    )
  }
  const leave = async (name: string): Promise<void> => {
    const [who] = lab.inside.splice(
      lab.inside.findIndex((one) => one.name === name),
      1,
    )
    who!.leave()
    await settle()
  }
  return { lab, gate, enter, leave, names: () => lab.inside.map(({ name }) => name).join(' ') }
}

t.test('groups take turns', async (t) => {
  const { gate, enter, leave, names } = labOf(1)
  for (const name of ['a1', 'a2', 'a3', 'b1', 'c1', 'b2']) enter(name)
  await settle()
  const order: string[] = []
  while (gate.inside > 0) {
    order.push(names())
    await leave(names())
  }
  t.same(order, ['a1', 'b1', 'c1', 'a2', 'b2', 'a3'])
  t.equal(gate.waiting, 0)
})

t.test('a group has its share', async (t) => {
  const { lab, enter, leave, names } = labOf(4, (limit) => limit / 2)
  for (const name of ['a1', 'a2', 'a3', 'a4']) enter(name)
  await settle()
  t.equal(names(), 'a1 a2')
  for (const name of ['b1', 'c1', 'c2']) enter(name)
  await settle()
  t.equal(names(), 'a1 a2 b1 c1')
  await leave('b1')
  t.equal(names(), 'a1 a2 c1 c2')
  lab.limit = 8
  await leave('c2')
  t.equal(names(), 'a1 a2 c1 a3 a4', 'and all of it after the limit was raised')
})

t.test('who leaves the queue is not let in', async (t) => {
  const { lab, gate, enter, leave, names } = labOf(1)
  const [early, late] = [new AbortController(), new AbortController()]
  enter('a1', late.signal)
  for (let i = 0; i < 1000; i++) enter(`b${i}`, early.signal)
  enter('c1')
  early.abort()
  enter('d1', early.signal)
  await settle()
  t.equal(lab.refused.length, 1001)
  t.equal(gate.waiting, 1)
  late.abort()
  t.equal(gate.inside, 1, 'who is in stays in')
  await leave('a1')
  t.equal(names(), 'c1')
})

t.test('shared work goes on until the last has left', async (t) => {
  const work = new SharedWork<string>()
  const begun: AbortSignal[] = []
  const ask = (controller?: AbortController): Promise<string> => {
    return work.join('k', controller?.signal, (signal) => {
      begun.push(signal)
      const number = begun.length
      return new Promise((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason))
        setImmediate(() => setImmediate(() => resolve(`result ${number}`)))
      })
    })
  }
  const [a, b, c] = [new AbortController(), new AbortController(), new AbortController()]
  const first = [ask(a), ask(b)]
  a.abort()
  t.equal(begun.length, 1)
  t.notOk(begun[0]!.aborted)
  b.abort()
  t.ok(begun[0]!.aborted)
  t.equal(work.size, 0)
  const again = ask(c)
  t.equal(begun.length, 2, 'whoever comes then begins anew')
  for (const promise of first) await t.rejects(promise)
  t.equal(work.size, 1)
  t.equal(await again, 'result 2')
  t.equal(work.size, 0)
  c.abort()
  const gone = new AbortController()
  gone.abort(new Error('gone'))
  await t.rejects(ask(gone), /gone/)
})
