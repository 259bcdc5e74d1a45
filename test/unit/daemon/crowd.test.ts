import t from 'tap'
import { Crowd } from '../../../lib/daemon/crowd.ts'

t.test('a crowd has left once it is small and nobody leaves any more', async (t) => {
  const crowd = new Crowd()
  t.equal(crowd.hasLeft(4000, 0), false, 'it is there')
  t.equal(crowd.hasLeft(1001, 1), false, 'leaving')
  t.equal(crowd.hasLeft(1001, 2), false, 'more than a quarter stays')
  t.equal(crowd.hasLeft(900, 3), false, 'leaving')
  t.equal(crowd.hasLeft(900, 4), true, 'it has left')
  t.equal(crowd.hasLeft(900, 5), false, 'said once')
})

t.test('a few clients are no crowd', async (t) => {
  const crowd = new Crowd()
  crowd.hasLeft(999, 0)
  crowd.hasLeft(0, 1)
  t.equal(crowd.hasLeft(0, 2), false)
})

t.test('a crowd that comes and goes is told of once a minute', async (t) => {
  const crowd = new Crowd()
  const comeAndGo = (at: number): boolean => {
    crowd.hasLeft(2000, at)
    crowd.hasLeft(0, at)
    return crowd.hasLeft(0, at)
  }
  t.equal(comeAndGo(1000), true)
  t.equal(comeAndGo(60_999), false)
  t.equal(crowd.hasLeft(0, 61_000), true, 'the one that was not told of')
  t.equal(comeAndGo(121_000), true)
})
