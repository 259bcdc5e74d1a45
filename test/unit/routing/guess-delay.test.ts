/** Who is held back after wrong passwords, and who is not. */
import t from 'tap'
import { GuessDelay, guessPair } from '../../../lib/routing/guess-delay.ts'

// The timers do not keep a process alive that has nothing else to do.
const alive = setInterval(() => {}, 1000)
t.teardown(() => clearInterval(alive))

const ANN = guessPair('192.0.2.1', 'ann')
const never = (): AbortSignal => new AbortController().signal

function failures(delay: GuessDelay, pair: string, count: number): void {
  for (let i = 0; i < count; i++) delay.failed(pair)
}

t.test('a few are free; then one at a time, of this user from this place', async (t) => {
  const delay = new GuessDelay(() => 20)
  failures(delay, ANN, 2)
  t.type(delay.turn(ANN, never), 'function')
  failures(delay, ANN, 1)
  const order: number[] = []
  const turns = [1, 2, 3].map(async (number) => {
    await delay.turn(ANN, never)
    order.push(number)
  })
  t.type(delay.turn(guessPair('192.0.2.1', 'bob'), never), 'function')
  t.type(delay.turn(guessPair('192.0.2.2', 'ann'), never), 'function')
  await turns[0]
  t.same(order, [1])
  await Promise.all(turns)
  t.same(order, [1, 2, 3])
  await delay.turn(ANN, never)
  t.ok(delay.turn(ANN, never) instanceof Promise, 'whose turn it was has used it up')
})

t.test('a thousand who leave leave nothing behind', async (t) => {
  const delay = new GuessDelay(() => 2000)
  failures(delay, ANN, 1000)
  const leaving = new AbortController()
  const gone = Array.from({ length: 1000 }, async () => {
    return Promise.resolve(delay.turn(ANN, () => leaving.signal)).catch(() => 'gone')
  })
  const stays = delay.turn(ANN, never)
  leaving.abort()
  t.ok((await Promise.all(gone)).every((result) => result === 'gone'))
  await stays
  await t.rejects(Promise.resolve(delay.turn(ANN, () => leaving.signal)))
})

t.test('a place from which the user has logged in is welcome, whatever is tried there', async (t) => {
  const delay = new GuessDelay(() => 60_000)
  t.notOk(delay.isWelcome(ANN))
  delay.succeeded(ANN)
  failures(delay, ANN, 100)
  t.ok(delay.isWelcome(ANN))
  t.notOk(delay.isWelcome(guessPair('192.0.2.2', 'ann')))
})

t.test('0 is no delay', async (t) => {
  const delay = new GuessDelay(() => 0)
  failures(delay, ANN, 100)
  t.type(delay.turn(ANN, never), 'function')
})

t.test('of those that come at once no more are looked at than may be wrong for nothing', async (t) => {
  const delay = new GuessDelay(() => 60_000)
  const turns = Array.from({ length: 10 }, () => Promise.resolve(delay.turn(ANN, never)))
  let going = 0
  for (const turn of turns) void turn.then(() => going++)
  await Promise.resolve()
  await Promise.resolve()
  t.equal(going, 3)
  for (const over of await Promise.all(turns.slice(0, 2))) over()
  await Promise.all(turns.slice(3, 5))
  t.equal(going, 5, 'whoever was right lets the next go, without a pause')
  failures(delay, ANN, 3)
  for (const over of await Promise.all(turns.slice(2, 5))) over()
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.equal(going, 5)
  const others = delay.turn(guessPair('192.0.2.2', 'ann'), never)
  t.type(others, 'function')
})
