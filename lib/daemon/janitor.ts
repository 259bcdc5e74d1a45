/** The one sweep (R14): three times a second all deadlines are compared; once per `stats_period` a line is logged. */

import { sweepSession } from '../client/timeouts.ts'
import type { Averages } from '../observe/averages.ts'
import { type CountSnapshot, totals } from '../observe/snapshot.ts'
import { statsFields } from '../observe/stats-fields.ts'
import type { Counters } from '../pool/counters.ts'
import type { HostMonitor } from '../routing/host-monitor.ts'
import type { Router } from '../routing/router.ts'
import { every, now } from '../util/clock.ts'
import type { Histogram } from '../util/histogram.ts'
import type { Logger } from '../util/logger.ts'
import { Crowd } from './crowd.ts'
import type { Registry } from './registry.ts'

/** PgBouncer's own pace. */
const PERIOD_MS = 333

/** Averages are made over so long where no statistics are logged. */
const AVERAGE_MS = 60_000

/** What it looks after. */
export interface JanitorParts {
  registry: Registry
  router: Router
  monitor: HostMonitor
  /** While it is suspended nothing is due. */
  control: { readonly suspended: boolean }
  averages: Averages
  statsPeriodMs: () => number
  counts: () => CountSnapshot
  /** Told how much later than it should have each sweep begins: so long clients have waited for the event loop. */
  lag: Histogram
  /** Called when many clients have left. */
  onCrowdLeft: () => void
  log: Logger
}

/** Start sweeping; call the result to stop. */
export function startJanitor(parts: JanitorParts): () => void {
  let statsAt = now()
  let before: Counters | undefined
  const crowd = new Crowd()
  let sweptAt = statsAt
  return every(PERIOD_MS, () => {
    const at = now()
    parts.lag.record(Math.max(0, at - sweptAt - PERIOD_MS))
    sweptAt = at
    if (parts.control.suspended) return
    for (const session of parts.registry.sessions) {
      try {
        sweepSession(session, at)
      } catch (error) {
        session.onFault(error)
      }
    }
    parts.monitor.sweep(at)
    parts.router.sweep(at)
    if (crowd.hasLeft(parts.registry.sessions.size, at)) parts.onCrowdLeft()
    const period = parts.statsPeriodMs() || AVERAGE_MS
    if (at - statsAt < period) return
    const counts = parts.counts()
    parts.averages.periodOver(counts, at - statsAt)
    const fields = statsFields(counts, before, at - statsAt)
    if (fields && parts.statsPeriodMs() > 0) parts.log.info('stats', fields)
    before = totals(counts)
    statsAt = at
  })
}
