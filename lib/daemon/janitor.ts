/** The one sweep (R14): three times a second all deadlines are compared; once per `stats_period` a line is logged. */

import { sweepSession } from '../client/timeouts.ts'
import type { Snapshot } from '../observe/snapshot.ts'
import { totals } from '../observe/snapshot.ts'
import type { Router } from '../routing/router.ts'
import type { Counters } from '../session/counters.ts'
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
    parts.router.sweep(at)
    if (crowd.hasLeft(parts.registry.sessions.size, at)) parts.onCrowdLeft()
    const period = parts.statsPeriodMs()
    if (period === 0 || at - statsAt < period) return
    before = logStats(parts, before, (at - statsAt) / 1000)
    statsAt = at
  })
}

function logStats({ snapshot, log }: JanitorParts, before: Counters | undefined, seconds: number): Counters {
  const state = snapshot()
  const sum = totals(state)
  const rate = (name: keyof Counters): number => {
    // Pools that were forgotten take their counts with them: never a negative rate.
    return Math.max(0, Math.round(((sum[name] ?? 0) - (before?.[name] ?? 0)) / seconds))
  }
  const queries = Math.max(1, (sum.leases ?? 0) - (before?.leases ?? 0))
  const mean = (name: 'transactionTime' | 'waitTime'): string => {
    return `${(Math.max(0, (sum[name] ?? 0) - (before?.[name] ?? 0)) / queries).toFixed(2)}ms`
  }
  log.info('stats', {
    clients: state.clientCount,
    waiting: state.pools.reduce((count, pool) => count + pool.waiting, 0),
    servers: state.servers.length,
    'xacts/s': rate('transactions'),
    'queries/s': rate('queries'),
    'in B/s': rate('received'),
    'out B/s': rate('sent'),
    xact: mean('transactionTime'),
    wait: mean('waitTime'),
  })
  return sum
}
