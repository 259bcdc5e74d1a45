import t from 'tap'
import { returnMemory } from '../../../lib/util/return-memory.ts'

const MEGABYTES = 2 ** 20

t.test('garbage is collected, as often as it is asked for', async (t) => {
  for (let i = 0; i < 2; i++) {
    returnMemory()
    const before = process.memoryUsage().heapUsed
    const size = makeGarbage() * MEGABYTES
    returnMemory()
    t.ok(process.memoryUsage().heapUsed - before < size / 2)
  }
  t.equal((globalThis as { gc?: unknown }).gc, undefined, 'the global object is left alone')
})

/** Leaves an array that is old enough not to be collected in passing; returns its size in megabytes. */
function makeGarbage(): number {
  return new Array(4 * MEGABYTES).fill(0.5).length / MEGABYTES
}
