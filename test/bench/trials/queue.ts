/**
 * Latency under load: a thousand clients on twenty servers, each asking again as soon as it is served. PostgreSQL itself
 * says how long it was busy with each request; an ideal queue over these very times (queue-model.ts) says what the
 * waiting must be. What goes beyond is the pool's: an unfair order, or servers left idle while somebody waits.
 *
 * The requests sleep, so that servers, and not the processors of the machine, are what is short.
 */
import { POOL_SIZE, type Setup } from '../cases.ts'
import { quantile } from '../statistics.ts'
import type { Target } from '../targets.ts'
import { inParallel } from '../wire-client.ts'
import { simulateQueue } from './queue-model.ts'
import { clientsOf, column, type Figures, type Trial, type TrialContext } from './trial.ts'

const CLIENTS = 1000
/** How long requests sleep, in seconds, in turn: most of them short, one in ten long. */
const SLEEPS = [0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.05, 0.01, 0.01, 0.01]

/** Many clients in the queue of a few servers. */
export function queueTrial(name: string, title: string, setup: Setup): Trial {
  return {
    name,
    title,
    setup,
    without: ['direct'],
    columns: [
      column('clients', 'clients', 0),
      column('requests', 'requests', 0),
      column('p50', 'p50 ms', 0),
      column('p99', 'p99 ms', 0),
      column('p999', 'p99.9 ms', 0),
      column('idealP50', 'ideal p50', 0),
      column('idealP99', 'ideal p99', 0),
      column('idealP999', 'ideal p99.9', 0),
      column('p50ToIdeal', 'p50 × ideal', 3),
      column('p999ToIdeal', 'p99.9 × ideal', 3),
    ],
    measure,
  }
}

async function measure(context: TrialContext, target: Target): Promise<Figures> {
  const { quick } = context
  const count = quick ? 200 : CLIENTS
  const { open, connect, leave } = clientsOf(context, target)
  await inParallel(count, 50, async () => void (await connect()))
  const clients = [...open]
  // Opens the pool's connections.
  await Promise.all(clients.slice(0, 50).map((client) => client.query('SELECT pg_sleep(0.05)')))

  const latencies: number[] = []
  const services: number[] = []
  let asked = 0
  const until = performance.now() + (quick ? 3000 : 20_000)
  await Promise.all(
    clients.map(async (client) => {
      while (performance.now() < until) {
        const before = performance.now()
        const sleep = SLEEPS[asked++ % SLEEPS.length]
        const [, busy] = await client.query(
          `SELECT pg_sleep(${sleep}), extract(epoch FROM clock_timestamp() - statement_timestamp()) * 1000`,
        )
        latencies.push(performance.now() - before)
        services.push(Number(busy))
      }
    }),
  )
  leave()
  // At the beginning all ask at once, at the end nobody asks again: neither is how it is in between.
  const real = steady(latencies, count)
  const ideal = steady(simulateQueue(count, POOL_SIZE, services), count)
  const [p50, p99, p999] = [0.5, 0.99, 0.999].map((share) => quantile(real, share)) as [number, number, number]
  const [idealP50, idealP99, idealP999] = [0.5, 0.99, 0.999].map((share) => quantile(ideal, share)) as [
    number,
    number,
    number,
  ]
  const ratios = { p50ToIdeal: p50 / idealP50, p999ToIdeal: p999 / idealP999 }
  return { clients: count, requests: real.length, p50, p99, p999, idealP50, idealP99, idealP999, ...ratios }
}

/** Without the first two rounds and the last one, sorted. */
function steady(latencies: readonly number[], clients: number): number[] {
  const middle = latencies.slice(2 * clients, -clients)
  if (middle.length < clients) throw new Error(`only ${latencies.length} requests of ${clients} clients were served`)
  return middle.sort((a, b) => a - b)
}
