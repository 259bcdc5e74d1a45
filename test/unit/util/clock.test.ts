/** The clock does not run backwards, and what it calls can be called off. */
import t from 'tap'
import { after, delay, every, now } from '../../../lib/util/clock.ts'

t.test('now() is monotonic', async (t) => {
  let last = now()
  for (let i = 0; i < 1000; i++) {
    const next = now()
    if (next < last) t.fail('backwards')
    last = next
  }
})

t.test('delay, after and every', async (t) => {
  const began = now()
  await delay(10, { ref: true })
  t.ok(now() - began > 5)
  await new Promise<void>((resolve) => after(1, resolve))
  let ticks = 0
  await new Promise<void>((resolve) => {
    const keepAlive = setInterval(() => {}, 1000)
    const stop = every(1, () => {
      if (++ticks < 3) return
      stop()
      clearInterval(keepAlive)
      resolve()
    })
  })
  t.equal(ticks, 3)
})

t.test('what is called off does not happen', async (t) => {
  let called = 0
  const cancels = [after(1, () => called++), every(1, () => called++)]
  for (const cancel of cancels) cancel()
  await delay(20, { ref: true })
  t.equal(called, 0)
})
