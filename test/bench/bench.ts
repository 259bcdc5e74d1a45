/**
 * `npm run bench`: pgbun beside a direct connection and PgBouncer, in one run on one machine. See arguments.ts for the
 * options, cases.ts for what is measured, budgets.ts for what is expected.
 *
 * The report goes to standard output, progress to standard error. Exit code 0 also where budgets are missed; 1 where
 * something could not be measured, 2 for a mistake on the command line.
 */
import '../fixtures/build.ts'
import { writeFileSync } from 'node:fs'
import { type BenchOptions, HELP, parseBenchArguments } from './arguments.ts'
import { judge } from './budgets.ts'
import { CASES, type Case, type Setup } from './cases.ts'
import { measureDetails } from './details.ts'
import { findProgram, versionOf } from './find-program.ts'
import { chooseGenerator } from './generators.ts'
import { type Generator, runLoad } from './load.ts'
import { inspectMachine } from './machine.ts'
import { Owner } from './owner.ts'
import { preparesInTransactions } from './pgbouncer.ts'
import { startBenchPostgres } from './postgres.ts'
import { renderBudgets, renderCase, renderHead, renderReport, renderTrial } from './report.ts'
import type { BenchResults, Point, TargetRuns, TrialResult } from './results.ts'
import { type Contestants, chooseRuntimes, startTargets, type Target } from './targets.ts'
import type { Trial } from './trials/trial.ts'
import { TRIALS } from './trials/trials.ts'

/** Where a case has so many, its details are measured with them, otherwise with the most it has. */
const DETAILED_CLIENTS = 32

/** What JavaScript runs is compiled while it runs, for the last time only after many calls: so many transactions, or so long. */
const WARM_TRANSACTIONS = 60_000
const WARM_SECONDS = 10
const COMPILED = new Set(['pgbun', 'unshared', 'observed', 'unobserved', 'relay'])

const owner = new Owner()
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    interrupted = true
    progress('ending')
    owner.end().then(() => process.exit(130))
  })
}

function readOptions(): BenchOptions {
  try {
    return parseBenchArguments(process.argv.slice(2))
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(2)
  }
}

/** Says what happens now: in place on a terminal, not at all elsewhere. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`)
}

function print(text: string): void {
  // What is broken off has failed in every figure.
  if (interrupted) return
  progress('')
  process.stdout.write(text)
}

const options = readOptions()
if (options.help) print(HELP)
else {
  try {
    process.exitCode = await bench()
  } catch (error) {
    progress('')
    if (!interrupted) process.stderr.write(`${(error as Error).message}\n`)
    process.exitCode = 1
  }
  await owner.end()
  if (interrupted) process.exitCode = 130
  // Signals were listened to, and sockets of measured clients may linger.
  process.exit()
}

async function bench(): Promise<number> {
  const runtimes = chooseRuntimes(options.runtimes, options.node)
  const directory = owner.directory('load')
  const generator = chooseGenerator(options.generator, directory)
  const pgbouncer = findProgram('pgbouncer')
  progress('looking at the machine')
  const machine = await inspectMachine([])
  progress('starting PostgreSQL')
  const postgres = await startBenchPostgres(owner, options.postgres)
  machine.versions.push(...runtimes.map(({ name }) => name))
  machine.versions.push(pgbouncer ? versionOf(pgbouncer) : 'no PgBouncer on PATH')
  machine.versions.push(`PostgreSQL ${postgres.version}`)
  const { reps, seconds } = options
  const results: BenchResults = { machine, reps, seconds, generator: generator.name, points: [], trials: [] }
  print(renderHead(results, 'text'))

  const contestants: Contestants = {
    postgres,
    pgbouncer,
    runtimes,
    twins: options.details,
    relay: false,
    unshared: false,
    observed: false,
  }
  const cases = CASES.filter(({ name, setup }) => {
    if (!options.only.includes(name)) return false
    if (setup.upstream === 'tcp' || postgres.socketDirectory !== undefined) return true
    print(`\n${name} is left out: the embedded PostgreSQL has no unix socket\n`)
    return false
  })
  for (const setup of new Set(cases.map((spec) => spec.setup))) {
    const chosen = cases.filter((spec) => spec.setup === setup)
    const relay = chosen.some((spec) => spec.relay)
    const unshared = chosen.some((spec) => spec.unshared)
    const observed = chosen.some((spec) => spec.observed)
    await withTargets({ ...contestants, relay, unshared, observed }, setup, async (targets) => {
      for (const spec of chosen) {
        const points = await measureCase(spec, generator, able(spec, targets, pgbouncer), directory)
        results.points.push(...points)
        print(renderCase(points, 'text'))
      }
    })
  }
  for (const trial of TRIALS.filter(({ name }) => options.only.includes(name))) {
    const result = await measureTrial(trial, contestants)
    results.trials.push(result)
    print(renderTrial(result, 'text'))
  }
  print(renderBudgets(judge(results), 'text'))
  if (options.json) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`)
  if (options.report) writeFileSync(options.report, renderReport(results, 'markdown'))
  const failed =
    results.points.some((point) => point.targets.some(({ error }) => error !== undefined)) ||
    results.trials.some(({ targets }) => targets.some(({ error }) => error !== undefined))
  return failed ? 1 : 0
}

/** Runs `work` with everything started in one setup, and ends that. */
async function withTargets(
  contestants: Contestants,
  setup: Setup,
  work: (targets: Target[]) => Promise<void>,
): Promise<void> {
  await withOwner(async (group) => {
    progress('starting the poolers')
    await work(await startTargets(group, contestants, setup))
  })
}

