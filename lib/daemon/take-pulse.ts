/** Reads the live objects into a Pulse: sums only, so that a look once a second costs next to nothing with thousands of pools. */

import type { Pulse } from '../observe/pulse.ts'
import { addCounters } from '../pool/counters.ts'
import type { Durations } from '../pool/durations.ts'
import type { Router } from '../routing/router.ts'
import { now } from '../util/clock.ts'
import { emptyCounts } from '../util/histogram.ts'
import type { ErrorCounts } from './error-counts.ts'
import type { Registry } from './registry.ts'

/** What is read. */
export interface PulseParts {
  readonly registry: Pick<Registry, 'admitted'>
  readonly router: Pick<Router, 'pools' | 'forgotten' | 'durations'>
  readonly errors: Pick<ErrorCounts, 'total'>
}

/** The process in a few numbers. */
export function takePulse({ registry, router, errors }: PulseParts): Pulse {
  const at = now()
  const counters = { ...router.forgotten }
  const query = emptyCounts()
  const told = new Set<Durations>([router.durations.others])
  let [waiting, maxWait, servers, active] = [0, 0, 0, 0]
  for (const pool of router.pools()) {
    addCounters(counters, pool.counters)
    told.add(pool.durations)
    const first = pool.waiters.first
    waiting += pool.waiters.size
    if (first) maxWait = Math.max(maxWait, at - first.waitingSince)
    const lent = pool.count('active')
    active += lent
    servers += lent + pool.count('idle') + pool.count('busy') + pool.count('draining') + pool.count('beingCanceled')
  }
  for (const durations of told) durations.query.addTo(query)
  const { transactions, queries, received, sent } = counters
  return {
    at: Date.now(),
    counters: { transactions, queries, received, sent },
    errors: errors.total,
    query,
    clients: registry.admitted,
    ...{ waiting, maxWait, servers, active },
  }
}
