import type { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import t from 'tap'
import type { TracedStatement } from '../../../lib/client/lifecycle/span-sink.ts'
import { spansOf } from '../../../lib/otel/spans.ts'

const frame = {
  resource: { attributes: {} },
  scope: { name: 'pgbun', version: '1' },
  newSpanId: () => String(++ids).padStart(16, '0'),
}
let ids = 0

const statement: TracedStatement = {
  trace: { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), state: '' },
  fingerprint: { id: '0123456789abcdef', text: 'select $1', single: true },
  client: { user: 'u', database: 'd', applicationName: '' },
  host: { host: 'db', port: 5432 },
  sentAt: 100,
  startedAt: 110,
  endedAt: 130.5,
  wait: 0,
  rows: 2,
  failure: undefined,
}

t.test('a statement that has not waited has one span', async (t) => {
  const spans = spansOf(statement, 1000, frame)
  t.match(spans, [
    {
      ...{ name: 'query', kind: 2, status: { code: 0 }, startTime: [1, 110_000_000], endTime: [1, 130_500_000] },
      parentSpanContext: { spanId: 'b'.repeat(16), isRemote: true },
    },
  ])
  t.equal(spans.length, 1)
  t.strictSame(spans[0]?.attributes, {
    'db.system.name': 'postgresql',
    'db.namespace': 'd',
    'pgbun.user': 'u',
    'db.query.text': 'select $1',
    'db.response.returned_rows': 2,
    'server.address': 'db',
    'server.port': 5432,
    'pgbun.query_id': '0123456789abcdef',
  })
  t.equal(spans[0]?.spanContext().traceState, undefined)
  const taken: Pick<Parameters<OTLPTraceExporter['export']>[0][number], 'startTime' | 'kind' | 'status' | 'links'> =
    spans[0]!
  t.ok(taken, 'it is what the exporter takes: compared by the compiler')
})

t.test('one that has waited has two with numbers of their own', async (t) => {
  const trace = { ...statement.trace, state: 'a=b' }
  const client = { ...statement.client, applicationName: 'shop' }
  const spans = spansOf({ ...statement, wait: 40, trace, client }, 0, frame)
  t.match(spans, [
    { name: 'wait', kind: 0, startTime: [0, 60_000_000], endTime: [0, 100_000_000] },
    { name: 'query', kind: 2, startTime: [0, 110_000_000] },
  ])
  const contexts = spans.map((span) => span.spanContext())
  t.not(contexts[0]?.spanId, contexts[1]?.spanId)
  for (const { traceId, traceFlags, traceState } of contexts) {
    t.match({ traceId, traceFlags }, { traceId: trace.traceId, traceFlags: 1 })
    t.equal(traceState?.serialize(), 'a=b')
  }
  for (const { attributes } of spans) t.match(attributes, { 'pgbun.application_name': 'shop' })
})

t.test('one that has failed says with what', async (t) => {
  const [failed] = spansOf({ ...statement, failure: '22012' }, 0, frame)
  t.match(failed, { status: { code: 2, message: 'SQLSTATE 22012' } })
  t.match(failed?.attributes, { 'error.type': '22012', 'db.response.status_code': '22012' })
  const [unknown] = spansOf({ ...statement, failure: '' }, 0, frame)
  t.match(unknown?.attributes, { 'error.type': '_OTHER' })
  t.notOk('db.response.status_code' in unknown!.attributes)
})
