/**
 * The log of single transactions that `pgbench --log` writes, and pg-load.ts in the same format: client, number,
 * latency in µs, script, seconds and microseconds of the end. Pure.
 *
 * Lines of transactions that failed or were skipped have a word in place of the latency and are not counted.
 */

/** One finished transaction. */
export interface LoggedTransaction {
  client: number
  /** End, in milliseconds since 1970. */
  at: number
  /** Microseconds. */
  latency: number
}

/** Every finished transaction of the logs (one per thread of the generator), by the time of its end. */
export function parseTransactionLogs(texts: readonly string[]): LoggedTransaction[] {
  const transactions: LoggedTransaction[] = []
  for (const text of texts) {
    for (const line of text.split('\n')) {
      const [client, , latency, , seconds, micros] = line.split(' ')
      if (micros === undefined || !/^\d+$/.test(latency!)) continue
      transactions.push({
        client: Number(client),
        at: Number(seconds) * 1000 + Number(micros) / 1000,
        latency: Number(latency),
      })
    }
  }
  return transactions.sort((a, b) => a.at - b.at)
}

/**
 * The same transactions with the time since the end of the same client's one before as latency: what connecting, the
 * query and disconnecting took together. pgbench's own latency leaves the connecting out. The first of each client has
 * no predecessor and is dropped.
 */
export function cycleTimes(transactions: readonly LoggedTransaction[]): LoggedTransaction[] {
  const ends = new Map<number, number>()
  const cycles: LoggedTransaction[] = []
  for (const transaction of transactions) {
    const before = ends.get(transaction.client)
    ends.set(transaction.client, transaction.at)
    if (before !== undefined) cycles.push({ ...transaction, latency: (transaction.at - before) * 1000 })
  }
  return cycles
}
