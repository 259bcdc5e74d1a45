import t from 'tap'
import { growthOf, renderCurve, type Sample } from '../../bench/soak/growth.ts'

const curve = (bytes: (at: number) => number): Sample[] =>
  Array.from({ length: 400 }, (_, at) => ({ at, bytes: bytes(at) }))

t.test('a steady curve does not grow, however it began', async (t) => {
  const { share, perHour } = growthOf(curve((at) => (at < 90 ? 50e6 + at * 1e6 : 140e6 + (at % 7) * 1000)))
  t.ok(Math.abs(share) < 0.001)
  t.ok(Math.abs(perHour) < 0.2e6)
})

t.test('a leak', async (t) => {
  const { share, perHour, early, late } = growthOf(curve((at) => 100e6 + at * 10_000))
  t.ok(Math.abs(perHour - 36e6) < 1)
  t.ok(late > early && Math.abs(share - (late - early) / early) < 1e-12)
})

t.test('too short to tell', async (t) => {
  t.throws(() => growthOf(curve(() => 1).slice(0, 7)), { message: /^7 samples are too few/ })
})

t.test('the curve', async (t) => {
  const lines = renderCurve(
    curve((at) => (at < 200 ? 50e6 : 100e6)),
    2,
  ).split('\n')
  t.match(lines, [/^ +0\.0 min +50 MB {2}#{25}$/, /^ +3\.3 min +100 MB {2}#{50}$/, ''])
})
