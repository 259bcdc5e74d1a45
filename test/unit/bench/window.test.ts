import t from 'tap'
import { measureWindow, type Reading } from '../../bench/window.ts'

/** A transaction each millisecond for `length` ms, from `start` on, with latencies of 100, 200, … 1000 µs in turn. */
function steady(start: number, length: number) {
  return Array.from({ length: length + 1 }, (_, i) => ({
    client: 0,
    at: start + i,
    latency: 100 * (1 + (i % 10)),
  }))
}

/** A reading each 50 ms; the proxy uses `user` and `system` µs per ms. */
function readings(from: number, to: number, user: number, system: number): Reading[] {
  const list: Reading[] = []
  for (let at = from; at <= to; at += 50) {
    list.push({ at, usage: { user: at * user, system: at * system }, resident: at * 1000, gc: at * 0.01 })
  }
  return list
}

t.test('throughput, latency and processor time of the same stretch', async (t) => {
  const measured = measureWindow(steady(1000, 2000), readings(500, 4000, 12, 30))
  t.equal(measured.transactions, 1700, 'from the reading behind the first 15 % to the last one before the end')
  t.equal(measured.perSecond, 1000)
  t.equal(measured.p50, 0.5)
  t.equal(measured.p99, 1)
  t.equal(measured.p999, 1)
  t.equal(measured.resident, 3_000_000, 'the most in the window')
  t.same(measured.cpu, { user: 12, system: 30 })
})

t.test('garbage collection, also where some readings lack it', async (t) => {
  const times = readings(500, 4000, 1, 1)
  t.ok(Math.abs(measureWindow(steady(1000, 2000), times).gc! - 10) < 1e-9, 'a hundredth of the time, 1 ms each')
  const torn = times.map((reading, i) => (i % 3 === 0 ? reading : { ...reading, gc: undefined }))
  t.ok(Math.abs(measureWindow(steady(1000, 2000), torn).gc! - 10) < 1e-9)
  t.equal(
    measureWindow(
      steady(1000, 2000),
      times.map((reading) => ({ ...reading, gc: undefined })),
    ).gc,
    undefined,
  )
})

t.test('what comes before all clients are connected is left out', async (t) => {
  // The first transaction came late: readings before it do not count as time in which nothing was done.
  const { perSecond } = measureWindow(steady(3000, 1000), readings(0, 5000, 1, 1))
  t.equal(perSecond, 1000)
})

t.test('a direct connection has no proxy to account for', async (t) => {
  const times = readings(1000, 4000, 1, 1).map(({ at }) => ({
    at,
    usage: undefined,
    resident: undefined,
    gc: undefined,
  }))
  const { cpu, perSecond, resident } = measureWindow(steady(1000, 2000), times)
  t.equal(cpu, undefined)
  t.equal(resident, undefined)
  t.equal(perSecond, 1000)
})

t.test('a run with too little in it is an error, not a figure', async (t) => {
  t.throws(() => measureWindow([], readings(0, 1000, 1, 1)), { message: 'no transaction was finished' })
  t.throws(() => measureWindow(steady(1000, 20), readings(0, 5000, 1, 1)), {
    message: /^only 21 transactions in 20 ms/,
  })
  t.throws(() => measureWindow(steady(1000, 2000), []), { message: /too few to measure/ })
})