/** Runs `work` with an owner of its own, and ends what that owns. */
async function withOwner(work: (group: Owner) => Promise<void>): Promise<void> {
  const group = new Owner()
  owner.teardown(() => group.end())
  try {
    await work(group)
  } finally {
    await group.end()
  }
}

/** The targets that can do a case: not a PgBouncer without prepared statements in transaction mode. */
function able(spec: Case, targets: Target[], pgbouncer: string | undefined): Target[] {
  const { relay, unshared, observed } = spec
  const wanted = { direct: true, pgbouncer: true, pgbun: true, relay, unshared, observed, unobserved: observed }
  const able = targets.filter(({ kind }) => !spec.without?.includes(kind) && wanted[kind])
  const prepares = pgbouncer === undefined || preparesInTransactions(versionOf(pgbouncer))
  if (prepares || spec.protocol !== 'prepared' || spec.setup.poolMode === 'session') return able
  return able.filter(({ kind }) => kind !== 'pgbouncer')
}

async function measureCase(spec: Case, generator: Generator, targets: Target[], directory: string): Promise<Point[]> {
  const counts = spec.clients ?? options.clients
  const points = counts.map((clients) => ({
    case: spec.name,
    title: spec.title,
    clients,
    targets: targets.map(({ kind, name }): TargetRuns => ({ kind, name, runs: [], bystander: [] })),
  }))
  const run = async (target: Target, point: Point, seconds: number): Promise<TargetRuns> => {
    const runs = point.targets.find(({ name }) => name === target.name)!
    if (runs.error !== undefined) return runs
    try {
      const { clients } = point
      const { load, bystander } = await runLoad(owner, generator, spec, target, { clients, seconds, directory })
      runs.runs.push(load)
      if (bystander) runs.bystander.push(bystander)
    } catch (error) {
      runs.error = (error as Error).message
    }
    return runs
  }
  // Opens the pool's connections and lets compilers do their work; not counted.
  for (const target of targets) {
    progress(`${spec.name}: warming up ${target.name}`)
    let missing = COMPILED.has(target.kind) && !options.quick ? WARM_TRANSACTIONS : 1
    for (let second = 0; second < WARM_SECONDS && missing > 0; second++) {
      const { runs, bystander } = await run(target, points.at(-1)!, 1)
      missing -= runs.length === 0 ? missing : runs[0]!.transactions
      runs.length = 0
      bystander.length = 0
    }
  }
  for (const point of points) {
    for (let rep = 0; rep < options.reps; rep++) {
      for (const target of targets) {
        progress(`${spec.name}, ${point.clients} clients, run ${rep + 1} of ${options.reps}: ${target.name}`)
        await run(target, point, options.seconds)
      }
    }
  }
  if (options.details) {
    const point = points.find(({ clients }) => clients === DETAILED_CLIENTS) ?? points.at(-1)!
    for (const target of targets.filter(({ pid }) => pid !== undefined)) {
      const runs = point.targets.find(({ name }) => name === target.name)!
      if (runs.error !== undefined) continue
      progress(`${spec.name}, ${point.clients} clients, details: ${target.name}`)
      try {
        const { clients } = point
        runs.details = await measureDetails(owner, generator, spec, target, { clients, directory })
      } catch (error) {
        runs.error = (error as Error).message
      }
    }
  }
  return points
}

/** Each repetition in processes of its own: what came before would hide what is measured. */
async function measureTrial(trial: Trial, contestants: Contestants): Promise<TrialResult> {
  const { name, title, setup, columns } = trial
  const result: TrialResult = { name, title, columns, targets: [] }
  for (let rep = 0; rep < options.reps; rep++) {
    await withTargets({ ...contestants, twins: false }, setup, async (targets) => {
      for (const target of targets.filter(({ kind }) => !trial.without.includes(kind))) {
        progress(`${name}, run ${rep + 1} of ${options.reps}: ${target.name}`)
        let runs = result.targets.find((candidate) => candidate.name === target.name)
        if (runs === undefined) {
          runs = { kind: target.kind, name: target.name, runs: [] }
          result.targets.push(runs)
        }
        const { runs: figures } = runs
        try {
          await withOwner(async (group) => {
            figures.push(await trial.measure({ owner: group, quick: options.quick }, target))
          })
        } catch (error) {
          runs.error = (error as Error).message
        }
      }
    })
  }
  return result
}
