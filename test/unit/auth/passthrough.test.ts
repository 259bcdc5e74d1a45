import t from 'tap'
import { PassthroughMemory } from '../../../lib/auth/passthrough.ts'

/** A memory whose clock the test moves. */
function memoryAt(start: number, ttlMs = 1000, maxUsers?: number) {
  const clock = { now: start }
  return { clock, memory: new PassthroughMemory({ ttlMs, now: () => clock.now, maxUsers }) }
}

t.test('a proven password is fresh until the ttl has passed, then stale', (t) => {
  const { clock, memory } = memoryAt(5000)
  t.equal(memory.check('k', 'pw'), 'unknown')
  memory.remember('k', 'pw')
  t.equal(memory.check('k', 'pw'), 'fresh')
  clock.now = 5999
  t.equal(memory.check('k', 'pw'), 'fresh')
  clock.now = 6000
  t.equal(memory.check('k', 'pw'), 'stale')
  t.equal(memory.passwordFor('k'), 'pw')
  memory.remember('k', 'pw')
  t.equal(memory.check('k', 'pw'), 'fresh')
  t.end()
})

t.test('another password is never judged by the memory, and a proven one replaces the old', (t) => {
  const { memory } = memoryAt(0)
  memory.remember('k', 'old')
  t.equal(memory.check('k', 'new'), 'different')
  t.equal(memory.check('k', ''), 'different')
  t.equal(memory.check('k', 'old'), 'fresh')
  memory.remember('k', 'new')
  t.equal(memory.check('k', 'new'), 'fresh')
  t.equal(memory.check('k', 'old'), 'different')
  t.equal(memory.passwordFor('k'), 'new')
  t.equal(memory.check('other', 'new'), 'unknown')
  t.end()
})

t.test('a refused password is forgotten', (t) => {
  const { memory } = memoryAt(0)
  memory.remember('k', 'pw')
  memory.forget('k')
  t.equal(memory.check('k', 'pw'), 'unknown')
  t.equal(memory.passwordFor('k'), undefined)
  t.equal(memory.asksPassword('k'), undefined)
  t.end()
})

t.test('whether a server asks for a password is known for the ttl', (t) => {
  const { clock, memory } = memoryAt(0)
  t.equal(memory.asksPassword('k'), undefined)
  memory.markNoPassword('k', '')
  t.equal(memory.asksPassword('k'), false)
  clock.now = 1000
  t.equal(memory.asksPassword('k'), undefined)
  memory.remember('k', 'pw')
  t.equal(memory.asksPassword('k'), true)
  clock.now = 2000
  t.equal(memory.asksPassword('k'), undefined)
  memory.markPassword('k')
  t.equal(memory.asksPassword('k'), true)
  t.equal(memory.size, 1, 'which says nothing of a password')
  memory.markNoPassword('k', '')
  t.equal(memory.asksPassword('k'), false)
  t.end()
})

t.test('what the server did last counts', (t) => {
  const { memory } = memoryAt(0)
  memory.remember('k', 'pw')
  memory.markNoPassword('k', '')
  t.equal(memory.asksPassword('k'), false)
  t.equal(memory.check('k', 'pw'), 'unknown')
  memory.remember('k', 'pw')
  t.equal(memory.asksPassword('k'), true)
  t.equal(memory.check('k', 'pw'), 'fresh')
  t.end()
})

t.test('a ttl of 0 makes every login prove itself', (t) => {
  const { memory } = memoryAt(0, 0)
  memory.remember('k', 'pw')
  t.equal(memory.check('k', 'pw'), 'stale')
  t.equal(memory.asksPassword('k'), undefined)
  t.end()
})

t.test('a clock that went back makes nothing fresh', (t) => {
  const { clock, memory } = memoryAt(5000)
  memory.remember('k', 'pw')
  clock.now = 4000
  t.equal(memory.check('k', 'pw'), 'stale')
  t.end()
})

t.test('the memory is bounded', (t) => {
  const { memory } = memoryAt(0, 1000, 3)
  for (let i = 0; i < 100; i++) {
    memory.remember(`k${i}`, 'pw')
    memory.markNoPassword(`open ${i}`, '')
  }
  t.equal(memory.size, 3)
  t.equal(memory.check('k99', 'pw'), 'fresh')
  t.equal(memory.check('k0', 'pw'), 'unknown')
  t.equal(memory.asksPassword('open 0'), undefined)
  t.equal(memory.asksPassword('open 99'), false)
  t.end()
})
