import t from 'tap'
import { Queue } from '../../../lib/util/queue.ts'

t.test('first in, first out', async (t) => {
  const queue = new Queue<number | undefined>()
  t.equal(queue.shift(), undefined)
  t.equal(queue.last, undefined)
  let next = 0
  let taken = 0
  for (let round = 0; round < 500; round++) {
    for (let i = 0; i < round % 7; i++) queue.push(next++)
    for (let i = 0; i < round % 5 && queue.size > 0; i++) t.equal(queue.shift(), taken++)
    t.equal(queue.size, next - taken)
    t.equal(queue.last, queue.size === 0 ? undefined : next - 1)
    t.strictSame(
      [...queue],
      Array.from({ length: queue.size }, (_, i) => taken + i),
    )
  }
  queue.push(undefined)
  t.equal(queue.last, undefined)
  while (queue.size > 1) t.equal(queue.shift(), taken++)
  t.equal(queue.shift(), undefined)
  t.equal(queue.size, 0)
})
