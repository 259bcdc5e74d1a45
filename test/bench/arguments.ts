/** The command line of `npm run bench`. Pure. */
import { parseArgs } from 'node:util'
import { CASE_NAMES } from './cases.ts'
import { TRIAL_NAMES } from './trials/trials.ts'

const NAMES = [...CASE_NAMES, ...TRIAL_NAMES]

/** What is to be measured, and where the report goes besides standard output. */
export interface BenchOptions {
  reps: number
  /** Length of one run; whole seconds, as pgbench wants them. */
  seconds: number
  clients: number[]
  only: string[]
  /** What runs pgbun: `node`, `bun`, `binary`, or the path of one; several are measured side by side. */
  runtimes: string[]
  /** Path of the Node that `node` in --runtime stands for; empty for the one that runs the benchmark. */
  node: string
  postgres: 'auto' | 'system' | 'embedded'
  generator: 'auto' | 'pgbench' | 'pg'
  /** Trials with fewer clients. */
  quick: boolean
  /** System calls and garbage collection per transaction. */
  details: boolean
  json: string
  report: string
  help: boolean
}

export const HELP = `npm run bench -- [options]

Compares a direct connection, PgBouncer (where it is on PATH) and pgbun, side by side; with small queries
also a relay that does nothing else, to show what the runtime costs.

  --quick            one repetition of 2 s with 1 and 32 clients, trials with fewer: a few minutes
  --reps N           repetitions of each point, interleaved; medians are shown [3]
  --seconds S        length of one run [3]; before the first of a case what is compiled while it runs is
                     warmed up by 60,000 transactions, or for 10 s (--quick: for 1 s)
  --clients N,N      numbers of clients for the small queries [1,8,32,200]
  --only NAME,NAME   cases: ${CASE_NAMES.join(', ')};
                     trials: ${TRIAL_NAMES.join(', ')}
  --runtime R,R      what runs pgbun: node, bun, binary (of npm run compile) or a path; several
                     are compared [node]
  --node PATH        the Node that 'node' stands for [the one that runs the benchmark]
  --postgres P       system (on PATH), embedded (from npm) or auto [auto: system, else embedded]
  --generator G      pgbench (on PATH), pg (a small one on the npm package pg) or auto [auto]
  --details          with --quick: also system calls (where strace is) and garbage collection per
                     transaction, in runs of their own; without --quick they come anyway
  --no-details       leave them out
  --json FILE        write all figures, repetition by repetition
  --report FILE      write the whole report as Markdown
  -h, --help         print this
`

/** @throws Error with a readable message for anything that is not understood */
export function parseBenchArguments(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      reps: { type: 'string' },
      seconds: { type: 'string' },
      clients: { type: 'string' },
      only: { type: 'string' },
      runtime: { type: 'string', default: 'node' },
      node: { type: 'string', default: '' },
      postgres: { type: 'string', default: 'auto' },
      generator: { type: 'string', default: 'auto' },
      details: { type: 'boolean', default: false },
      'no-details': { type: 'boolean', default: false },
      json: { type: 'string', default: '' },
      report: { type: 'string', default: '' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const only = list(values.only ?? NAMES.join(','))
  for (const name of only) {
    if (!NAMES.includes(name)) throw new Error(`--only: no case '${name}'. There are: ${NAMES.join(', ')}`)
  }
  const clients = list(values.clients ?? (values.quick ? '1,32' : '1,8,32,200'))
  return {
    reps: number('--reps', values.reps ?? (values.quick ? '1' : '3'), { least: 1, most: 100 }),
    seconds: number('--seconds', values.seconds ?? (values.quick ? '2' : '3'), { least: 1, most: 3600 }),
    clients: clients.map((text) => number('--clients', text, { least: 1, most: 1000 })),
    only,
    runtimes: list(values.runtime),
    node: values.node,
    postgres: oneOf('--postgres', values.postgres, ['auto', 'system', 'embedded']),
    generator: oneOf('--generator', values.generator, ['auto', 'pgbench', 'pg']),
    quick: values.quick,
    details: values.details || !(values.quick || values['no-details']),
    json: values.json,
    report: values.report,
    help: values.help,
  }
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function number(option: string, text: string, rule: { least: number; most: number }): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < rule.least || value > rule.most) {
    throw new Error(`${option} ${text}: a whole number from ${rule.least} to ${rule.most} is needed`)
  }
  return value
}

function oneOf<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((candidate) => candidate === text)
  if (choice === undefined) throw new Error(`${option} ${text}: must be one of ${choices.join(', ')}`)
  return choice
}
