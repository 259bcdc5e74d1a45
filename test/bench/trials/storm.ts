/** Everybody at once: thousands of clients connect in the same moment, run a query each, and stay until all have. */
import type { Setup } from '../cases.ts'
import { quantile } from '../statistics.ts'
import type { Target } from '../targets.ts'
import { WireClient } from '../wire-client.ts'
import { affordable, column, type Figures, type Trial, type TrialContext } from './trial.ts'

/** Connect and one query, of all clients at once. */
export function stormTrial(name: string, title: string, setup: Setup): Trial {
  return {
    name,
    title,
    setup,
    // A process for each is not what PostgreSQL is for.
    without: ['direct'],
    columns: [
      column('clients', 'clients', 0),
      column('perSecond', 'per second', 0),
      column('p50', 'p50 ms', 0),
      column('p99', 'p99 ms', 0),
      column('last', 'last ms', 0),
      column('failed', 'failed', 0),
    ],
    measure,
  }
}

async function measure({ owner, quick }: TrialContext, { host, port }: Target): Promise<Figures> {
  const count = quick ? 500 : affordable(5000)
  const open: WireClient[] = []
  owner.teardown(() => {
    for (const { socket } of open) socket.destroy()
  })
  const connect = async (): Promise<void> => {
    const client = await WireClient.connect({ host, port })
    open.push(client)
    await client.query('SELECT 1')
  }
  // Opens the pool's connections.
  await Promise.all(Array.from({ length: 50 }, connect))
  const times: number[] = []
  let failed = 0
  const began = performance.now()
  await Promise.all(
    Array.from({ length: count }, () =>
      connect().then(
        () => times.push(performance.now() - began),
        () => failed++,
      ),
    ),
  )
  if (times.length === 0) throw new Error('no client was served')
  times.sort((a, b) => a - b)
  for (const client of open) client.end()
  const last = times.at(-1)!
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)]
  return { clients: count, perSecond: (times.length * 1000) / last, p50, p99, last, failed }
}
