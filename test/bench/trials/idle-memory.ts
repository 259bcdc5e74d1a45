/**
 * Resident memory per idle client: how much a proxy grows with each client that is logged in and silent, what a query
 * of each adds, and what is left of it when they have gone.
 *
 * The first clients only warm it up (code, tables, the young generation of a garbage-collected heap); the growth of the
 * many that follow is what counts. A second wave of as many shows whether what was left is used again.
 */
import type { Setup } from '../cases.ts'
import { readResident } from '../process-meter.ts'
import type { Target } from '../targets.ts'
import { inParallel, WireClient } from '../wire-client.ts'
import { affordable, clientsOf, column, type Figures, pause, type Trial, type TrialContext } from './trial.ts'

const WARM_UP = 500
/** Clients that connect at the same time. */
const AT_ONCE = 50

/** The trial for clients with or without TLS. */
export function idleMemoryTrial(name: string, title: string, setup: Setup): Trial {
  return {
    name,
    title,
    setup,
    without: ['direct'],
    columns: [
      column('clients', 'clients', 0),
      column('connected', 'connected kB', 1),
      column('afterQuery', 'after a query kB', 1),
      column('before', 'before MB', 0),
      column('full', 'full MB', 0),
      column('left', 'all left MB', 0),
      column('leftShare', 'growth kept', 2),
      column('secondWave', '2nd wave full MB', 0),
    ],
    measure: (context, target) => measureIdleMemory(context, target, setup.tls),
  }
}

async function measureIdleMemory(context: TrialContext, target: Target, tls: boolean): Promise<Figures> {
  const pid = target.pid!
  const { quick } = context
  const clients = quick ? 1000 : affordable(10_000 + WARM_UP) - WARM_UP
  const { open, connect, leave } = clientsOf(context, target, tls)
  const connectMany = (count: number): Promise<void> => inParallel(count, AT_ONCE, async () => void (await connect()))
  await connectMany(WARM_UP)
  const before = await settledResident(pid)
  await connectMany(clients)
  const connected = await settledResident(pid)
  const all = [...open]
  await inParallel(all.length, AT_ONCE, async (index) => {
    await all[index]!.query('SELECT 1')
  })
  const used = await settledResident(pid)
  leave()
  await work(target, tls, quick ? 1000 : 5000)
  const left = await settledResident(pid)
  await connectMany(WARM_UP + clients)
  const again = await settledResident(pid)
  leave()
  return {
    clients,
    connected: (connected - before) / clients / 1000,
    afterQuery: ((connected - before) / clients + (used - connected) / (clients + WARM_UP)) / 1000,
    before: before / 1e6,
    full: used / 1e6,
    left: left / 1e6,
    leftShare: Math.max(0, left - before) / (used - before),
    secondWave: again / 1e6,
  }
}

/** A little work, because a runtime without any has no reason to tidy up: one client that comes, asks, and goes. */
async function work({ host, port }: Target, tls: boolean, milliseconds: number): Promise<void> {
  for (const until = performance.now() + milliseconds; performance.now() < until; ) {
    const client = await WireClient.connect({ host, port, tls })
    for (let i = 0; i < 20; i++) await client.query('SELECT 1')
    client.end()
  }
}

/** Resident memory in bytes once it has stopped changing by more than 1 %, after a second and at most ten. */
export async function settledResident(pid: number): Promise<number> {
  const readings: number[] = []
  for (let i = 0; i < 50; i++) {
    readings.push(readResident(pid))
    const recent = readings.slice(-6)
    if (recent.length === 6 && Math.max(...recent) - Math.min(...recent) < 0.01 * recent[5]!) break
    await pause(200)
  }
  return readings.at(-1)!
}
