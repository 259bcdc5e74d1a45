/**
 * What one run of a load amounts to: throughput, latencies and processor time of one and the same stretch of time, in
 * which all clients were connected and the programs were warm. Pure.
 *
 * Throughput counts the transactions that ended between two readings of the proxy's processor time, so that neither the
 * connecting at the beginning nor the waiting for the last ones is part of a figure.
 */
import type { Usage } from './process-meter.ts'
import { quantile } from './statistics.ts'
import type { LoggedTransaction } from './transaction-log.ts'

/** Processor time of the proxy, read at a moment. */
export interface Reading {
  /** Milliseconds since 1970. */
  at: number
  /** Undefined where there is no proxy, or its processor time cannot be read. */
  usage: Usage | undefined
  /** Resident memory of the proxy in bytes; undefined where there is no proxy. */
  resident: number | undefined
  /** Milliseconds it spent in garbage collection so far; undefined where that is not known. */
  gc: number | undefined
}

/** The figures of one run. */
export interface Measurement {
  /** Transactions in the window, and per second. */
  transactions: number
  perSecond: number
  /** Latencies in milliseconds. */
  p50: number
  p99: number
  p999: number
  /** Processor time of the proxy per transaction in microseconds; undefined for a direct connection. */
  cpu: { user: number; system: number } | undefined
  /** Most resident memory of the proxy in the window, in bytes; undefined for a direct connection. */
  resident: number | undefined
  /** Time in garbage collection per transaction in microseconds, where it is known. */
  gc: number | undefined
}

/** Share of the run that is left out at its beginning. */
const WARM_UP = 0.15

/**
 * @param transactions by time of their end
 * @param readings by time; the window begins and ends with one of them
 * @throws Error where the run was too short to have a window
 */
export function measureWindow(transactions: readonly LoggedTransaction[], readings: readonly Reading[]): Measurement {
  const first = transactions[0]?.at
  const last = transactions.at(-1)?.at
  if (first === undefined || last === undefined) throw new Error('no transaction was finished')
  const earliest = first + (last - first) * WARM_UP
  const from = readings.find((reading) => reading.at >= earliest)
  const to = readings.findLast((reading) => reading.at <= last)
  if (from === undefined || to === undefined || to.at <= from.at) {
    throw new Error(`only ${transactions.length} transactions in ${Math.round(last - first)} ms: too few to measure`)
  }
  const latencies: number[] = []
  for (const { at, latency } of transactions) if (at > from.at && at <= to.at) latencies.push(latency)
  if (latencies.length === 0) throw new Error('no transaction was finished in the measured time')
  latencies.sort((a, b) => a - b)
  return {
    transactions: latencies.length,
    perSecond: (latencies.length * 1000) / (to.at - from.at),
    p50: quantile(latencies, 0.5) / 1000,
    p99: quantile(latencies, 0.99) / 1000,
    p999: quantile(latencies, 0.999) / 1000,
    cpu: perTransaction(from.usage, to.usage, latencies.length),
    gc: gcPerTransaction(readings, from, to, latencies.length),
    resident: mostResident(readings.slice(readings.indexOf(from), readings.indexOf(to) + 1)),
  }
}

function gcPerTransaction(readings: readonly Reading[], from: Reading, to: Reading, count: number): number | undefined {
  // Some readings have none: the file was being written.
  const known = readings.filter(({ at, gc }) => gc !== undefined && at >= from.at && at <= to.at)
  if (known.length < 2) return undefined
  const [first, last] = [known[0]!, known.at(-1)!]
  const share = (last.at - first.at) / (to.at - from.at)
  return ((last.gc! - first.gc!) * 1000) / (count * share)
}

function mostResident(readings: readonly Reading[]): number | undefined {
  const values = readings.flatMap(({ resident }) => (resident === undefined ? [] : [resident]))
  return values.length > 0 ? Math.max(...values) : undefined
}

function perTransaction(from: Usage | undefined, to: Usage | undefined, count: number): Measurement['cpu'] {
  if (from === undefined || to === undefined) return undefined
  return { user: (to.user - from.user) / count, system: (to.system - from.system) / count }
}
