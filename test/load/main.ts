/**
 * What load-test.ts and transaction-test.ts have in common: arguments, servers, the run, its result as one JSON document
 * on standard output, and the exit code.
 */
import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import type { Teardown } from '../fixtures/postgres.ts'
import { type Address, type LoadArguments, type LoadTest, readArguments, UsageError, usage } from './arguments.ts'
import type { Run } from './client.ts'
import { type Counters, logCounters, reusePercent, type Uncounted } from './counters.ts'
import { drive, interrupted } from './drive.ts'
import { checkMode } from './mode-check.ts'
import { showProgress } from './progress.ts'
import { checkTables, setUp } from './set-up.ts'
import { round, Tally } from './tally.ts'

const INTERRUPTED = 130

/** Runs `test` and ends the process. */
export async function main(test: LoadTest): Promise<never> {
  let args: LoadArguments
  try {
    args = readArguments(test, process.argv.slice(2), process.env)
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    process.stderr.write(`${test.name}: ${error.message}\n`)
    process.exit(2)
  }
  if (args.help) {
    process.stdout.write(usage(test))
    process.exit(0)
  }

  const stop = new AbortController()
  // Each client that pauses listens.
  setMaxListeners(0, stop.signal)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // The second time, nothing is waited for; servers that the script has started end with it.
      if (stop.signal.aborted) process.exit(INTERRUPTED)
      stop.abort()
    })
  }
  const cleanups: (() => unknown)[] = []
  const owner: Teardown = { teardown: (cleanup: () => unknown) => void cleanups.unshift(cleanup) }

  const { result, tally } = await measure(test, args, owner, stop.signal)
  for (const cleanup of cleanups) {
    await Promise.resolve()
      .then(cleanup)
      .catch((error: unknown) => tally.failed(error, 'stopping'))
  }
  const text = `${JSON.stringify({ ...result(), errors: tally.errors, error_messages: tally.messages }, null, 2)}\n`
  await new Promise<void>((resolve) => process.stdout.write(text, () => resolve()))
  if (stop.signal.aborted) process.exit(INTERRUPTED)
  process.exit(tally.errors + tally.mixUps > 0 ? 1 : 0)
}

async function measure(test: LoadTest, args: LoadArguments, owner: Teardown, stop: AbortSignal) {
  const { mode, concurrency, durationMs } = args
  const scenario = test.scenarios[args.scenario]!
  const tally = new Tally()
  let tookMs = 0
  let counted: Awaited<ReturnType<Counters['end']>> = { reason: 'there was no run' }

  async function steps(): Promise<void> {
    const servers = await step('starting', startOrFind(args, owner))
    if (!servers) return
    const run: Run = {
      id: randomUUID(),
      address: servers.address,
      tally,
      statementsOnly: mode === 'statement',
      stop,
    }
    servers.counters.begin()
    if (
      !(await step(
        'setting up',
        setUp(run).then(() => true),
      ))
    )
      return
    if (
      !(await step(
        'checking the mode',
        checkMode(servers.address, mode, concurrency).then(() => true),
      ))
    )
      return

    const endProgress = showProgress(tally, durationMs)
    tookMs = await drive(run, { scenario, concurrency, durationMs, inSessions: mode === 'session' })
    endProgress()
    // A session had a server at least once; how often is for pgbun to say.
    const needed = { leases: tally.sessions, until: Date.now() }
    const checked = checkTables(run).catch((error: unknown) => tally.failed(error, 'checking the tables'))
    await Promise.race([checked, interrupted(stop)])
    counted = await servers.counters.end(needed, stop)
  }

  /** The result of `work`; undefined where it failed, which is noted, or where the script is interrupted before. */
  async function step<T>(name: string, work: Promise<T>): Promise<T | undefined> {
    try {
      return await Promise.race([work, aborted(stop)])
    } catch (error) {
      tally.failed(error, name)
      return undefined
    }
  }

  await steps().catch((error: unknown) => tally.failed(error))
  const result = () => ({
    test: test.name,
    mode,
    scenario: args.scenario,
    concurrency,
    duration_s: round(tookMs / 1000),
    total_queries: tally.queries,
    total_transactions: tally.transactions,
    errors: 0,
    error_messages: [] as unknown[],
    mix_ups: tally.mixUps,
    avg_latency_ms: tally.latencies.avg,
    p50_latency_ms: tally.latencies.percentile(50),
    p95_latency_ms: tally.latencies.percentile(95),
    p99_latency_ms: tally.latencies.percentile(99),
    throughput_qps: tookMs > 0 ? round((tally.queries / tookMs) * 1000) : 0,
    ...reuse(counted),
  })
  return { result, tally }
}

function reuse(counted: Awaited<ReturnType<Counters['end']>>) {
  const failed = (counted as Uncounted).reason
  if (!('from' in counted)) {
    return { reuse_efficiency_percent: null, server_connections_opened: null, counters_from: `none: ${failed}` }
  }
  return {
    reuse_efficiency_percent: reusePercent(counted),
    server_connections_opened: counted.opened,
    counters_from: counted.from,
  }
}

async function startOrFind(args: LoadArguments, owner: Teardown): Promise<{ address: Address; counters: Counters }> {
  if (args.address) return { address: args.address, counters: logCounters(process.env.PGBUN_LOG) }
  // Read only where it is wanted: elsewhere neither pgbun nor PostgreSQL's package need be there.
  const { startOwn } = await import('./own-server.ts')
  return startOwn(owner, args)
}

function aborted(stop: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve(undefined)
    else stop.addEventListener('abort', () => resolve(undefined))
  })
}
