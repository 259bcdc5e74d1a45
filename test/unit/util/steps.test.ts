/** Work in steps: the same result at once and in turns, and others have theirs in between. */
import t from 'tap'
import { atOnce, inTurns, type Steps } from '../../../lib/util/steps.ts'

function* busy(ms: number, steps: number): Steps<number> {
  for (let i = 0; i < steps; i++) {
    for (const until = performance.now() + ms; performance.now() < until; ) {}
    yield
  }
  return steps
}

// biome-ignore lint/correctness/useYield: it ends before its first step
function* failing(): Steps<void> {
  throw new Error('no')
}

t.test('at once', async (t) => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  t.equal(atOnce(busy(1, 20)), 20)
  clearInterval(timer)
  t.equal(turns, 0)
  t.throws(() => atOnce(failing()), { message: 'no' })
})

t.test('in turns', async (t) => {
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  t.equal(await inTurns(busy(1, 20)), 20)
  clearInterval(timer)
  t.ok(turns > 0)
  await t.rejects(inTurns(failing()), { message: 'no' })
})
