import t from 'tap'
import { cycleTimes, parseTransactionLogs } from '../../bench/transaction-log.ts'

t.test('lines of several threads, in the order of their ends', async (t) => {
  const first = '0 1 812 0 1700000000 500250\n0 2 790 0 1700000001 000001\n'
  const second = '1 1 1500 0 1700000000 750000\n'
  t.same(parseTransactionLogs([first, second]), [
    { client: 0, at: 1700000000500.25, latency: 812 },
    { client: 1, at: 1700000000750, latency: 1500 },
    { client: 0, at: 1700000001000.001, latency: 790 },
  ])
})

t.test('failed, skipped and torn lines are no transactions', async (t) => {
  const text = '0 1 failed 0 1700000000 1\n0 2 skipped 0 1700000000 2\n0 3 77 0 1700000000 3\n0 4 8'
  t.same(
    parseTransactionLogs([text]).map(({ latency }) => latency),
    [77],
  )
  t.same(parseTransactionLogs(['', '\n']), [])
})

t.test('a column behind the known ones (--max-tries, --rate) does no harm', async (t) => {
  t.same(parseTransactionLogs(['3 9 1200 1 1700000000 0 17 2\n']), [{ client: 3, at: 1700000000000, latency: 1200 }])
})

t.test('cycles go from end to end of the same client', async (t) => {
  const cycles = cycleTimes([
    { client: 0, at: 1000, latency: 1 },
    { client: 1, at: 1004, latency: 1 },
    { client: 0, at: 1010, latency: 1 },
    { client: 1, at: 1005.5, latency: 1 },
  ])
  t.same(cycles, [
    { client: 0, at: 1010, latency: 10_000 },
    { client: 1, at: 1005.5, latency: 1500 },
  ])
})
