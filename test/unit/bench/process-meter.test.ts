import t from 'tap'
import { parseProcStat, parsePsTimes, readResident, readUsage } from '../../bench/process-meter.ts'

t.test('/proc/<pid>/stat', async (t) => {
  const fields = 'S 1 1 1 0 -1 4194560 100 0 0 0 250 125 9 9 20 0 11 0 100 0 0'
  t.same(parseProcStat(`4242 (node) ${fields}`, 100), { user: 2_500_000, system: 1_250_000 })
  t.same(parseProcStat(`4242 (a (strange) name) ${fields}`, 250), { user: 1_000_000, system: 500_000 })
})

t.test('times of ps', async (t) => {
  t.same(parsePsTimes('  0:01.50   0:02.00\n'), { user: 1_500_000, system: 500_000 })
  t.same(parsePsTimes('01:00:00 1-00:00:01'), { user: 3_600_000_000, system: 82_801_000_000 })
  t.equal(parsePsTimes(''), undefined)
  t.equal(parsePsTimes('0:01.50'), undefined)
  t.equal(parsePsTimes('one two'), undefined)
})

t.test('this very process', async (t) => {
  const before = readUsage(process.pid)!
  let busy = 0
  // Until the clock of the accounting, which ticks in hundredths of a second, has moved.
  for (;;) {
    for (let i = 0; i < 1e6; i++) busy += i
    const after = readUsage(process.pid)!
    if (after.user > before.user) break
  }
  t.ok(busy > 0)
  t.ok(readResident(process.pid) > 10 * 2 ** 20)
})

t.test('a process that has ended', async (t) => {
  t.equal(readUsage(2 ** 22 + 1), undefined)
})
