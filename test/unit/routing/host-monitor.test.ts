/** When a host counts as gone, and as back. */
import t from 'tap'
import { HostBook } from '../../../lib/routing/host-book.ts'
import { HostMonitor } from '../../../lib/routing/host-monitor.ts'
import { createLogger } from '../../../lib/util/logger.ts'

t.test('so many health checks decide', async (t) => {
  const book = new HostBook(() => 0)
  const host = book.of({ host: '10.0.0.1', port: 5432 })
  let answer: Error | undefined
  let asked = 0
  const down: string[] = []
  const monitor = new HostMonitor(book, {
    settings: () => ({ intervalMs: 1, timeoutMs: 1, failures: 3, successes: 2, dnsMs: 1000 }),
    probe: async () => {
      asked++
      if (answer !== undefined) throw answer
    },
    resolve: async () => [],
    renewNames: async () => {},
    moved: () => {},
    down: ({ key }, reason) => down.push(`${key} ${reason}`),
    log: createLogger({ level: 'error', format: 'text', write: () => {} }),
  })
  let at = performance.now()
  /** The next check, and whether the host is used behind it. */
  const check = async (error?: Error): Promise<boolean> => {
    answer = error
    // Beyond any pause.
    at += 60_000
    monitor.sweep(at)
    await new Promise((resolve) => setImmediate(resolve))
    return host.up
  }
  const bad = new Error('no answer')
  const results: boolean[] = []
  for (const error of [undefined, bad, bad, undefined, bad, bad, bad, bad, undefined, bad, undefined, undefined])
    results.push(await check(error))
  t.same(results, [true, true, true, true, true, true, false, false, false, false, false, true])
  t.same(down, ['10.0.0.1:5432 no answer'])
  t.equal(asked, 12)
})
