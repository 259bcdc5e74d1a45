import t from 'tap'
import { readOtelEnvironment } from '../../../lib/config/otel-env.ts'

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318' }
const read = (env: Record<string, string>) => readOtelEnvironment({ ...ENDPOINT, ...env })

t.test('nothing is sent where no endpoint is set', async (t) => {
  const nothing = { settings: undefined, warnings: [] }
  t.strictSame(readOtelEnvironment({}), nothing)
  t.strictSame(readOtelEnvironment({ OTEL_SERVICE_NAME: 'x', OTEL_METRIC_EXPORT_INTERVAL: 'soon' }), nothing)
  t.strictSame(readOtelEnvironment({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }), nothing)
})

t.test('an endpoint is enough', async (t) => {
  t.strictSame(read({}), {
    settings: {
      ...{ metrics: 'http/protobuf', traces: 'http/protobuf' },
      ...{ metricIntervalMs: 60_000, spanDelayMs: 5000 },
      resource: {},
    },
    warnings: [],
  })
})

t.test('each signal may have its own endpoint, protocol and exporter', async (t) => {
  const signals = (env: Record<string, string>) => {
    const { settings, warnings } = readOtelEnvironment(env)
    return [settings?.metrics, settings?.traces, warnings.length]
  }
  t.strictSame(signals({ OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'https://a/v1/metrics' }), [
    'http/protobuf',
    undefined,
    0,
  ])
  t.strictSame(signals({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://a/v1/traces' }), [undefined, 'http/protobuf', 0])
  t.strictSame(signals({ ...ENDPOINT, OTEL_METRICS_EXPORTER: 'none' }), [undefined, 'http/protobuf', 0])
  t.strictSame(signals({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }), ['http/protobuf', undefined, 0])
  t.strictSame(signals({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none', OTEL_METRICS_EXPORTER: 'none' }), [
    undefined,
    undefined,
    0,
  ])
  t.strictSame(signals({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' }), ['http/json', 'http/json', 0])
  t.strictSame(signals({ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/json' }), [
    'http/protobuf',
    'http/json',
    0,
  ])
  t.strictSame(signals({ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE', OTEL_METRIC_EXPORT_INTERVAL: 'x' }), [
    undefined,
    undefined,
    0,
  ])
})

t.test('the resource is what the environment says of it', async (t) => {
  const resource = (env: Record<string, string>) => read(env).settings?.resource
  t.strictSame(resource({ OTEL_RESOURCE_ATTRIBUTES: 'a=1, b = x%2Cy ,c=d=e,' }), { a: '1', b: 'x,y', c: 'd=e' })
  t.strictSame(resource({ OTEL_RESOURCE_ATTRIBUTES: 'service.name=a', OTEL_SERVICE_NAME: 'b' }), {
    'service.name': 'b',
  })
  t.strictSame(resource({ OTEL_RESOURCE_ATTRIBUTES: 'a=1,b', OTEL_SERVICE_NAME: 'c' }), { 'service.name': 'c' })
})

t.test('a bad value is said with its variable and what to do, and pgbun starts', async (t) => {
  for (const [variable, value, said] of [
    ['OTEL_EXPORTER_OTLP_ENDPOINT', 'localhost:4318', /no metrics are sent: it is no URL; use one like http:\/\//],
    ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'https://', /no spans are sent: it is no URL/],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', 'udp', /no metrics .* http\/protobuf, http\/json, grpc; use one of them$/],
    ['OTEL_METRICS_EXPORTER', 'prometheus', /does not know prometheus; use otlp or none; http_listen has/],
    ['OTEL_TRACES_EXPORTER', 'otlp,zipkin', /does not know zipkin; use otlp or none$/],
    ['OTEL_SDK_DISABLED', 'yes', /taken as false; use true or false/],
    ['OTEL_METRIC_EXPORT_INTERVAL', '1s', /60000 is used; use a number of milliseconds/],
    ['OTEL_METRIC_EXPORT_INTERVAL', '99999999999', /60000 is used/],
    ['OTEL_BSP_SCHEDULE_DELAY', '0', /5000 is used/],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a', /ignored; use pairs like/],
    ['OTEL_RESOURCE_ATTRIBUTES', 'a=%zz', /ignored; use pairs like/],
    ['OTEL_RESOURCE_ATTRIBUTES', '=1', /ignored; use pairs like/],
    ['OTEL_EXPORTER_OTLP_COMPRESSION', 'zstd', /ignored, use gzip or none/],
    ['OTEL_EXPORTER_OTLP_TRACES_TIMEOUT', '10s', /ignored, use a number of milliseconds/],
    ['OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE', 'delta', /sends cumulative metrics/],
  ] as const) {
    const { warnings } = read({ [variable]: value })
    t.ok(warnings[0]?.startsWith(`${variable}=${value}: `), `${variable} is named with its value`)
    t.match(warnings[0], said)
  }
  t.match(read({ OTEL_METRIC_EXPORT_INTERVAL: '99999999999' }).settings, { metricIntervalMs: 60_000 })
  t.match(read({ OTEL_TRACES_EXPORTER: 'otlp,zipkin' }).settings, { traces: 'http/protobuf' })
  t.equal(read({ OTEL_EXPORTER_OTLP_PROTOCOL: 'udp' }).settings, undefined)
})

t.test('valid values are not warned of', async (t) => {
  const { warnings, settings } = read({
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_EXPORTER_OTLP_TIMEOUT: '5000',
    OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE: 'Cumulative',
    OTEL_METRIC_EXPORT_INTERVAL: '500',
    OTEL_BSP_SCHEDULE_DELAY: '100',
    OTEL_SDK_DISABLED: 'false',
  })
  t.strictSame(warnings, [])
  t.match(settings, { metricIntervalMs: 500, spanDelayMs: 100 })
})

t.test('a password in a URL is not shown', async (t) => {
  const { warnings } = read({ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://user:hunter2@collector' })
  t.equal(warnings.length, 2)
  t.notMatch(warnings.join(), /hunter2/)
})
