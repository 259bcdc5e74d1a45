/** Everybody at once: thousands of clients connect in the same moment, run a query each, and stay until all have. */
import type { Setup } from '../cases.ts'
import { quantile } from '../statistics.ts'
import type { Target } from '../targets.ts'
import { affordable, clientsOf, column, type Figures, type Trial, type TrialContext } from './trial.ts'

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

async function measure(context: TrialContext, target: Target): Promise<Figures> {
  const count = context.quick ? 500 : affordable(5000)
  const { connect, leave } = clientsOf(context, target)
  const connectAndAsk = async (): Promise<unknown> => (await connect()).query('SELECT 1')
  // Opens the pool's connections.
  await Promise.all(Array.from({ length: 50 }, connectAndAsk))
  const times: number[] = []
  let failed = 0
  const began = performance.now()
  await Promise.all(
    Array.from({ length: count }, () =>
      connectAndAsk().then(
        () => times.push(performance.now() - began),
        () => failed++,
      ),
    ),
  )
  if (times.length === 0) throw new Error('no client was served')
  times.sort((a, b) => a - b)
  leave()
  const last = times.at(-1)!
  const [p50, p99] = [quantile(times, 0.5), quantile(times, 0.99)]
  return { clients: count, perSecond: (times.length * 1000) / last, p50, p99, last, failed }
}
