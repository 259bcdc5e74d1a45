/** Random bytes drawn in bulk are never given out twice. */
import t from 'tap'
import { RandomPool } from '../../../lib/util/random-pool.ts'

t.test('all different, of the length asked for, and the taker’s own', async (t) => {
  const pool = new RandomPool()
  const first = pool.take(16)
  const copy = Buffer.from(first)
  const seen = new Set([first.toString('hex')])
  // Across several refills.
  for (let i = 0; i < 1000; i++) {
    const taken = pool.take(16)
    t.equal(taken.length, 16)
    seen.add(taken.toString('hex'))
  }
  t.equal(seen.size, 1001)
  t.strictSame(first, copy)
  t.notOk(seen.has('0'.repeat(32)))
})

t.test('more than is drawn at a time is refused', async (t) => {
  const pool = new RandomPool()
  t.equal(pool.take(4096).length, 4096)
  t.throws(() => pool.take(4097), RangeError)
})
