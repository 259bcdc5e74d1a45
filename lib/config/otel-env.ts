/**
 * The environment variables of OpenTelemetry (OTEL_*) -> what is sent to a collector, and how. Those that are not read here
 * (headers, certificates) are read by the exporters, which are packages of OpenTelemetry. Bad values never keep
 * pgbun from starting: they are warnings, and what cannot be sent for them is not.
 */

import { decodePercent, splitOnce } from './url-parts.ts'

/** Ways to send OTLP that pgbun knows. */
export type OtlpProtocol = 'http/protobuf' | 'http/json' | 'grpc'

/** What is sent. */
export interface OtelSettings {
  /** How; undefined where they are not sent. */
  readonly metrics: OtlpProtocol | undefined
  readonly traces: OtlpProtocol | undefined
  readonly metricIntervalMs: number
  /** Spans wait no longer than this until they are sent. */
  readonly spanDelayMs: number
  /** Attributes of the resource besides pgbun's own, which they replace. */
  readonly resource: Readonly<Record<string, string>>
}

/** What was found. */
export interface OtelEnvironment {
  /** Undefined where nothing is sent. */
  readonly settings: OtelSettings | undefined
  readonly warnings: readonly string[]
}

type Env = Readonly<Record<string, string | undefined>>
type Signal = 'METRICS' | 'TRACES'

const PROTOCOLS: readonly OtlpProtocol[] = ['http/protobuf', 'http/json', 'grpc']
const DEFAULT_INTERVAL_MS = 60_000
const DEFAULT_DELAY_MS = 5000
/** Longer ones overflow a timer. */
const LONGEST_INTERVAL_MS = 2 ** 31 - 1
/** Parts of variables that the exporters read, and what they take. Other values they ignore without a word. */
const READ_BY_EXPORTERS: readonly (readonly [part: string, valid: RegExp, remedy: string])[] = [
  ['COMPRESSION', /^(gzip|none)$/, 'use gzip or none'],
  ['TIMEOUT', /^0*[1-9]\d*$/, 'use a number of milliseconds above 0'],
]

/** What `env`, or the environment of the process, asks for. Never throws. */
export function readOtelEnvironment(env: Env = process.env): OtelEnvironment {
  const warnings: string[] = []
  const warn = (variable: string, why: string): void => {
    warnings.push(`${variable}=${withoutPassword(env[variable] ?? '')}: ${why}`)
  }
  if (!isEnabled(env, warn)) return { settings: undefined, warnings }
  const metrics = protocolOf('METRICS', env, warn)
  const traces = protocolOf('TRACES', env, warn)
  if (metrics === undefined && traces === undefined) return { settings: undefined, warnings: [...new Set(warnings)] }
  for (const [part, valid, remedy] of READ_BY_EXPORTERS) {
    for (const variable of ['', 'METRICS_', 'TRACES_'].map((signal) => `OTEL_EXPORTER_OTLP_${signal}${part}`)) {
      const value = textIn(env, variable)
      if (value !== undefined && !valid.test(value)) warn(variable, `ignored, ${remedy}`)
    }
  }
  warnOfTemporality(env, warn)
  const settings = {
    ...{ metrics, traces },
    metricIntervalMs: intervalIn(env, 'OTEL_METRIC_EXPORT_INTERVAL', DEFAULT_INTERVAL_MS, warn),
    spanDelayMs: intervalIn(env, 'OTEL_BSP_SCHEDULE_DELAY', DEFAULT_DELAY_MS, warn),
    resource: resourceOf(env, warn),
  }
  // What holds for both is said once.
  return { settings, warnings: [...new Set(warnings)] }
}

/** URLs may have one. */
function withoutPassword(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//***@')
}

type Warn = (variable: string, why: string) => void

/** An empty variable counts as none. */
function textIn(env: Env, variable: string): string | undefined {
  return env[variable]?.trim() || undefined
}

function isEnabled(env: Env, warn: Warn): boolean {
  const asked = Object.keys(env).some((name) => /^OTEL_EXPORTER_OTLP_((METRICS|TRACES)_)?ENDPOINT$/.test(name))
  if (!asked) return false
  const disabled = textIn(env, 'OTEL_SDK_DISABLED')?.toLowerCase() ?? 'false'
  if (disabled !== 'true' && disabled !== 'false') warn('OTEL_SDK_DISABLED', 'taken as false; use true or false')
  return disabled !== 'true'
}

