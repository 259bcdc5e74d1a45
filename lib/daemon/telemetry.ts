/**
 * What a process sends to a collector of OpenTelemetry: otel/ sends what is read here. Nothing of it is loaded where nobody
 * asks for it.
 */

import { randomUUID } from 'node:crypto'
import os from 'node:os'
import type { OtelSettings } from '../config/otel-env.ts'
import type { PackageFault } from '../otel/packages.ts'
import type { Telemetry } from '../otel/telemetry.ts'
import { type ProcessParts, viewProcess } from './process-view.ts'

/** What is read. */
export interface TelemetryParts extends ProcessParts {
  readonly version: string
  /** When the process was started, in milliseconds since 1970. */
  readonly startedAt: number
}

/** The last of it is sent within so many ms at the end, and within the second where somebody is in a hurry. */
export const FAREWELL_MS = 2000
export const HURRIED_FAREWELL_MS = 200

/** Send what `settings` say from now on; undefined where nothing can be sent, which is said in the log. */
export async function startTelemetry(settings: OtelSettings, parts: TelemetryParts): Promise<Telemetry | undefined> {
  const { version, startedAt, clientPorts } = parts
  const { log } = clientPorts
  const { loadExporters } = await import('../otel/packages.ts')
  const { exporters, faults } = await loadExporters(settings)
  if (faults.length > 0) log.warn(...complaintOf(faults))
  if (exporters.metrics === undefined && exporters.traces === undefined) return undefined
  const { Telemetry } = await import('../otel/telemetry.ts')
  const { familiesOf } = await import('../http/families.ts')
  const telemetry = new Telemetry({
    exporters,
    metricIntervalMs: settings.metricIntervalMs,
    spanDelayMs: settings.spanDelayMs,
    resource: { attributes: { ...ownAttributes(version), ...settings.resource } },
    scope: { name: 'pgbun', version },
    startedAt,
    families: () => familiesOf(parts.view(), viewProcess(parts)),
    log,
  })
  log.info('OpenTelemetry: a collector is sent what goes on', {
    metrics: exporters.metrics && settings.metrics,
    interval_ms: exporters.metrics && settings.metricIntervalMs,
    spans: exporters.traces && settings.traces,
  })
  return telemetry
}

function complaintOf(faults: readonly PackageFault[]): [message: string, fields: { remedy: string }] {
  const names = faults.map(({ name }) => name)
  const what = names.length === 2 ? 'metrics and spans' : names[0]!.includes('-metrics-') ? 'metrics' : 'spans'
  const remedy = `npm install ${names.join(' ')} (with -g where pgbun is installed so)`
  const reasons = faults.map(({ name, reason }) => `${name} ${reason}`)
  return [`OpenTelemetry: no ${what} are sent: ${reasons.join(', ')}`, { remedy }]
}

function ownAttributes(version: string): Record<string, string | number> {
  return {
    'service.name': 'pgbun',
    'service.version': version,
    'service.instance.id': randomUUID(),
    'process.pid': process.pid,
    'host.name': os.hostname(),
  }
}
