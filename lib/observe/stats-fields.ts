/**
 * What the line of statistics says, once per `stats_period`: a pure function of two looks at the counters. What ends in
 * `_total` counts from the start of the process and never goes down.
 */

import type { Counters } from '../pool/counters.ts'
import { type CountSnapshot, totals } from './snapshot.ts'

/** Something happens where one of these moves. */
const ACTIVITY = ['logins', 'transactions', 'queries', 'received', 'sent', 'leases'] as const

/** What happened in the `ms` milliseconds since the counters were `before`; undefined where nothing did. */
export function statsFields(
  snapshot: CountSnapshot,
  before: Counters | undefined,
  ms: number,
): Record<string, number> | undefined {
  const sum = totals(snapshot)
  const since = (name: keyof Counters): number => sum[name] - (before?.[name] ?? 0)
  const waiting = snapshot.pools.reduce((count, pool) => count + pool.waiting, 0)
  if (waiting === 0 && ACTIVITY.every((name) => since(name) === 0)) return undefined
  const rate = (name: keyof Counters): number => rounded((since(name) / ms) * 1000)
  const mean = (name: keyof Counters, of: keyof Counters): number => rounded(since(name) / Math.max(1, since(of)))
  return {
    clients: snapshot.clientCount,
    waiting,
    servers: snapshot.servers.length,
    logins_per_s: rate('logins'),
    transactions_per_s: rate('transactions'),
    queries_per_s: rate('queries'),
    bytes_in_per_s: rate('received'),
    bytes_out_per_s: rate('sent'),
    transaction_ms: mean('transactionTime', 'transactions'),
    wait_ms: mean('waitTime', 'leases'),
    leases_total: sum.leases,
    connections_opened_total: sum.opened,
  }
}

/** Three digits: what is rare is not shown as nothing. */
function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3))
}
