/**
 * One run of a load against one target: starts the generator, reads the proxy's processor time while it works, and
 * makes a measurement of the generator's transaction log.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Case } from './cases.ts'
import type { Owner } from './owner.ts'
import { SCRAM_PASSWORD, SCRAM_USER, TRUST_USER } from './postgres.ts'
import { readResident, readUsage } from './process-meter.ts'
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
  tls: boolean
  /** Startup parameters of the clients. */
  parameters: Record<string, string>
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
  const dir = path.join(directory, 'log')
  mkdirSync(dir)
  try {
    const requests = requestsOf(spec, target, { clients, seconds, dir })
    const load = await measureLoad(owner, generator, requests, [], target)
    if (!spec.bystander) return { load, bystander: undefined }
    // A run of its own: the lone client's queries would be counted as processor time of the load.
    const own = { script: 'one row', reconnect: false, clients: 1, logPrefix: path.join(dir, 'lone') } as const
    const lone: LoadRequest = { ...requests[0]!, ...own }
    return { load, bystander: await measureLoad(owner, generator, [lone], requests, target) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** What the generators are asked for a case: one request for each set of startup parameters, an equal part each. */
export function requestsOf(
  { setup, script, protocol, reconnect, parameters: sets = [{}] }: Case,
  { host, port }: Target,
  { clients, seconds, dir }: { clients: number; seconds: number; dir: string },
): LoadRequest[] {
  const scram = setup.auth === 'scram-sha-256'
  return sets.map((parameters, i) => ({
    host,
    port,
    user: scram ? SCRAM_USER : TRUST_USER,
    password: scram ? SCRAM_PASSWORD : '',
    script,
    protocol,
    reconnect,
    tls: setup.tls,
    parameters,
    clients: Math.floor((clients + i) / sets.length),
    seconds,
    logPrefix: path.join(dir, `load-${i}-`),
  }))
}

/** Runs all requests at the same time and measures the first ones as one load. */
export async function measureLoad(
  owner: Owner,
  generator: Generator,
  measured: readonly LoadRequest[],
  others: readonly LoadRequest[],
  { pid, gcFile }: Target,
): Promise<Measurement> {
  const readings: Reading[] = []
  const timer = setInterval(() => {
    const at = Date.now()
    if (pid === undefined) readings.push({ at, usage: undefined, resident: undefined, gc: undefined })
    else readings.push({ at, usage: readUsage(pid), resident: readResident(pid), gc: readGc(gcFile) })
  }, READING_PERIOD)
  let transactions: LoggedTransaction[]
  try {
    const rest = Promise.all(others.map((request) => runGenerator(owner, generator, request)))
    ;[transactions] = await Promise.all([runRequests(owner, generator, measured), rest])
  } finally {
    clearInterval(timer)
  }
  return measureWindow(transactions, readings)
}

/** Runs all requests at the same time; the transactions of all, by the time of their end. */
export async function runRequests(
  owner: Owner,
  generator: Generator,
  requests: readonly LoadRequest[],
): Promise<LoggedTransaction[]> {
  await Promise.all(requests.map((request) => runGenerator(owner, generator, request)))
  return requests
    .flatMap(({ reconnect, logPrefix }) => (reconnect ? cycleTimes(readLogs(logPrefix)) : readLogs(logPrefix)))
    .sort((a, b) => a.at - b.at)
}

/** Milliseconds in garbage collection so far, as gc-meter.mjs wrote them. */
function readGc(file: string | undefined): number | undefined {
  if (file === undefined || !existsSync(file)) return undefined
  // Between its truncation and the writing it is empty.
  const text = readFileSync(file, 'utf8')
  return text === '' ? undefined : Number(text)
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
