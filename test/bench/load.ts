/**
 * One run of a load against one target: starts the generator, reads the proxy's processor time while it works, and
 * makes a measurement of the generator's transaction log.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Case } from './cases.ts'
import type { Owner } from './owner.ts'
import { SCRAM_PASSWORD, SCRAM_USER, TRUST_USER } from './postgres.ts'
import { readUsage } from './process-meter.ts'
import type { Target } from './targets.ts'
import { cycleTimes, type LoggedTransaction, parseTransactionLogs } from './transaction-log.ts'
import { type Measurement, measureWindow, type Reading } from './window.ts'

/** What a generator is asked to do. */
export interface LoadRequest {
  host: string
  port: number
  user: string
  password: string
  script: Case['script']
  protocol: Case['protocol']
  reconnect: boolean
  clients: number
  seconds: number
  /** Where the transaction logs go: this path with whatever the generator appends. */
  logPrefix: string
}

/** A program that makes load. */
export interface Generator {
  name: string
  /** The command for a request, its arguments and what its environment needs. */
  command(request: LoadRequest): { command: string; args: string[]; env: Record<string, string> }
}

/** What a run gave. */
export interface LoadResult {
  load: Measurement
  /** Of the lone client beside it, in cases that have one. */
  bystander: Measurement | undefined
}

/** Between two readings of the proxy's processor time, in milliseconds. */
const READING_PERIOD = 50

/** Runs one load. @throws Error with what the generator said where it failed. */
export async function runLoad(
  owner: Owner,
  generator: Generator,
  spec: Case,
  target: Target,
  { clients, seconds, directory }: { clients: number; seconds: number; directory: string },
): Promise<LoadResult> {
  const scram = spec.setup.auth === 'scram-sha-256'
  const dir = path.join(directory, 'log')
  mkdirSync(dir)
  const request: LoadRequest = {
    host: target.host,
    port: target.port,
    user: scram ? SCRAM_USER : TRUST_USER,
    password: scram ? SCRAM_PASSWORD : '',
    script: spec.script,
    protocol: spec.protocol,
    reconnect: spec.reconnect,
    clients,
    seconds,
    logPrefix: path.join(dir, 'load'),
  }
  try {
    const load = await measure(owner, generator, [request], target)
    if (!spec.bystander) return { load, bystander: undefined }
    // A run of its own: the lone client's queries would be counted as processor time of the load.
    const lone = { ...request, reconnect: false, clients: 1, logPrefix: path.join(dir, 'lone') }
    return { load, bystander: await measure(owner, generator, [lone, request], target) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Runs all requests at the same time and measures the first. */
async function measure(
  owner: Owner,
  generator: Generator,
  requests: readonly LoadRequest[],
  { pid }: Target,
): Promise<Measurement> {
  const readings: Reading[] = []
  const timer = setInterval(() => {
    readings.push({ at: Date.now(), usage: pid === undefined ? undefined : readUsage(pid) })
  }, READING_PERIOD)
  try {
    await Promise.all(requests.map((request) => runGenerator(owner, generator, request)))
  } finally {
    clearInterval(timer)
  }
  const { reconnect, logPrefix } = requests[0]!
  const transactions = readLogs(logPrefix)
  return measureWindow(reconnect ? cycleTimes(transactions) : transactions, readings)
}

function readLogs(prefix: string): LoggedTransaction[] {
  const dir = path.dirname(prefix)
  const names = readdirSync(dir).filter((name) => name.startsWith(path.basename(prefix)))
  const texts = names.map((name) => readFileSync(path.join(dir, name), 'utf8'))
  for (const name of names) rmSync(path.join(dir, name))
  return parseTransactionLogs(texts)
}

async function runGenerator(owner: Owner, generator: Generator, request: LoadRequest): Promise<void> {
  const { command, args, env } = generator.command(request)
  const program = owner.start(command, args, { env: { ...env, PATH: process.env.PATH, LC_ALL: 'C' } }, 'SIGKILL')
  const timer = setTimeout(() => program.child.kill('SIGKILL'), (request.seconds + 60) * 1000)
  const code = await program.exit
  clearTimeout(timer)
  if (code === 0) return
  const said = program.output.trim().split('\n').slice(-3).join('; ')
  throw new Error(`${generator.name} ${code === null ? 'was killed after its time' : `failed (${code})`}: ${said}`)
}
