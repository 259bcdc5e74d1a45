/** The one sweep (R14): three times a second all deadlines are compared; once per `stats_period` a line is logged. */

import { sweepSession } from '../client/timeouts.ts'
import { type Snapshot, totals } from '../observe/snapshot.ts'
import { statsFields } from '../observe/stats-fields.ts'
import type { Counters } from '../pool/counters.ts'
import type { HostMonitor } from '../routing/host-monitor.ts'
import type { Router } from '../routing/router.ts'
import { every, now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { Crowd } from './crowd.ts'
import type { Registry } from './registry.ts'

/** PgBouncer's own pace. */
const PERIOD_MS = 333

/** What it looks after. */
export interface JanitorParts {
  registry: Registry
  router: Router
  monitor: HostMonitor
  statsPeriodMs: () => number
  snapshot: () => Snapshot
  /** Called when many clients have left. */
  onCrowdLeft: () => void
  log: Logger
}

/** Start sweeping; call the result to stop. */
export function startJanitor(parts: JanitorParts): () => void {
  let statsAt = now()
  let before: Counters | undefined
  const crowd = new Crowd()
  return every(PERIOD_MS, () => {
    const at = now()
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
    const period = parts.statsPeriodMs()
    if (period === 0 || at - statsAt < period) return
    const snapshot = parts.snapshot()
    const fields = statsFields(snapshot, before, at - statsAt)
    if (fields) parts.log.info('stats', fields)
    before = totals(snapshot)
    statsAt = at
  })
}
