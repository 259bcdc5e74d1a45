/**
 * The differential fuzzer: random conversations of several clients with PostgreSQL, directly and through pgbun; every
 * answer must be the same.
 *
 *   npm run fuzz -- --seconds 600 --seed 42 --clients 4 --pool 1..3 --mode transaction
 *
 * A failing case is cut down, printed, and kept as a file, which --replay plays again.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Owner } from '../bench/owner.ts'
import { type CampaignOptions, cutDown, DEFAULTS, reportFailure, runCampaign, scriptOf } from './campaign.ts'
import { CLIENT_LIMIT, Lab } from './lab.ts'
import { printDifference, printScript } from './print.ts'
import type { PoolMode, Script } from './script.ts'

const USAGE = `npm run fuzz -- [options]
  --seconds N       how long (default 60)
  --cases N         how many cases at most
  --seed N          seed of the first case (default: by the clock)
  --clients N       clients of a case at most (default ${DEFAULTS.clients})
  --turns N         turns of a client at most (default ${DEFAULTS.turns})
  --pool LOW..HIGH  pool sizes (default ${DEFAULTS.pool.join('..')})
  --mode LIST       pool modes, with commas (default: all, transaction more often)
  --state           also statements that leave state in the session
  --settings        also settings of transactions and texts that depend on them, on one server
  --pipelining      many clients on one or two servers with server_pipelining, and cancel requests for some of them
  --kills           with --pipelining: servers are killed in half of the cases
  --url URL         a PostgreSQL that is running and trusts its superuser and the role "fuzz", which is made there
  --direct          compare direct connections with each other: tests the fuzzer itself
  --keep-going      go on behind a failing case
  --show            print the script of --seed and end
  --replay FILE     play the script in FILE; with --shrink, cut it down; with --repeat N, until it fails
  --patience MS     how long a client waits for a message (default ${DEFAULTS.patience})`

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    cases: { type: 'string' },
    seed: { type: 'string' },
    clients: { type: 'string' },
    turns: { type: 'string' },
    pool: { type: 'string' },
    mode: { type: 'string' },
    state: { type: 'boolean', default: false },
    settings: { type: 'boolean', default: false },
    pipelining: { type: 'boolean', default: false },
    kills: { type: 'boolean', default: false },
    url: { type: 'string' },
    direct: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    show: { type: 'boolean', default: false },
    replay: { type: 'string' },
    repeat: { type: 'string' },
    shrink: { type: 'boolean', default: false },
    patience: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})

const say = (text: string): void => void process.stdout.write(`${text}\n`)

function usageError(text: string): never {
  process.stderr.write(`${text}\n\n${USAGE}\n`)
  process.exit(2)
}

function whole(
  name: 'seconds' | 'cases' | 'seed' | 'clients' | 'turns' | 'patience' | 'repeat',
  otherwise: number,
  high = 2 ** 31,
): number {
  const text = values[name]
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > high)
    usageError(`--${name} ${text}: a whole number up to ${high}`)
  return value
}

function readOptions(): CampaignOptions {
  const pool = (values.pool ?? DEFAULTS.pool.join('..')).match(/^(\d+)(?:\.\.(\d+))?$/)
  if (!pool) usageError(`--pool ${values.pool}: a number or LOW..HIGH`)
  const modes = values.mode?.split(',') ?? [...DEFAULTS.modes]
  for (const mode of modes) {
    if (!['session', 'transaction', 'statement'].includes(mode)) usageError(`--mode ${mode}: no such pool mode`)
  }
  return {
    seed: whole('seed', Date.now() % 2 ** 31),
    duration: whole('seconds', 60) * 1000,
    cases: whole('cases', Number.POSITIVE_INFINITY),
    clients: whole('clients', DEFAULTS.clients, CLIENT_LIMIT),
    turns: whole('turns', DEFAULTS.turns),
    modes: modes as PoolMode[],
    pool: [Number(pool[1]), Number(pool[2] ?? pool[1])],
    state: values.state,
    meaning: values.settings,
    pipelining: values.pipelining,
    kills: values.kills,
    patience: whole('patience', DEFAULTS.patience),
    direct: values.direct,
  }
}

async function replay(lab: Lab, file: string, options: CampaignOptions): Promise<boolean> {
  let script = JSON.parse(readFileSync(file, 'utf8')) as Script
  let failure = await lab.run(script, options.patience, options.direct)
  for (let left = whole('repeat', 1); left > 1 && !failure; left--) {
    failure = await lab.run(script, options.patience, options.direct)
  }
  if (failure && values.shrink) {
    const cut = await cutDown(lab, 0, script, failure, options)
    script = cut.script
    failure = cut.failure
    writeFileSync(file, JSON.stringify(script))
  }
  say(printScript(script))
  say(lab.log.join('\n'))
  say(failure ? `\n${failure.kind}: ${failure.text}` : '\nno difference')
  if (failure?.difference) say(printDifference(failure.difference))
  return failure === undefined
}

async function campaign(lab: Lab, options: CampaignOptions): Promise<boolean> {
  const end = Date.now() + options.duration
  let { seed } = options
  let cases = 0
  let failures = 0
  say(`seed ${seed}`)
  do {
    const { cases: done, failed } = await runCampaign(lab, {
      ...options,
      seed,
      duration: end - Date.now(),
      cases: options.cases - cases,
    })
    cases += done
    if (!failed) break
    failures++
    say(`\n${reportFailure(failed, lab.log)}\n`)
    seed = failed.seed + 1
  } while (values['keep-going'] && Date.now() < end && cases < options.cases)
  const { requests, shared, rerun, cancels, kills } = lab.pipelining
  say(`${cases} cases, ${failures} failed; ${lab.parted} clients not compared to the end`)
  if (options.pipelining) {
    say(
      `${requests} requests, ${shared} sent behind others, ${rerun} of them run again; ${cancels} cancel requests, ${kills} servers killed`,
    )
  }
  return failures === 0
}

if (values.help) say(USAGE)
else {
  const options = readOptions()
  if (values.show) say(printScript(scriptOf(options.seed, options)))
  else {
    const owner = new Owner()
    process.once('SIGINT', () => void owner.end().then(() => process.exit(130)))
    let well = false
    try {
      const lab = await Lab.start(owner, values.url)
      well = values.replay === undefined ? await campaign(lab, options) : await replay(lab, values.replay, options)
    } finally {
      await owner.end()
    }
    process.exitCode = well ? 0 : 1
  }
}
