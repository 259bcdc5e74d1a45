/** The ideal queue that a pool is compared with: first come, first served, and handing over costs nothing. Pure. */

/**
 * Clients that each ask again as soon as they are served, in front of so many servers: how long each request takes from
 * asking to being served, in the order in which they end.
 *
 * @param services how long a server is busy with each request, in the order in which they begin; in any unit
 */
export function simulateQueue(clients: number, servers: number, services: readonly number[]): number[] {
  // All ask at time 0; who is served asks again behind everybody who waits.
  const waiting: number[] = new Array<number>(clients).fill(0)
  const busy: { end: number; asked: number }[] = []
  const latencies: number[] = []
  let first = 0
  let begun = 0
  let now = 0
  while (latencies.length < services.length) {
    while (busy.length < servers && first < waiting.length && begun < services.length) {
      insert(busy, { end: now + services[begun++]!, asked: waiting[first++]! })
    }
    const served = busy.shift()!
    now = served.end
    latencies.push(now - served.asked)
    waiting.push(now)
  }
  return latencies
}

/** Keeps `list` in the order of the ends; what ends at the same time stays in the order in which it began. */
function insert(list: { end: number; asked: number }[], entry: { end: number; asked: number }): void {
  let at = list.length
  while (at > 0 && list[at - 1]!.end > entry.end) at--
  list.splice(at, 0, entry)
}
