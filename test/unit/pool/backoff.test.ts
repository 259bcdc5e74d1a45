/** The pause after failures grows, is bounded, and is not the same for everybody. */
import t from 'tap'
import { Backoff } from '../../../lib/pool/backoff.ts'

t.test('nothing failed: no pause', async (t) => {
  const backoff = new Backoff()
  t.notOk(backoff.active(0))
  t.equal(backoff.left(0), 0)
})

t.test('the pause doubles up to the limit', async (t) => {
  const backoff = new Backoff()
  for (let failure = 0; failure < 100; failure++) {
    const full = Math.min(15_000, 100 * 2 ** failure)
    backoff.failed(1000, 15_000)
    const left = backoff.left(1000)
    if (left < full / 2 || left > full) t.fail(`failure ${failure}: ${left} ms`)
    t.ok(backoff.active(1000))
    t.notOk(backoff.active(1000 + full))
  }
})

t.test('a success ends it, and the next failure begins anew', async (t) => {
  const backoff = new Backoff()
  for (let i = 0; i < 10; i++) backoff.failed(0, 15_000)
  backoff.succeeded()
  t.notOk(backoff.active(0))
  backoff.failed(0, 15_000)
  t.ok(backoff.left(0) <= 100)
})

t.test('a limit of 0 is no pause', async (t) => {
  const backoff = new Backoff()
  backoff.failed(5, 0)
  t.notOk(backoff.active(5))
})

t.test('poolers that failed together do not return together', async (t) => {
  const pauses = Array.from({ length: 20 }, () => {
    const backoff = new Backoff()
    backoff.failed(0, 15_000)
    return backoff.left(0)
  })
  t.ok(new Set(pauses).size > 1)
})
