/**
 * OpenTelemetry as an operator uses it: the environment says where the collector is, which gets the metrics of /metrics, and
 * the spans of statements that an application has marked with its own.
 */
import { randomBytes } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { createPooler } from '../../lib/index.ts'
import { type CollectedSpan, type Collector, startCollector, type Transport } from '../fixtures/collector.ts'
import { frontend } from '../fixtures/messages.ts'
import { type Pgbun, type PgbunOptions, startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { rootDir, sharedPostgres } from '../fixtures/postgres.ts'
import { loginRaw } from '../fixtures/raw-client.ts'
import { pgbunRuntime } from '../fixtures/runtimes.ts'
import { waitFor } from '../fixtures/wait.ts'

const shared = sharedPostgres(t)

const skip = pgbunRuntime().kind === 'binary' && 'an executable loads no packages'
/** A test of a pgbun that may load packages. */
const test = (name: string, work: (t: Test) => Promise<void>): void => void t.test(name, { skip }, work)

/** Fast enough for a test. */
const QUICK = { OTEL_METRIC_EXPORT_INTERVAL: '100', OTEL_BSP_SCHEDULE_DELAY: '50' }

interface Lab {
  collector: Collector
  pgbun: Pgbun
  client(config?: pg.ClientConfig): Promise<pg.Client>
}

async function start(
  t: Test,
  env: Record<string, string> = {},
  options: PgbunOptions = {},
  transport: Transport = 'http',
): Promise<Lab> {
  const database = shared.database(t, ['CREATE TABLE t (a int)'])
  const [server, collector] = await Promise.all([database, startCollector(t, transport)])
  const pgbun = await startPgbun(t, {
    target: server,
    password: server.password,
    poolMode: 'transaction',
    ...options,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...QUICK, ...env },
  })
  return {
    ...{ collector, pgbun },
    async client(config) {
      const client = await pgbun.connect({ application_name: 'shop', ...config })
      // The first statement of all waits for a server to be opened.
      if (config?.database === undefined) await client.query('select 1')
      return client
    },
  }
}

/** A new span of an application, and the comment that says so. */
function newParent(flags = '01', more = '') {
  const traceId = randomBytes(16).toString('hex')
  const spanId = randomBytes(8).toString('hex')
  return { traceId, spanId, comment: `/*traceparent='00-${traceId}-${spanId}-${flags}'${more}*/` }
}

type Parent = ReturnType<typeof newParent>

const ofTrace = (collector: Collector, { traceId }: Parent): CollectedSpan[] =>
  collector.spans.filter((span) => span.traceId === traceId)

/** Those of its statements. Whether there is a `wait` beside one depends on what else pgbun asks the server just then. */
const queriesOf = (collector: Collector, parent: Parent): CollectedSpan[] =>
  ofTrace(collector, parent).filter(({ name }) => name === 'query')

/** Those of the statements of a trace, as soon as there are as many. */
async function spansOf(collector: Collector, parent: Parent, count = 1): Promise<CollectedSpan[]> {
  return waitFor(
    () => {
      const spans = queriesOf(collector, parent)
      return spans.length >= count && spans
    },
    { what: `spans of ${parent.traceId}` },
  )
}

/** Samples of a scrape by name and labels. */
async function scrape(port: number): Promise<Map<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  const found = new Map<string, number>()
  for (const line of text.split('\n')) {
    const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
    if (name === undefined) continue
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key!, text!] as const)
    found.set(seriesOf(name, Object.fromEntries(pairs)), Number(value))
  }
  return found
}

function seriesOf(name: string, labels: Record<string, string | number>): string {
  return `${name} ${JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)))}`
}

const CONTENT_TYPES = {
  'http/protobuf': 'application/x-protobuf',
  'http/json': 'application/json',
  grpc: 'application/grpc',
} as const

/** Change by themselves, or with each look. */
const RESTLESS = /^(process_(cpu|resident|start)|pgbun_event_loop|pgbun_memory|nodejs_|pgbun_host_(latency|lag))/

