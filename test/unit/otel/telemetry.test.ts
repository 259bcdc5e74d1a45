import t from 'tap'
import type { TracedStatement } from '../../../lib/client/lifecycle/span-sink.ts'
import { CollectorLog } from '../../../lib/otel/collector-log.ts'
import type { Exporter, ExportResult } from '../../../lib/otel/exporter-data.ts'
import { type Importer, loadExporters } from '../../../lib/otel/packages.ts'
import { QUEUE_LIMIT } from '../../../lib/otel/span-queue.ts'
import { Telemetry } from '../../../lib/otel/telemetry.ts'
import { createLogger } from '../../../lib/util/logger.ts'

const statement: TracedStatement = {
  trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), state: '' },
  fingerprint: { id: '0123456789abcdef', text: 'select $1', single: true },
  client: { user: 'u', database: 'd', applicationName: '' },
  host: { host: 'db', port: 5432 },
  ...{ sentAt: 1, startedAt: 1, endedAt: 2, wait: 0, rows: 1, failure: undefined },
}

function makeLog() {
  const lines: string[] = []
  return { lines, log: createLogger({ write: (line) => lines.push(line) }) }
}

/** Takes what it is given when it is told to. */
function makeExporter<Data>() {
  const waiting: { data: Data; done: (result: ExportResult) => void }[] = []
  const exporter: Exporter<Data> = {
    export: (data, done) => void waiting.push({ data, done }),
    shutdown: async () => {},
  }
  return { waiting, exporter }
}

t.test('spans that a slow collector leaves behind are bounded, and what is lost is said', async (t) => {
  const { lines, log } = makeLog()
  const { waiting, exporter } = makeExporter<unknown[]>()
  const telemetry = new Telemetry({
    exporters: { metrics: undefined, traces: exporter as Exporter<never> },
    ...{ metricIntervalMs: 1e9, spanDelayMs: 1e9, resource: { attributes: {} }, scope: { name: '', version: '' } },
    ...{ startedAt: 0, families: () => [], log },
  })
  for (let i = 0; i < 1000; i++) telemetry.spans?.add(statement)
  await new Promise(setImmediate)
  t.equal(waiting.length, 1, 'one request at a time')
  t.equal(waiting[0]?.data.length, 64)
  for (let i = 0; i < QUEUE_LIMIT; i++) telemetry.spans?.add(statement)
  waiting[0]?.done({ code: 1, error: new Error('it is full') })
  await new Promise(setImmediate)
  t.match(lines, [/collector does not take spans.*it is full/])
  t.match(lines[0], new RegExp(`dropped=${64 + 1000 - 64}`))
  await telemetry.close(0)
  t.match(lines[1], new RegExp(`not sent before the end.*dropped=${QUEUE_LIMIT - 64}`))
})

t.test('the end waits for the last answers, and not for long', async (t) => {
  const { log } = makeLog()
  const { waiting, exporter } = makeExporter<unknown>()
  const telemetry = new Telemetry({
    exporters: { metrics: exporter as Exporter<never>, traces: undefined },
    ...{ metricIntervalMs: 1e9, spanDelayMs: 1e9, resource: { attributes: {} }, scope: { name: '', version: '' } },
    ...{ startedAt: 0, log },
    families: () => [{ name: 'a', help: '', type: 'gauge', samples: [{ labels: {}, value: 1 }] }],
  })
  t.equal(telemetry.spans, undefined)
  let closed = false
  const closing = telemetry.close(1e9).then(() => {
    closed = true
  })
  await new Promise(setImmediate)
  t.equal(waiting.length, 1)
  t.notOk(closed)
  waiting[0]?.done({ code: 0 })
  await closing
})

t.test('failures are said once a minute, and once that they are over', async (t) => {
  const { lines, log } = makeLog()
  let at = 0
  const collector = new CollectorLog('spans', log, () => at)
  for (const seconds of [0, 1, 59, 60]) {
    at = seconds * 1000
    collector.failed('refused', () => 7)
  }
  t.equal(lines.length, 2)
  for (let i = 0; i < 3; i++) collector.succeeded(() => 0)
  t.equal(lines.length, 3)
  t.match(lines[2], /takes spans again/)
  at = 1e6
  collector.succeeded(() => 5)
  t.match(lines[3], /spans were lost.*dropped=5/)
  collector.failed('refused', () => 0)
  t.match(lines[4], /does not take spans/)
})

t.test('packages that are not there, or are something else, are named', async (t) => {
  const both = { metrics: 'http/protobuf', traces: 'http/json' } as const
  const missing = Object.assign(new Error('no'), { code: 'ERR_MODULE_NOT_FOUND' })
  const load: Importer = async (name) => {
    if (name.includes('metrics')) throw missing
    return { default: {} }
  }
  const { exporters, faults } = await loadExporters(both, load)
  t.strictSame(exporters, { metrics: undefined, traces: undefined })
  t.strictSame(faults, [
    { name: '@opentelemetry/exporter-metrics-otlp-proto', reason: 'is not installed' },
    {
      name: '@opentelemetry/exporter-trace-otlp-http',
      reason: 'cannot be used: it has no exporter that pgbun knows',
    },
  ])
  const none = await loadExporters({ metrics: undefined, traces: undefined }, load)
  t.strictSame(none.faults, [])
})
