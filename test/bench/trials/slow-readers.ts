/**
 * A hundred clients that read a result of 1 GB slowly: how much memory the proxy takes for each, and what a client with
 * small queries notices of them.
 */
import { frontend } from '../../fixtures/messages.ts'
import type { Setup } from '../cases.ts'
import { readResident } from '../process-meter.ts'
import { quantile } from '../statistics.ts'
import type { Target } from '../targets.ts'
import type { WireClient } from '../wire-client.ts'
import { settledResident } from './idle-memory.ts'
import { clientsOf, column, type Figures, pause, type Trial, type TrialContext } from './trial.ts'

/** Rows of 1000 bytes as PostgreSQL makes them, so that it holds nothing back itself. */
const RESULT = "SELECT generate_series(1, 1000000), repeat('x', 1000)"
/** Between two chunks of a reader, in milliseconds. */
const READ_PERIOD = 100

/** Clients that read slowly, and one that does not. */
export function slowReadersTrial(name: string, title: string, setup: Setup): Trial {
  return {
    name,
    title,
    setup,
    without: ['direct'],
    columns: [
      column('readers', 'readers', 0),
      column('growth', 'growth MB', 1),
      column('perReader', 'kB per reader', 0),
      column('aloneP50', 'alone p50 ms', 2),
      column('aloneP99', 'alone p99 ms', 2),
      column('besideP50', 'beside p50 ms', 2),
      column('besideP99', 'beside p99 ms', 2),
    ],
    measure,
  }
}

async function measure(context: TrialContext, target: Target): Promise<Figures> {
  const { quick } = context
  const { pid } = target
  const readers = quick ? 20 : 100
  const { open, connect } = clientsOf(context, target)
  const fast = await connect()
  const slow: WireClient[] = []
  for (let i = 0; i < readers; i++) slow.push(await connect())
  // What any large result costs once (buffers, the young generation of the heap) is no reader's.
  await fast.query("SELECT repeat('x', 1000) FROM generate_series(1, 50000)")
  await askFor(fast, 500)
  const alone = await askFor(fast, quick ? 1000 : 5000)
  const before = await settledResident(pid!)
  let most = before
  const watch = setInterval(() => {
    most = Math.max(most, readResident(pid!))
  }, 50)
  for (const client of slow) readSlowly(client)
  await pause(quick ? 500 : 2000)
  const beside = await askFor(fast, quick ? 2000 : 15_000)
  clearInterval(watch)
  if (slow.some(({ socket }) => socket.destroyed)) throw new Error('a slow reader was closed')
  for (const { socket } of open) socket.destroy()
  return {
    readers,
    growth: (most - before) / 1e6,
    perReader: (most - before) / readers / 1000,
    aloneP50: quantile(alone, 0.5),
    aloneP99: quantile(alone, 0.99),
    besideP50: quantile(beside, 0.5),
    besideP99: quantile(beside, 0.99),
  }
}

/** Takes a chunk of the result, then none for a while. */
function readSlowly({ socket }: WireClient): void {
  socket.removeAllListeners('data')
  socket.on('data', () => {
    socket.pause()
    setTimeout(() => socket.resume(), READ_PERIOD).unref()
  })
  socket.write(frontend.query(RESULT))
}

/** Latencies of one query after the other for so many milliseconds, in milliseconds, sorted. */
async function askFor(client: WireClient, milliseconds: number): Promise<number[]> {
  const latencies: number[] = []
  for (const until = performance.now() + milliseconds; performance.now() < until; ) {
    const before = performance.now()
    await client.query('SELECT 1')
    latencies.push(performance.now() - before)
  }
  return latencies.sort((a, b) => a - b)
}
