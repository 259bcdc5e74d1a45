/** Reads what metrics say of the process itself. */

import type { View } from '../admin/view.ts'
import type { ClientPorts } from '../client/lifecycle/ports.ts'
import type { Readiness } from '../http/ports.ts'
import type { ProcessView } from '../observe/own-metrics.ts'
import type { Histogram } from '../util/histogram.ts'

/** What is read. */
export interface ProcessParts {
  view(): View
  readiness(): Readiness
  /** How late timers are. */
  readonly lag: Histogram
  readonly clientPorts: Pick<ClientPorts, 'statements' | 'log'>
}

/** The process as it is now. */
export function viewProcess({ view, lag, readiness, clientPorts }: ProcessParts): ProcessView {
  const { state, memory, certificates } = view()
  const { draining, suspended, reloadFailure } = readiness()
  const { user, system } = process.cpuUsage()
  const { bun, node } = process.versions
  const texts = [...clientPorts.statements.all()]
  return {
    runtime: bun === undefined ? 'node' : 'bun',
    runtimeVersion: bun ?? node,
    cpu: (user + system) / 1e6,
    lag: lag.counts(),
    memory: memory(),
    prepared: { texts: texts.length, names: texts.reduce((sum, { entry }) => sum + entry.names, 0) },
    certificates: certificates(),
    paused: state.paused,
    suspended,
    draining,
    reloaded: reloadFailure === '',
  }
}
