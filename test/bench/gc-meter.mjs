/**
 * Loaded into a Node that runs pgbun (--import): keeps the time it spent in garbage collection, in milliseconds, in the
 * file that BENCH_GC_FILE names. Plain JavaScript, because every Node that pgbun supports must be able to load it.
 */
import { writeFileSync } from 'node:fs'
import { PerformanceObserver } from 'node:perf_hooks'

const file = process.env.BENCH_GC_FILE
let total = 0
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) total += duration
}).observe({ entryTypes: ['gc'] })
if (file) setInterval(() => writeFileSync(file, String(total)), 50).unref()
