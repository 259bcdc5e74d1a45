/** Deadlines on one timer. */
import t from 'tap'
import { addDeadline, type Deadline, removeDeadline } from '../../../lib/net/deadlines.ts'

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
    addDeadline(this)
  }

  onDeadline(): void {
    this.#pass(performance.now())
  }
}

// The timer itself keeps no process alive.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

t.test('each in its time, whatever the order in which they came', async (t) => {
  const members = [new Member(60), new Member(20), new Member(Number.POSITIVE_INFINITY), new Member(40)]
  const order: number[] = []
  for (const i of [0, 1, 3]) void members[i]!.passed.then(() => order.push(i))
  for (const i of [0, 1, 3]) {
    const at = await members[i]!.passed
    t.ok(at >= members[i]!.deadline, 'not before its time')
  }
  t.strictSame(order, [1, 3, 0])
  t.ok(members[2]!.list, 'without a limit, it waits on')
  removeDeadline(members[2]!)
  t.equal(members[2]!.list, null)
})

t.test('one that was removed hears nothing; one that comes after a quiet time does', async (t) => {
  const gone = new Member(10)
  let heard = false
  void gone.passed.then(() => {
    heard = true
  })
  removeDeadline(gone)
  removeDeadline(gone)
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
    removeDeadline(second)
    addDeadline(first)
  }
  await third.passed
  t.notOk(heard)
  t.ok(first.list)
  removeDeadline(first)
})
