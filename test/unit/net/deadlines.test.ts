/** Deadlines on one timer. */
import t from 'tap'
import { type Deadline, Deadlines } from '../../../lib/net/deadlines.ts'

const deadlines = new Deadlines()

class Member implements Deadline {
  list: { readonly name: string } | null = null
  prev: Deadline | null = null
  next: Deadline | null = null
  readonly deadline: number
  readonly passed: Promise<number>
  #pass: (at: number) => void = () => {}

  constructor(milliseconds: number) {
    this.deadline = performance.now() + milliseconds
    this.passed = new Promise((resolve) => {
      this.#pass = resolve
    })
    deadlines.add(this)
  }

  onDeadline(): void {
    this.#pass(performance.now())
  }

  onShutdown(): void {
    this.#pass(-1)
  }
}

// The timer itself keeps no process alive.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

t.test('each in its time, whatever the order in which they came', async (t) => {
  const members = [new Member(3_600_000), new Member(40), new Member(Number.POSITIVE_INFINITY), new Member(20)]
  for (const i of [3, 1]) {
    const at = await members[i]!.passed
    t.ok(at >= members[i]!.deadline, 'not before its time')
    t.equal(members[i]!.list, null)
  }
  t.ok(members[0]!.list, 'the first has more time, and waits on')
  deadlines.remove(members[0]!)
  t.ok(members[2]!.list, 'without a limit, it waits on')
  deadlines.remove(members[2]!)
  t.equal(members[2]!.list, null)
})

t.test('one that was removed hears nothing; one that comes after a quiet time does', async (t) => {
  const gone = new Member(10)
  let heard = false
  void gone.passed.then(() => {
    heard = true
  })
  deadlines.remove(gone)
  deadlines.remove(gone)
  await new Member(20).passed
  t.notOk(heard)
  await new Member(0).passed
})

t.test('one can see to others while they pass', async (t) => {
  const first = new Member(10)
  const second = new Member(10)
  const third = new Member(10)
  let heard = false
  second.onDeadline = () => {
    heard = true
  }
  first.onDeadline = () => {
    deadlines.remove(second)
    deadlines.add(first)
  }
  await third.passed
  t.notOk(heard)
  t.ok(first.list)
  deadlines.remove(first)
})

t.test('all end when pgbun shuts down', async (t) => {
  const members = [new Member(10_000), new Member(Number.POSITIVE_INFINITY), new Member(20_000)]
  deadlines.shutDown()
  t.strictSame(await Promise.all(members.map(({ passed }) => passed)), [-1, -1, -1])
  t.ok(members.every(({ list }) => list === null))
  await new Member(0).passed
})
