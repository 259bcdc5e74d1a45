/** How far standbys have come, told from positions in the log. */
import t from 'tap'
import { type Position, ReplicaPositions, readPosition } from '../../../lib/routing/replica-positions.ts'

const at = (standby: boolean, lsn: bigint | number, timeline = 1, system = 's'): Position => ({
  standby,
  lsn: BigInt(lsn),
  timeline,
  system,
})
const NEVER = Number.NEGATIVE_INFINITY

t.test('a standby has what was there when the primary was asked for a position that it has passed', async (t) => {
  const positions = new ReplicaPositions()
  positions.answered('b', at(true, 9000), 0)
  t.equal(positions.upTo('b'), NEVER, 'nobody knows yet where the primary is')
  positions.answered('a', at(false, 9000), 1)
  positions.answered('a', at(false, 9500), 2)
  positions.answered('a', at(false, 9900), 3)
  positions.answered('b', at(true, 8999), 4)
  t.equal(positions.upTo('b'), NEVER)
  positions.answered('b', at(true, 9000), 4)
  t.equal(positions.upTo('b'), 1)
  positions.answered('c', at(true, 9899), 4)
  t.equal(positions.upTo('c'), 2)
  positions.answered('c', at(true, 9900), 5)
  t.equal(positions.upTo('c'), 3, 'asked later, but it is the primary that tells the time')
  positions.answered('a', at(false, 9900), 6)
  positions.answered('c', at(true, 9900), 7)
  t.equal(positions.upTo('c'), 6)
})

t.test('the header of a page is no part of the log', async (t) => {
  for (const [primary, standby] of [
    [16_384 + 24, 16_384],
    [16_384 + 40, 16_384],
  ] as const) {
    const positions = new ReplicaPositions()
    positions.answered('a', at(false, primary), 1)
    positions.answered('b', at(true, standby), 2)
    t.equal(positions.upTo('b'), 1)
  }
})

t.test('what a standby has of another primary says nothing', async (t) => {
  const positions = new ReplicaPositions()
  positions.answered('a', at(false, 9000), 1)
  positions.answered('b', at(true, 9000), 2)
  positions.answered('c', at(true, 9500), 2)
  positions.answered('b', at(false, 9400, 2), 3)
  t.same([positions.upTo('b'), positions.upTo('c')], [NEVER, NEVER], 'b was promoted')
  positions.answered('c', at(true, 9500, 1), 4)
  t.equal(positions.upTo('c'), NEVER, 'c was further than b, and has what b never had')
  positions.answered('c', at(true, 9500, 2), 5)
  t.equal(positions.upTo('c'), 3)
  positions.answered('c', at(true, 9500, 2, 'another cluster'), 6)
  t.equal(positions.upTo('c'), NEVER)
})

t.test('two primaries, and one that becomes a standby', async (t) => {
  const positions = new ReplicaPositions()
  positions.answered('a', at(false, 9000), 1)
  positions.answered('b', at(false, 8000), 2)
  positions.answered('c', at(true, 8500), 3)
  t.equal(positions.upTo('c'), NEVER, 'nobody knows which')
  positions.answered('b', at(false, 8000, 2), 4)
  positions.answered('a', at(false, 9000, 1), 5)
  positions.answered('c', at(true, 8000, 2), 6)
  t.equal(positions.upTo('c'), 4, 'the old one, which somebody has forgotten to stop')
  positions.answered('a', at(false, 9000, 1), 60_000)
  positions.answered('c', at(true, 9000, 1), 60_001)
  t.equal(positions.upTo('c'), 60_000, 'it is the only one for long')
  positions.answered('a', at(true, 9000), 60_002)
  positions.answered('c', at(true, 9000), 60_003)
  t.equal(positions.upTo('c'), NEVER)
})

t.test('a standby that is back at an earlier point, and one that is lost', async (t) => {
  const positions = new ReplicaPositions()
  positions.answered('a', at(false, 9000), 1)
  positions.answered('a', at(false, 9900), 2)
  positions.answered('b', at(true, 9900), 3)
  t.equal(positions.upTo('b'), 2)
  positions.answered('b', at(true, 9500), 4)
  t.equal(positions.upTo('b'), 1)
  positions.answered('b', at(true, 8500), 5)
  t.equal(positions.upTo('b'), NEVER)
  positions.answered('b', at(true, 9900), 6)
  t.ok(positions.lost('b'))
  t.notOk(positions.lost('b'))
  t.equal(positions.upTo('b'), NEVER)
})

t.test('the marks are bounded, and tell long times less exactly', async (t) => {
  const positions = new ReplicaPositions()
  for (let i = 1; i <= 20_000; i++) positions.answered('a', at(false, 8192 * i + 100), i)
  for (const lag of [10, 200, 2000, 15_000]) {
    positions.answered('b', at(true, 8192 * (20_000 - lag) + 100), 20_001)
    const upTo = positions.upTo('b')
    t.ok(upTo <= 20_000 - lag && upTo >= 20_000 - lag - lag, `${lag}: ${upTo}`)
  }
})

t.test('the answer of PostgreSQL', async (t) => {
  t.same(readPosition([['f', '1/8F', '3', '77']]), at(false, 2n ** 32n + 0x8fn, 3, '77'))
  t.same(readPosition([['t', 'FFFFFFFF/0', '1', '77']]), at(true, 0xffffffffn << 32n, 1, '77'))
  for (const row of [[], ['t', null, '1', '7'], ['t', '0/0', null, '7'], ['t', '0/0', '1', null], ['t', 'x', '1', '7']])
    t.equal(readPosition([row]), undefined)
  t.equal(readPosition([]), undefined)
})
