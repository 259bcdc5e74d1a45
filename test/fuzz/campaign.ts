/** Case after case, until one fails or the time is over. A case follows from its seed and the options alone. */

import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { rootDir } from '../fixtures/postgres.ts'
import { generateScript } from './generate.ts'
import type { Failure, Lab } from './lab.ts'
import { printDifference, printScript } from './print.ts'
import { Random } from './random.ts'
import type { PoolMode, Script } from './script.ts'
import { shrink } from './shrink.ts'

export interface CampaignOptions {
  /** Seed of the first case; each case has the one behind that of the case before. */
  seed: number
  /** How long to go on, in milliseconds, and for how many cases at most. */
  duration: number
  cases: number
  /** Clients and turns of a client at most. */
  clients: number
  turns: number
  modes: readonly PoolMode[]
  /** Pool sizes to choose from. */
  pool: readonly [number, number]
  /** Send statements that leave state in the session. */
  state: boolean
  /**
   * Send settings of transactions, and what they decide the meaning of: on one server that has room for all statements,
   * because what a name meant that was given under settings nobody knows is lost with its server (TRANSACTION-MODE.md).
   */
  meaning: boolean
  /** Have requests of several clients on one server (`server_pipelining`): many clients, few servers, and cancel requests. */
  pipelining: boolean
  /** Kill servers in some of these cases. */
  kills: boolean
  /** How long a client waits for a message, in milliseconds. */
  patience: number
  /** Compare a direct connection with another: whether the generator keeps its promise. */
  direct: boolean
}

/** A case that failed, cut down. */
export interface FailedCase {
  seed: number
  script: Script
  failure: Failure
  /** It failed when it was found, and not when it was run again. */
  fleeting: boolean
}

export interface CampaignResult {
  cases: number
  failed?: FailedCase
}

/** How long a failing case is cut down, in milliseconds. */
const SHRINK_BUDGET = 90_000

/** So many clients at most share servers by pipelining, unless there are to be more. */
const SHARING = 12

export const DEFAULTS: CampaignOptions = {
  seed: 1,
  duration: 60_000,
  cases: Number.POSITIVE_INFINITY,
  clients: 4,
  turns: 12,
  modes: ['transaction', 'transaction', 'transaction', 'statement', 'session'],
  pool: [1, 3],
  state: false,
  meaning: false,
  pipelining: false,
  kills: false,
  patience: 15_000,
  direct: false,
}

/** The script of the case with this seed. */
export function scriptOf(seed: number, options: CampaignOptions): Script {
  const random = new Random(seed ^ 0x5eed)
  const { meaning, pipelining, kills } = options
  const [low, high] = meaning ? [1, 1] : pipelining ? [1, 3] : options.pool
  const modes = pipelining ? options.modes.filter((mode) => mode !== 'session') : options.modes
  return generateScript(seed, {
    mode: meaning ? 'transaction' : random.pick(modes),
    poolSize: random.between(low, high),
    statements: meaning ? 200 : random.pick([200, 200, 3, 1, 0]),
    meaning,
    ...(pipelining && { pipelining: random.pick([1, 1000]), kills: kills && random.percent(50) }),
    clients: pipelining ? random.between(8, Math.max(options.clients, SHARING)) : random.between(1, options.clients),
    turns: options.turns,
    state: options.state,
  })
}

/** Runs cases on `lab`; the first that fails is cut down and ends it. */
export async function runCampaign(lab: Lab, options: CampaignOptions): Promise<CampaignResult> {
  const end = Date.now() + options.duration
  let cases = 0
  for (; cases < options.cases && (cases === 0 || Date.now() < end); cases++) {
    const seed = (options.seed + cases) % 2 ** 31
    const script = scriptOf(seed, options)
    const failure = await lab.run(script, options.patience, options.direct)
    if (failure) return { cases: cases + 1, failed: await cutDown(lab, seed, script, failure, options) }
  }
  return { cases }
}

/** Makes a failing script as small as it gets. */
export async function cutDown(
  lab: Lab,
  seed: number,
  script: Script,
  failure: Failure,
  options: CampaignOptions,
): Promise<FailedCase> {
  let last = failure
  const fails = async (candidate: Script): Promise<boolean> => {
    const found = await lab.run(candidate, failure.kind === 'hang' ? 2000 : options.patience, options.direct)
    if (found?.kind !== failure.kind) return false
    last = found
    return true
  }
  // What needs a certain timing may need several tries.
  let again = false
  for (let tries = 5; tries > 0 && !again; tries--) again = await fails(script)
  if (!again) return { seed, script, failure, fleeting: true }
  const smallest = await shrink(script, { fails, budget: SHRINK_BUDGET })
  for (let tries = 5; tries > 0 && !(await fails(smallest)); tries--);
  return { seed, script: smallest, failure: last, fleeting: false }
}

/** All there is to say of a failed case, which is kept in a file that --replay takes. */
export function reportFailure({ seed, script, failure, fleeting }: FailedCase, log: readonly string[]): string {
  const file = path.join(rootDir, '.cache', 'fuzz', `${seed}.json`)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify(script))
  return [
    `seed ${seed}: ${failure.kind}${fleeting ? ' (not again when repeated)' : ''}: ${failure.text}`,
    `again: npm run fuzz -- --replay ${path.relative(process.cwd(), file)}`,
    ...(failure.difference ? ['', printDifference(failure.difference)] : []),
    '',
    printScript(script),
    '',
    'log of pgbun, its end:',
    ...log.slice(-40),
  ].join('\n')
}