/** How `signal` is sent; undefined where it is not. */
function protocolOf(signal: Signal, env: Env, warn: Warn): OtlpProtocol | undefined {
  const endpoint = firstSet(env, [`OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`, 'OTEL_EXPORTER_OTLP_ENDPOINT'])
  if (endpoint === undefined || !isChosen(signal, env, warn)) return undefined
  if (!isHttpUrl(endpoint.value)) {
    const examples = 'http://localhost:4318, for grpc http://localhost:4317'
    warn(endpoint.variable, `no ${nameOf(signal)} are sent: it is no URL; use one like ${examples}`)
    return undefined
  }
  const set = firstSet(env, [`OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`, 'OTEL_EXPORTER_OTLP_PROTOCOL'])
  if (set === undefined) return 'http/protobuf'
  const protocol = PROTOCOLS.find((known) => known === set.value.toLowerCase())
  if (protocol === undefined) {
    warn(set.variable, `no ${nameOf(signal)} are sent: pgbun knows ${PROTOCOLS.join(', ')}; use one of them`)
  }
  return protocol
}

function nameOf(signal: Signal): string {
  return signal === 'METRICS' ? 'metrics' : 'spans'
}

function firstSet(env: Env, variables: readonly string[]): { variable: string; value: string } | undefined {
  for (const variable of variables) {
    const value = textIn(env, variable)
    if (value !== undefined) return { variable, value }
  }
  return undefined
}

/** By OTEL_METRICS_EXPORTER or OTEL_TRACES_EXPORTER. */
function isChosen(signal: Signal, env: Env, warn: Warn): boolean {
  const variable = `OTEL_${signal}_EXPORTER`
  const names = (textIn(env, variable) ?? 'otlp').toLowerCase().split(',')
  const chosen = new Set(names.map((name) => name.trim()))
  const unknown = [...chosen].filter((name) => name !== 'otlp' && name !== 'none')
  if (unknown.length > 0) {
    const scraped = unknown.includes('prometheus') ? '; http_listen has metrics for Prometheus' : ''
    warn(variable, `pgbun does not know ${unknown.join(', ')}; use otlp or none${scraped}`)
  }
  return chosen.has('otlp') && !chosen.has('none')
}

function isHttpUrl(text: string): boolean {
  return /^https?:\/\//i.test(text) && URL.canParse(text)
}

function intervalIn(env: Env, variable: string, usual: number, warn: Warn): number {
  const text = textIn(env, variable)
  if (text === undefined) return usual
  const ms = /^\d{1,10}$/.test(text) ? Number(text) : 0
  if (ms >= 1 && ms <= LONGEST_INTERVAL_MS) return ms
  warn(variable, `${usual} is used; use a number of milliseconds from 1 to ${LONGEST_INTERVAL_MS}`)
  return usual
}

function warnOfTemporality(env: Env, warn: Warn): void {
  const variable = 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE'
  const preference = textIn(env, variable)?.toLowerCase() ?? 'cumulative'
  if (preference === 'cumulative') return
  warn(variable, 'pgbun sends cumulative metrics; where deltas are needed, have the collector make them')
}

/** Attributes are pairs like `key=value`, with percent code; where one is none, none of them counts. */
function resourceOf(env: Env, warn: Warn): Record<string, string> {
  const variable = 'OTEL_RESOURCE_ATTRIBUTES'
  const resource: Record<string, string> = {}
  for (const pair of (textIn(env, variable) ?? '').split(',')) {
    if (pair.trim() === '') continue
    const [key = '', value] = splitOnce(pair, '=').map((part) => decodePercent(part.trim()))
    if (key === '' || value === undefined || !pair.includes('=')) {
      warn(variable, 'ignored; use pairs like deployment.environment.name=production, separated by commas')
      for (const name of Object.keys(resource)) delete resource[name]
      break
    }
    resource[key] = value
  }
  const name = textIn(env, 'OTEL_SERVICE_NAME')
  return name === undefined ? resource : { ...resource, 'service.name': name }
}