for (const protocol of ['http/protobuf', 'http/json', 'grpc'] as const) {
  test(`a collector gets the metrics of /metrics by ${protocol}`, async (t) => {
    const httpPort = await freePort()
    const env = { OTEL_EXPORTER_OTLP_PROTOCOL: protocol, OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test' }
    const options = { args: ['--http-listen', String(httpPort)] }
    const { collector, client, pgbun } = await start(t, env, options, protocol === 'grpc' ? 'grpc' : 'http')
    const one = await client()
    for (let i = 0; i < 20; i++) await one.query('select 1')
    await t.rejects(one.query('select 1/0'))
    const parent = newParent()
    await one.query(`select 1 ${parent.comment}`)
    await one.end()
    const differences = async (): Promise<string[]> => {
      const scraped = await scrape(httpPort)
      const seen = new Set<string>()
      const found: string[] = []
      const compare = (name: string, labels: Record<string, string | number>, value: number): void => {
        const series = seriesOf(name, labels)
        seen.add(series)
        if (!RESTLESS.test(name) && scraped.get(series) !== value)
          found.push(`${series}: ${value}, ${scraped.get(series)}`)
        else if (!scraped.has(series)) found.push(`${series} is not scraped`)
      }
      for (const { name, kind, points } of collector.latest().values()) {
        for (const { attributes, value, count, buckets, bounds } of points) {
          if (kind !== 'histogram') compare(kind === 'sum' ? `${name}_total` : name, attributes, value)
          else {
            let below = 0
            for (const [i, bucket] of buckets.entries()) {
              below += bucket
              compare(`${name}_bucket`, { ...attributes, le: i < bounds.length ? String(bounds[i]) : '+Inf' }, below)
            }
            compare(`${name}_count`, attributes, count)
            compare(`${name}_sum`, attributes, value)
          }
        }
      }
      for (const series of scraped.keys()) if (!seen.has(series)) found.push(`${series} is not sent`)
      return found
    }
    let last: string[] = []
    await waitFor(async () => collector.exports.length > 0 && (last = await differences()).length === 0, {
      what: () => `the same metrics: ${last.join('\n')}`,
    })
    const metrics = collector.latest()
    t.ok(metrics.size > 60, `${metrics.size} metrics`)
    const queries = metrics.get('pgbun_query_duration_seconds')!
    t.match(queries, { kind: 'histogram', unit: 's', temporality: 2 })
    const [point] = queries.points
    t.match(point?.attributes, { database: pgbun.database, user: 'postgres' })
    t.equal(
      point?.buckets.reduce((sum, bucket) => sum + bucket, 0),
      point?.count,
    )
    t.ok(point!.count >= 21 && point!.value > 0 && point!.buckets.length === point!.bounds.length + 1)
    t.match(metrics.get('pgbun_errors'), { kind: 'sum', monotonic: true, temporality: 2, points: [{ value: 1 }] })
    t.match(metrics.get('process_cpu_seconds'), { kind: 'sum', monotonic: true, unit: 's' })
    t.match(metrics.get('process_resident_memory_bytes'), { kind: 'gauge', unit: 'By' })
    const started = metrics.get('process_start_time_seconds')!.points[0]!.value
    t.ok(Math.abs(Number(point!.start) / 1e9 - started) < 5, 'counted from the start on')
    t.match(collector.exports[0], {
      scope: { name: 'pgbun' },
      resource: {
        'service.name': 'pgbun',
        'service.version': /^\d+\./,
        'service.instance.id': /^[0-9a-f-]{36}$/,
        'host.name': os.hostname(),
        'process.pid': pgbun.pid,
        'deployment.environment.name': 'test',
      },
    })
    t.match(await spansOf(collector, parent), [{ name: 'query', parentSpanId: parent.spanId }], 'and spans')
    t.strictSame([...collector.types], [CONTENT_TYPES[protocol]])
    await collector.down()
    t.match(await pgbun.stop(), { code: 0 }, 'it ends without the collector')
  })
}

test('statements with a traceparent become spans of its trace', async (t) => {
  const { collector, client, pgbun } = await start(t, { OTEL_SERVICE_NAME: 'pooler', OTEL_METRICS_EXPORTER: 'none' })
  const one = await client()
  const common = {
    'db.system.name': 'postgresql',
    'db.namespace': pgbun.database,
    'server.address': /./,
    'server.port': Number,
    'pgbun.query_id': /^[0-9a-f]{16}$/,
    'pgbun.user': 'postgres',
    'pgbun.application_name': 'shop',
  }

  await t.test('a simple query', async (t) => {
    const parent = newParent('01', ",tracestate='congo%3Dt61,rojo%3D00f0'")
    const before = BigInt(Date.now()) * 1_000_000n
    await one.query(`select 'secret' as a, generate_series(1, 3) ${parent.comment}`)
    const spans = await spansOf(collector, parent)
    const { spanId, start, end } = spans[0]!
    t.match(spans, [
      {
        ...{ name: 'query', kind: 3, parentSpanId: parent.spanId, traceState: 'congo=t61,rojo=00f0', status: 0 },
        attributes: { ...common, 'db.query.text': /^select \$1 as a/, 'db.response.returned_rows': 3 },
        resource: { 'service.name': 'pooler' },
      },
    ])
    t.equal(spans.length, 1)
    t.match(spanId, /^[0-9a-f]{16}$/)
    t.not(spanId, parent.spanId)
    t.ok(start >= before - 5_000_000n && end > start && end <= BigInt(Date.now() + 5) * 1_000_000n, 'at that time')
    t.notMatch(JSON.stringify(spans[0]?.attributes), /secret|traceparent/)
  })

  await t.test('an unnamed extended one', async (t) => {
    const parent = newParent()
    await one.query(`insert into t values ($1), ($2) ${parent.comment}`, [1, 2])
    const [span] = await spansOf(collector, parent)
    t.match(span, { name: 'query', status: 0, attributes: { ...common, 'db.response.returned_rows': 2 } })
  })

  await t.test('a named one, and not what runs of it later', async (t) => {
    const [parent, later] = [newParent(), newParent()]
    const query = { name: 'named', text: `select $1::int as a ${parent.comment}` }
    for (const value of [1, 2, 3]) await one.query({ ...query, values: [value] })
    await one.query(`select 1 ${later.comment}`)
    await spansOf(collector, later)
    t.equal(queriesOf(collector, parent).length, 1)
  })

  await t.test('several that are sent at once follow each other', async (t) => {
    const parent = newParent()
    await Promise.all([1, 2, 3].map(() => one.query(`select pg_sleep(0.01) ${parent.comment}`)))
    const spans = (await spansOf(collector, parent, 3)).sort((a, b) => (a.start < b.start ? -1 : 1))
    t.equal(spans.length, 3)
    for (const [i, span] of spans.slice(1).entries()) t.ok(span.start >= spans[i]!.end - 2_000_000n)
  })

  await t.test('one that fails', async (t) => {
    for (const values of [undefined, []]) {
      const parent = newParent()
      await t.rejects(one.query(`select 1/0 ${parent.comment}`, values as unknown[]), { code: '22012' })
      t.match(await spansOf(collector, parent), [
        { status: 2, attributes: { 'error.type': '22012', 'db.response.status_code': '22012' } },
      ])
    }
  })

  await t.test('no others', async (t) => {
    const [unsampled, inLiteral, last] = [newParent('00'), newParent(), newParent()]
    const queries = (): CollectedSpan[] => collector.spans.filter(({ name }) => name === 'query')
    await one.query(`select 1 ${unsampled.comment}`)
    await one.query(`select $$ ${inLiteral.comment} $$`)
    await one.query('select 1')
    const before = queries().length
    await one.query(`select 2 ${last.comment}`)
    await spansOf(collector, last)
    t.strictSame([ofTrace(collector, unsampled), ofTrace(collector, inLiteral)], [[], []])
    t.equal(queries().length, before + 1)
  })
  t.equal(collector.exports.length, 0, 'no metrics where they are not wanted')
})

test('a statement that is bound on a server that has it not yet', async (t) => {
  const { collector, client, pgbun } = await start(t, {}, { poolSize: 2 })
  const [holder, other] = await Promise.all([client(), client()])
  // The other server is opened as long as this one is kept.
  await holder.query('begin')
  await other.query('select 1')
  const binder = await loginRaw(t, pgbun, { user: 'postgres', password: 'postgres', database: pgbun.database })
  for (let round = 0; round < 4; round++) {
    const parent = newParent()
    const name = `s${round}`
    binder.send(frontend.parse(`select ${round} ${parent.comment}`, name), frontend.sync())
    await binder.readUntil()
    // It was prepared on the only one that is free: that is taken, and the other one given back.
    await other.query('begin')
    await holder.query('commit')
    binder.send(frontend.bind([], name), frontend.execute(), frontend.sync())
    t.equal((await binder.readUntil()).map(({ type }) => type).join(''), '2DCZ')
    t.match(await spansOf(collector, parent), [{ status: 0, attributes: { 'db.query.text': 'select $1' } }])
    await holder.query('begin')
    await other.query('commit')
  }
})

test('session mode has them, too', async (t) => {
  const { collector, client } = await start(t, {}, { poolMode: 'session' })
  const one = await client()
  const [simple, named] = [newParent(), newParent()]
  await one.query(`select 1 ${simple.comment}`)
  for (const value of [1, 2]) await one.query({ name: 'n', text: `select $1::int ${named.comment}`, values: [value] })
  await one.query(`select 1 ${simple.comment}`)
  await spansOf(collector, simple, 2)
  t.match(await spansOf(collector, named), [{ attributes: { 'db.query.text': 'select $1::int' } }])
})

test('who has waited for a server has a span of that', async (t) => {
  const { collector, client } = await start(t, {}, { poolSize: 1, args: ['--admin-users', 'postgres'] })
  const [holder, waiter, console] = await Promise.all([client(), client(), client({ database: 'pgbouncer' })])
  await holder.query('begin')
  const parent = newParent()
  const answer = waiter.query(`select 1 ${parent.comment}`)
  await waitFor(
    async () => {
      const { rows } = await console.query<{ cl_waiting: string }>('show pools')
      return rows.some((row) => Number(row.cl_waiting) > 0)
    },
    { what: 'a client that waits' },
  )
  await holder.query('commit')
  await answer
  await spansOf(collector, parent)
  const spans = ofTrace(collector, parent)
  const wait = spans.find(({ name }) => name === 'wait')!
  const query = spans.find(({ name }) => name === 'query')!
  t.equal(spans.length, 2)
  t.match(wait, { kind: 1, parentSpanId: parent.spanId, status: 0, attributes: { 'pgbun.user': 'postgres' } })
  t.ok(wait.start < wait.end && wait.end <= query.start && query.start < query.end, 'one after the other')
  t.ok(query.start - wait.end < 1_000_000_000n)
})

test('a collector that is down is said, costs no statement, and is used again', async (t) => {
  const env = { OTEL_EXPORTER_OTLP_TIMEOUT: '300' }
  const { collector, client, pgbun } = await start(t, env)
  const one = await client()
  await collector.down()
  const [lost, found] = [newParent(), newParent()]
  await one.query(`select 1 ${lost.comment}`)
  const spansDown = /WARN.*the collector does not take spans.*remedy=/i
  await pgbun.waitForLog(spansDown)
  await pgbun.waitForLog(/WARN.*the collector does not take metrics.*remedy=/i)
  for (let i = 0; i < 5; i++) await one.query(`select 1 ${lost.comment}`)
  await collector.up()
  await pgbun.waitForLog(/the collector takes metrics again/)
  const taken = collector.exports.length
  await waitFor(() => collector.exports.length > taken, { what: 'metrics' })
  await waitFor(async () => {
    await one.query(`select 1 ${found.comment}`)
    return ofTrace(collector, found).length > 0
  })
  await pgbun.waitForLog(/the collector takes spans again/)
  t.equal(pgbun.logs().match(new RegExp(spansDown, 'gi'))?.length, 1, 'once a minute at most')
})

test('what is left is sent at the end', async (t) => {
  const env = { OTEL_METRIC_EXPORT_INTERVAL: '600000', OTEL_BSP_SCHEDULE_DELAY: '600000' }
  const { collector, client, pgbun } = await start(t, env)
  const one = await client()
  const parent = newParent()
  await one.query(`select 1 ${parent.comment}`)
  t.same([collector.exports.length, collector.spans.length], [0, 0])
  t.match(await pgbun.stop(), { code: 0 })
  t.equal(queriesOf(collector, parent).length, 1)
  t.match(collector.latest().get('pgbun_logins'), { kind: 'sum', points: [{ value: 1 }] })
  t.match(collector.latest().get('pgbun_draining')?.points, [{ value: 1 }])
})

test('a collector that is not there keeps nobody from ending', async (t) => {
  const { collector, client, pgbun } = await start(t)
  await (await client()).query(`select 1 ${newParent().comment}`)
  await collector.down()
  t.match(await pgbun.stop(), { code: 0 })
})

test('a program that embeds pgbun says whether it wants that', async (t) => {
  const [server, collector] = await Promise.all([shared.database(t), startCollector(t)])
  const variables = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, ...QUICK }
  Object.assign(process.env, variables)
  t.teardown(() => {
    for (const name of Object.keys(variables)) delete process.env[name]
  })
  for (const openTelemetry of [false, true]) {
    const options = { listenPort: 0, listenHost: ['127.0.0.1'], serverHost: server.host, serverPort: server.port }
    const pooler = await createPooler(options, { logger: false, openTelemetry })
    const { port } = pooler.address as { port: number }
    const { user, password, database } = server
    const client = await loginRaw(t, { host: '127.0.0.1', port }, { user, password, database })
    const parent = newParent()
    await client.query(`select 1 ${parent.comment}`)
    await pooler.close({ timeoutMs: 0 })
    t.equal(queriesOf(collector, parent).length, openTelemetry ? 1 : 0)
    t.equal(collector.exports.length > 0, openTelemetry)
  }
})

