/**
 * Loads OpenTelemetry's exporters, which are optional packages. An exporter reads the endpoint, headers, timeout, compression
 * and certificates from the environment by itself.
 */

import type { OtelSettings, OtlpProtocol } from '../config/otel-env.ts'
import type { Exporter, ReadableSpan, ResourceMetrics } from './exporter-data.ts'

/** Those that are asked for. */
export interface Exporters {
  readonly metrics: Exporter<ResourceMetrics> | undefined
  readonly traces: Exporter<ReadableSpan[]> | undefined
}

/** A package that cannot be used. */
export interface PackageFault {
  readonly name: string
  readonly reason: string
}

/** The last part of the names of packages. */
const SUFFIXES: Readonly<Record<OtlpProtocol, string>> = {
  'http/protobuf': 'proto',
  'http/json': 'http',
  grpc: 'grpc',
}

/** Imports a package by its name. */
export type Importer = (name: string) => Promise<Record<string, unknown>>

/** A computed name: whoever bundles pgbun, or compiles it, need not have the package. */
const importPackage: Importer = (name) => import(name)

/** The exporters for `settings`, and what is wrong with those that are not there. Never rejects. */
export async function loadExporters(
  { metrics, traces }: Pick<OtelSettings, 'metrics' | 'traces'>,
  load: Importer = importPackage,
): Promise<{ exporters: Exporters; faults: PackageFault[] }> {
  const faults: PackageFault[] = []
  const make = async <Data>(signal: 'metrics' | 'trace', protocol: OtlpProtocol | undefined) => {
    if (protocol === undefined) return undefined
    const name = `@opentelemetry/exporter-${signal}-otlp-${SUFFIXES[protocol]}`
    try {
      const exported = await load(name)
      // Of a package in the format of CommonJS, some runtimes have the names in its default export alone.
      const names = { ...(exported.default as Record<string, unknown> | undefined), ...exported }
      const Made = names[signal === 'metrics' ? 'OTLPMetricExporter' : 'OTLPTraceExporter']
      if (typeof Made !== 'function') throw new Error('it has no exporter that pgbun knows')
      return new (Made as new () => Exporter<Data>)()
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      const missing = code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'
      faults.push({ name, reason: missing ? 'is not installed' : `cannot be used: ${message}` })
      return undefined
    }
  }
  const exporters = {
    metrics: await make<ResourceMetrics>('metrics', metrics),
    traces: await make<ReadableSpan[]>('trace', traces),
  }
  return { exporters, faults }
}
