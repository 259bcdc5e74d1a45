/** Statistics of statements: sums, percentiles within their error, the bound on how many are kept, several processes. */
import t from 'tap'
import type { Call } from '../../../lib/pool/query-record.ts'
import { QueryStats } from '../../../lib/pool/query-stats.ts'
import { fingerprintOf } from '../../../lib/sql/fingerprint.ts'

const of = (text: string) => fingerprintOf(Buffer.from(text))
const keeping = (queryStatsMax: number): QueryStats => new QueryStats({ queryStatsMax, logParameters: false })
const CALL: Call = { duration: 1, wait: 0, rows: 1, bytes: 10, failed: false, shared: false }

t.test('sums of one statement', async (t) => {
  const stats = keeping(10)
  const tally = stats.join('app', 'ann')
  tally.add(of('select 1'), { duration: 2, wait: 5, rows: 3, bytes: 40, failed: false, shared: true })
  tally.add(of('select 2'), { duration: 4, wait: 1, rows: 0, bytes: 60, failed: true, shared: true })
  stats.join('app', 'bob').add(of('select 1'), CALL)
  const [ann, bob] = stats.snapshot()
  t.match(ann, {
    ...{ text: 'select $1', database: 'app', user: 'ann', calls: 2, errors: 1, rows: 3, bytes: 100 },
    ...{ total: 6, max: 4, wait: 6, maxWait: 5, shared: 2 },
  })
  t.match(bob, { text: 'select $1', user: 'bob', calls: 1, shared: 0 })
  t.ok(ann!.firstSeen <= ann!.lastSeen && Math.abs(ann!.lastSeen - Date.now()) < 60_000)
  t.same(JSON.parse(JSON.stringify(ann)), ann, 'plain data')
})

t.test('percentiles are right within five percent', async (t) => {
  for (const scale of [0.02, 1, 37, 10_000]) {
    const stats = keeping(1)
    const tally = stats.join('app', 'ann')
    const durations = Array.from({ length: 1000 }, (_, i) => scale * (1 + i / 10))
    for (const duration of durations) tally.add(of('select 1'), { ...CALL, duration })
    const [row] = stats.snapshot()
    for (const [name, share] of [
      ['p50', 0.5],
      ['p95', 0.95],
      ['p99', 0.99],
    ] as const) {
      const exact = durations[Math.ceil(share * 1000) - 1]!
      t.ok(Math.abs(row![name] - exact) / exact < 0.05, `${name} of ${scale}: ${row![name]} for ${exact}`)
    }
  }
  const stats = keeping(1)
  const tally = stats.join('app', 'ann')
  for (const duration of [0, 1e9]) tally.add(of('select 1'), { ...CALL, duration })
  const [row] = stats.snapshot()
  t.ok(row!.p50 <= 0.01)
  t.ok(row!.p99 > 3_600_000, 'more than an hour')
})

t.test('at most so many are kept, and those that are used stay', async (t) => {
  const stats = keeping(100)
  const keepAtMost = (queryStatsMax: number): void => stats.configure({ queryStatsMax, logParameters: false })
  const tally = stats.join('app', 'ann')
  const names = (): Set<string> => new Set(stats.snapshot().map(({ text }) => text))
  for (let i = 0; i < 5000; i++) {
    tally.add(of(`select a${i % 20} from used`), CALL)
    tally.add(of(`select b${i} from once`), CALL)
  }
  t.equal(stats.snapshot().length, 100)
  for (let i = 0; i < 20; i++) t.ok(names().has(`select a${i} from used`))
  t.match(
    stats.snapshot().find(({ text }) => text === 'select a0 from used'),
    { calls: 250 },
  )

  keepAtMost(10)
  t.equal(stats.snapshot().length, 10)
  tally.add(of('select new'), CALL)
  t.equal(stats.snapshot().length, 10)
  keepAtMost(0)
  tally.add(of('select newer'), CALL)
  t.same(stats.snapshot(), [])
  keepAtMost(10)
  tally.add(of('select newest'), CALL)
  t.match(
    stats.snapshot(),
    [{ calls: 1, p50: CALL.duration, max: CALL.duration }],
    'memory that is used again begins with nothing',
  )
  stats.reset()
  t.same(stats.snapshot(), [])
  tally.add(of('select newest'), CALL)
  t.match(stats.snapshot(), [{ calls: 1 }])
})

t.test('a user who has left is forgotten with its statements', async (t) => {
  const stats = keeping(2)
  for (let i = 0; i < 100; i++) {
    const tally = stats.join('app', `user ${i}`)
    tally.add(of('select 1'), CALL)
    stats.leave(tally)
  }
  t.equal(stats.snapshot().length, 2)
  const again = stats.join('app', stats.snapshot()[0]!.user)
  again.add(of('select 1'), CALL)
  t.match(stats.snapshot()[0], { calls: 2 }, 'whoever comes back goes on')
})