test('bad variables are said, and pgbun serves', async (t) => {
  const { client, pgbun } = await start(t, { OTEL_EXPORTER_OTLP_PROTOCOL: 'udp' })
  t.match((await (await client()).query('select 1 as a')).rows, [{ a: 1 }])
  t.match(pgbun.logs(), /WARN.*OTEL_EXPORTER_OTLP_PROTOCOL=udp: no metrics are sent: pgbun knows http\/protobuf/i)
  t.match(pgbun.logs(), /WARN.*OTEL_EXPORTER_OTLP_PROTOCOL=udp: no spans are sent/i)
})

test('without the packages pgbun says which to install, and serves', async (t) => {
  // The program as it is installed where nobody has asked for them.
  const dir = mkdtempSync(path.join(os.tmpdir(), 'pgbun-plain-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  for (const part of ['dist', 'bin', 'package.json'])
    cpSync(path.join(rootDir, part), path.join(dir, part), { recursive: true })
  mkdirSync(path.join(dir, 'node_modules'))
  const modules = path.join(rootDir, 'node_modules')
  for (const name of readdirSync(modules)) {
    if (name !== '@opentelemetry') symlinkSync(path.join(modules, name), path.join(dir, 'node_modules', name))
  }
  const found = pgbunRuntime()
  const runtime = { ...found, args: found.args.map((arg) => arg.replace(rootDir, dir)) }
  const { client, pgbun, collector } = await start(t, {}, { runtime })
  t.match((await (await client()).query(`select 1 as a ${newParent().comment}`)).rows, [{ a: 1 }])
  const warnings = pgbun.logs().match(/.*OpenTelemetry.*/g)
  t.equal(warnings?.length, 1)
  t.match(warnings?.[0], /WARN.*no metrics and spans are sent.*exporter-metrics-otlp-proto is not installed/i)
  t.match(
    warnings?.[0],
    /npm install @opentelemetry\/exporter-metrics-otlp-proto @opentelemetry\/exporter-trace-otlp-proto/,
  )
  t.match(await pgbun.stop(), { code: 0 })
  t.same([collector.exports.length, collector.spans.length], [0, 0])
})
