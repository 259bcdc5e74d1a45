/**
 * Connecting over TLS as a client does that keeps its TLS session: connect, one query, disconnect, eight clients at a
 * time. PostgreSQL offers no session; what is paid for a full handshake each time is seen there.
 */
import type { Setup } from '../cases.ts'
import { readUsage } from '../process-meter.ts'
import { quantile } from '../statistics.ts'
import type { Target } from '../targets.ts'
import { WireClient } from '../wire-client.ts'
import { column, type Figures, type Trial, type TrialContext } from './trial.ts'

const CLIENTS = 8

/** Reconnecting with TLS sessions where the server has them. */
export function resumeTrial(name: string, title: string, setup: Setup): Trial {
  return {
    name,
    title,
    setup,
    without: [],
    columns: [
      column('clients', 'clients', 0),
      column('perSecond', 'per second', 0),
      column('resumed', 'resumed', 2),
      column('p50', 'p50 ms', 2),
      column('p99', 'p99 ms', 2),
      column('cpu', 'CPU µs', 0),
    ],
    measure,
  }
}

async function measure({ quick }: TrialContext, { host, port, pid }: Target): Promise<Figures> {
  let session: Buffer | undefined
  const onSession = (offered: Buffer): void => {
    session = offered
  }
  let times: number[] = []
  let resumed = 0
  const work = async (until: number): Promise<void> => {
    while (performance.now() < until) {
      const before = performance.now()
      const client = await WireClient.connect({ host, port, tls: true, session, onSession })
      await client.query('SELECT 1')
      times.push(performance.now() - before)
      if (client.resumed) resumed++
      client.end()
    }
  }
  const run = async (milliseconds: number): Promise<number> => {
    times = []
    resumed = 0
    const began = performance.now()
    await Promise.all(Array.from({ length: CLIENTS }, () => work(began + milliseconds)))
    return performance.now() - began
  }
  await run(quick ? 200 : 1000)
  const before = pid === undefined ? undefined : readUsage(pid)
  const took = await run(quick ? 1000 : 5000)
  const after = pid === undefined ? undefined : readUsage(pid)
  times.sort((a, b) => a - b)
  return {
    clients: CLIENTS,
    perSecond: (times.length * 1000) / took,
    resumed: resumed / times.length,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    cpu: before && after ? (after.user + after.system - before.user - before.system) / times.length : Number.NaN,
  }
}
