import t from 'tap'
import { median, pairedRatio, quantile, spread } from '../../bench/statistics.ts'

t.test('median', async (t) => {
  t.equal(median([3, 1, 2]), 2)
  t.equal(median([4, 1, 2, 3]), 2.5)
  t.equal(median([10, 9]), 9.5)
  t.ok(Number.isNaN(median([])))
  const values = [2, 1]
  median(values)
  t.same(values, [2, 1], 'leaves its argument as it is')
})

t.test('quantile takes the nearest rank', async (t) => {
  const hundred = Array.from({ length: 100 }, (_, i) => i + 1)
  t.equal(quantile(hundred, 0.5), 50)
  t.equal(quantile(hundred, 0.99), 99)
  t.equal(quantile(hundred, 1), 100)
  t.equal(quantile(hundred, 0), 1)
  t.equal(quantile([7], 0.99), 7)
  t.equal(quantile([1, 2, 3], 0.99), 3)
  t.ok(Number.isNaN(quantile([], 0.5)))
})

t.test('spread is half the range as a share of the median', async (t) => {
  t.equal(spread([90, 100, 110]), 0.1)
  t.equal(spread([100]), 0)
  t.equal(spread([]), 0)
})

t.test('ratios are taken between neighbouring runs', async (t) => {
  // The machine was half as fast in the second round: the ratio does not notice.
  t.same(pairedRatio([200, 100, 220], [100, 50, 100]), { value: 2, low: 2, high: 2.2 })
  t.same(pairedRatio([10, 20, 30], [10, 10]), { value: 1.5, low: 1, high: 2 }, 'runs without a partner do not count')
  t.equal(pairedRatio([1], []), undefined)
  t.equal(pairedRatio([Number.NaN], [1]), undefined)
  t.equal(pairedRatio([1], [0]), undefined)
})
