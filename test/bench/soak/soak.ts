/**
 * `npm run bench:soak`: half an hour of clients that connect, prepare, SET, ask, vanish and have their servers ended,
 * through one pgbun in transaction mode, and its resident memory meanwhile. Exit code 1 where that grows, 2 for a
 * mistake on the command line.
 */
import '../../fixtures/build.ts'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { PLAIN, TLS } from '../cases.ts'
import { Owner } from '../owner.ts'
import { startBenchPostgres } from '../postgres.ts'
import { readResident } from '../process-meter.ts'
import { chooseRuntimes, startTargets } from '../targets.ts'
import { type ChurnCounts, churn } from './churn.ts'
import { growthOf, renderCurve, type Sample } from './growth.ts'

const HELP = `npm run bench:soak -- [options]

  --minutes N     how long; fractions are fine [30]
  --clients N     clients at a time [50]
  --runtime R     what runs pgbun: node, bun, binary or a path [node]
  --node PATH     the Node that 'node' stands for [the one that runs this]
  --tls           clients connect over TLS
  --limit N       growth in percent, from the second quarter of the time to the last, that is still none [5]
  --json FILE     write the samples
  -h, --help      print this
`

interface SoakOptions {
  minutes: number
  clients: number
  limit: number
  runtime: string
  node: string
  tls: boolean
  json: string
}

const options = readOptions()
const owner = new Owner()
let interrupted = false
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    // What was measured so far is shown.
    interrupted = true
  })
}
try {
  process.exitCode = await soak(options)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
await owner.end()
process.exit()

function readOptions(): SoakOptions {
  try {
    const { values } = parseArgs({
      options: {
        minutes: { type: 'string', default: '30' },
        clients: { type: 'string', default: '50' },
        limit: { type: 'string', default: '5' },
        runtime: { type: 'string', default: 'node' },
        node: { type: 'string', default: '' },
        tls: { type: 'boolean', default: false },
        json: { type: 'string', default: '' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(HELP)
      process.exit(0)
    }
    const positive = (name: 'minutes' | 'clients' | 'limit'): number => {
      const value = Number(values[name])
      if (!(value > 0)) throw new Error(`--${name} ${values[name]}: a number above 0 is needed`)
      return value
    }
    return { ...values, minutes: positive('minutes'), clients: positive('clients'), limit: positive('limit') }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(2)
  }
}

async function soak({ minutes, clients, limit, runtime, node, tls, json }: SoakOptions): Promise<number> {
  const runtimes = chooseRuntimes([runtime], node)
  const postgres = await startBenchPostgres(owner, 'auto')
  const setup = { ...(tls ? TLS : PLAIN), poolSize: 10 }
  const targets = await startTargets(
    owner,
    { postgres, pgbouncer: undefined, runtimes, twins: false, relay: false, unshared: false, observed: false },
    setup,
  )
  const target = targets.at(-1)!
  process.stdout.write(`${target.name}, ${clients} clients on 10 servers for ${minutes} min${tls ? ', TLS' : ''}\n`)

  const counts: ChurnCounts = { connections: 0, queries: 0, vanished: 0, terminated: 0, failures: new Map() }
  const samples: Sample[] = []
  const began = performance.now()
  const elapsed = (): number => (performance.now() - began) / 1000
  const timer = setInterval(() => samples.push({ at: elapsed(), bytes: readResident(target.pid!) }), 1000)
  const ended = (): boolean => interrupted || elapsed() > minutes * 60
  await churn(target, { clients: Math.round(clients), tls, counts, ended })
  clearInterval(timer)

  if (json)
    writeFileSync(
      json,
      `${JSON.stringify({ target: target.name, counts: { ...counts, failures: [...counts.failures] }, samples })}\n`,
    )
  const { connections, queries, vanished, terminated, failures } = counts
  process.stdout.write(`${connections} connections, ${queries} queries; ${vanished} clients vanished, `)
  process.stdout.write(`${terminated} servers were ended\n`)
  for (const [message, number] of [...failures].sort(([, a], [, b]) => b - a).slice(0, 10)) {
    process.stdout.write(`  ${number} clients ended by: ${message}\n`)
  }
  process.stdout.write(`\n${renderCurve(samples, 30)}\n`)
  const { early, late, perHour, share } = growthOf(samples)
  const grown = share * 100 > limit
  const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`
  process.stdout.write(`second quarter ${megabytes(early)}, last quarter ${megabytes(late)}: `)
  process.stdout.write(`${share < 0 ? '' : '+'}${(share * 100).toFixed(1)} %, ${megabytes(perHour)} per hour: `)
  process.stdout.write(`${grown ? 'GROWS' : 'does not grow'}, limit ${limit} %\n`)
  return grown ? 1 : 0
}
