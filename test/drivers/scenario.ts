/**
 * The load that every driver of the matrix is put under, directly and through pgbun: workers that share the driver's
 * own pool, each going through the driver's steps in another order, so that every step meets every other one.
 *
 * Each query selects a tag of its own and the answer must carry exactly that tag. What can only be judged afterwards
 * (transactions that must or must not have left a row, a counter kept under an advisory lock, migrations) goes into the
 * outcome, and lab.ts compares it with the database.
 * Neutral of the runtime, because Bun runs it too: nothing of tap and nothing of node:net.
 */
import type { Query } from './common-steps.ts'
import { schemaChanges, type WithConnection } from './schema-changes.ts'

/** Where a driver connects to. */
export interface Target {
  host: string
  port: number
  user: string
  password: string
  database: string
  url: string
}

export interface Load {
  /** How many work at once; also the size of the driver's own pool. */
  workers: number
  /** How often each goes through the steps. */
  rounds: number
}

/** What a driver can be asked to do: the columns of the table, in their order. */
export const STEPS = {
  queries: 'plain and parametrised queries',
  prepared: 'named statements',
  pipeline: 'pipelining',
  transactions: 'transactions',
  settings: 'SET',
  stream: 'cursors, streams',
  copy: 'COPY',
  listen: 'LISTEN',
  temporary: 'temporary tables',
  locks: 'advisory locks',
  changes: 'tables that change under statements',
  migrations: 'migrations',
} as const

export type Step = keyof typeof STEPS
export type LoadStep = Exclude<Step, 'changes' | 'migrations'>

export interface Driver<Handle> {
  /** The driver's own pool of `load.workers` connections. */
  open(target: Target, load: Load): Promise<Handle>
  close(handle: Handle): Promise<unknown>
  steps: Partial<Record<LoadStep, (handle: Handle, work: Work) => Promise<void>>>
  /** One connection for what schema-changes.ts does, its statements named as the driver names them. */
  connection?(handle: Handle, use: (query: Query) => Promise<void>): Promise<unknown>
  /** Runs all migrations once, on connections of its own. Called twice at once. */
  migrate?(target: Target): Promise<void>
}

/** What happened; plain data, so that it can cross a process boundary. */
export interface Outcome {
  steps: Step[]
  queries: number
  /** Each answer that did not carry what its query had asked for. Must stay empty. */
  mixUps: string[]
  /** Tags of rows that must be in the table `ledger`, and nothing else. */
  committed: string[]
  /** How often the row of `counter` was counted up under the advisory lock. */
  increments: number
  /** What statements brought whose table had changed; it must be what a direct connection brings. */
  changes: string[]
}

export function emptyOutcome(): Outcome {
  return { steps: [], queries: 0, mixUps: [], committed: [], increments: 0, changes: [] }
}

/** One worker's view of the load: its tags, and where it reports what came back. */
export class Work {
  readonly worker: number
  readonly outcome: Outcome
  /** What it is doing, for the message of a load that hangs. */
  doing = 'nothing yet'
  readonly #prefix: string
  #count = 0

  constructor(prefix: string, worker: number, outcome: Outcome) {
    this.#prefix = prefix
    this.worker = worker
    this.outcome = outcome
  }

  /** A text that no other query of this run has. Safe inside of a string literal and as part of an identifier. */
  tag(): string {
    this.#count++
    return `${this.#prefix}_w${this.worker}_${this.#count}`
  }

  /** Counts one query and compares what it brought with what it must have brought. */
  check(wanted: unknown, got: unknown): void {
    this.outcome.queries++
    if (wanted !== got) this.outcome.mixUps.push(`${this.doing}: wanted ${String(wanted)}, got ${String(got)}`)
  }

  /** Counts one query that must fail with this SQLSTATE. */
  async fails(sqlstate: string, query: Promise<unknown>): Promise<void> {
    this.outcome.queries++
    try {
      await query
    } catch (error) {
      const codes = sqlstates(error)
      if (codes.includes(sqlstate)) return
      throw new Error(`${this.doing}: SQLSTATE ${sqlstate} expected`, { cause: error })
    }
    this.outcome.mixUps.push(`${this.doing}: SQLSTATE ${sqlstate} expected, but the query succeeded`)
  }
}

/** The SQLSTATEs in an error and in what the driver's wrapping hides below it. */
export function sqlstates(error: unknown): string[] {
  const found: string[] = []
  for (let depth = 0, at = error as Record<string, unknown> | undefined; at && depth < 5; depth++) {
    for (const field of [at.code, at.errno]) if (typeof field === 'string') found.push(field)
    at = (at.cause ?? at.original ?? at.driverError) as Record<string, unknown> | undefined
  }
  return found
}

/** Longest time one load may take. Only a load that hangs gets there. */
const deadline = 60_000

/** Runs the load, then the migrations twice at once. Rejects with the first error that a step did not expect. */
export async function runScenario<Handle>(driver: Driver<Handle>, target: Target, load: Load): Promise<Outcome> {
  const outcome = emptyOutcome()
  const names = Object.keys(driver.steps) as LoadStep[]
  const workers = Array.from({ length: load.workers }, (_, i) => new Work(target.database, i, outcome))
  const handle = await driver.open(target, load)
  const listening = new Mutex()

  async function oneStep(name: LoadStep, work: Work, round: number): Promise<void> {
    work.doing = `worker ${work.worker}, round ${round}, ${name}`
    const step = driver.steps[name]!
    try {
      // A listener waits for a message that somebody else sends: two of them would hold both servers of the pool.
      if (name === 'listen') await listening.run(() => step(handle, work))
      else await step(handle, work)
    } catch (error) {
      throw new Error(`${work.doing} failed: ${String(error)}`, { cause: error })
    }
  }

  async function run(work: Work): Promise<void> {
    for (let round = 0; round < load.rounds; round++) {
      for (let i = 0; i < names.length; i++) await oneStep(names[(work.worker + i) % names.length]!, work, round)
    }
    work.doing = `worker ${work.worker}, done`
  }

  const state = () => workers.map(({ doing }) => doing).join('; ')
  await inTime(Promise.all(workers.map(run)), () => `the load to end: ${state()}`)
  outcome.steps.push(...names)
  const { connection } = driver
  if (connection) {
    const withConnection: WithConnection = (use) => connection(handle, use)
    outcome.changes = await inTime(schemaChanges(withConnection), () => 'the changes of a table')
    outcome.steps.push('changes')
  }
  await inTime(Promise.resolve(driver.close(handle)), () => 'the driver to close its pool')
  const { migrate } = driver
  if (migrate) {
    await inTime(Promise.all([migrate(target), migrate(target)]), () => 'two migrators')
    await inTime(migrate(target), () => 'a migrator with nothing left to do')
    outcome.steps.push('migrations')
  }
  return outcome
}

async function inTime<T>(promise: Promise<T>, what: () => string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${deadline} ms in vain for ${what()}`)), deadline)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

class Mutex {
  #last: Promise<unknown> = Promise.resolve()

  run<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#last.then(task)
    this.#last = result.catch(() => {})
    return result
  }
}
