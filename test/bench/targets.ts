/**
 * What is compared: PostgreSQL itself, PgBouncer where there is one, pgbun on one or several runtimes, with and without
 * `server_pipelining` and with and without observers where that is of interest, and a proxy that does nothing on each Node
 * among them.
 */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { startPgbun } from '../fixtures/pgbun.ts'
import { freePort } from '../fixtures/ports.ts'
import { pgbunRuntime, type Runtime } from '../fixtures/runtimes.ts'
import { BACKLOG, MAX_CLIENTS, type Setup } from './cases.ts'
import { versionOf } from './find-program.ts'
import { observe } from './observer.ts'
import type { Owner } from './owner.ts'
import { authFileText, startPgbouncer } from './pgbouncer.ts'
import { type BenchPostgres, TRUST_USER, upstreamHost } from './postgres.ts'
import { startRelay } from './start-relay.ts'

export type TargetKind = 'direct' | 'pgbouncer' | 'relay' | 'pgbun' | 'unshared' | 'observed' | 'unobserved'

const GC_METER = new URL('gc-meter.mjs', import.meta.url).href

/** Something that clients can connect to. */
export interface Target {
  kind: TargetKind
  name: string
  host: string
  port: number
  /** The proxy's process; undefined for a direct connection. */
  pid: number | undefined
  /** The same with a meter in it, for what would slow the other down; where there can be one. */
  twin?: Target
  /** Where the meter of a twin keeps the time spent in garbage collection. */
  gcFile?: string
}

/** What is to be compared. */
export interface Contestants {
  postgres: BenchPostgres
  /** Path of PgBouncer; undefined where there is none. */
  pgbouncer: string | undefined
  /** Runtimes of pgbun, each with the name of its target. */
  runtimes: { name: string; runtime: Runtime }[]
  /** Start the twins, too. */
  twins: boolean
  /** Start a relay on each Node, too. */
  relay: boolean
  /** Start a pgbun on each that does not send requests behind those of others. */
  unshared: boolean
  /** Start two more on each: with all that shows what it does, and somebody who looks, and with none of it. */
  observed: boolean
}

/**
 * The runtimes of --runtime, each with its version as name: `pgbun, node 20.20.0`.
 * @param node what `node` stands for; empty for the Node that runs this
 * @throws Error for what does not exist or does not run
 */
export function chooseRuntimes(wanted: readonly string[], node: string): Contestants['runtimes'] {
  if (node !== '' && !existsSync(node)) throw new Error(`--node ${node}: no such file`)
  return wanted.map((text) => {
    if (!['node', 'bun', 'binary'].includes(text) && !existsSync(text)) {
      throw new Error(`--runtime ${text}: no such file. Name a path, or one of node, bun, binary.`)
    }
    const runtime =
      text === 'node' && node !== '' ? { ...pgbunRuntime('node'), command: path.resolve(node) } : pgbunRuntime(text)
    if (runtime.kind === 'binary') return { name: 'pgbun, compiled', runtime }
    const version = versionOf(runtime.command)
    if (version === '') throw new Error(`--runtime ${text}: ${runtime.command} --version says nothing`)
    return { name: `pgbun, ${runtime.kind} ${version.replace(/^v/, '')}`, runtime }
  })
}

/** Starts everything in one setup; it ends with `owner`. */
export async function startTargets(owner: Owner, contestants: Contestants, setup: Setup): Promise<Target[]> {
  const { postgres, pgbouncer, runtimes } = contestants
  const { host, port } = postgres
  const targets: Target[] = [{ kind: 'direct', name: 'direct', host, port, pid: undefined }]
  if (pgbouncer !== undefined) {
    const started = await startPgbouncer(owner, pgbouncer, postgres, setup)
    targets.push({ kind: 'pgbouncer', name: 'PgBouncer', host: '127.0.0.1', ...started })
  }
  for (const { name, runtime } of runtimes) {
    if (contestants.relay && runtime.kind === 'node') {
      const relay = await startRelay(owner, runtime.command, { host, port, user: TRUST_USER, size: setup.poolSize })
      targets.push({ kind: 'relay', name: name.replace('pgbun', 'relay'), host: '127.0.0.1', ...relay })
    }
    const args = pgbunArguments(setup, postgres, writeAuthFile(owner, postgres))
    const options = { target: { host: upstreamHost(postgres, setup), port }, args, runtime, detached: true }
    if (contestants.unshared) {
      const off = [...args, '--server-pipelining', 'off']
      const { host, port, pid } = await startPgbun(owner, { ...options, args: off })
      targets.push({ kind: 'unshared', name: `${name}, off`, host, port, pid })
    }
    if (contestants.observed) {
      const port = await freePort()
      const on = await startPgbun(owner, { ...options, args: [...args, '--http-listen', `127.0.0.1:${port}`] })
      await observe(owner, port)
      const off = await startPgbun(owner, { ...options, args: [...args, '--query-stats-max', '0'] })
      targets.push(
        { kind: 'observed', name: `${name}, observed`, host: on.host, port: on.port, pid: on.pid },
        { kind: 'unobserved', name: `${name}, unobserved`, host: off.host, port: off.port, pid: off.pid },
      )
    }
    const pgbun = await startPgbun(owner, options)
    const target: Target = { kind: 'pgbun', name, host: pgbun.host, port: pgbun.port, pid: pgbun.pid }
    targets.push(target)
    if (contestants.twins && runtime.kind === 'node') {
      const gcFile = path.join(owner.directory('gc'), 'milliseconds')
      const metered = { ...runtime, args: ['--import', GC_METER, ...runtime.args] }
      const twin = await startPgbun(owner, { ...options, runtime: metered, env: { BENCH_GC_FILE: gcFile } })
      target.twin = { ...target, port: twin.port, pid: twin.pid, gcFile }
    }
  }
  return targets
}

function pgbunArguments(setup: Setup, { certificate }: BenchPostgres, authFile: string): string[] {
  const { cert, key } = certificate
  return [
    ...['--pool-mode', setup.poolMode, '--pool-size', String(setup.poolSize)],
    ...['--max-client-conn', String(MAX_CLIENTS)],
    ...(setup.backlog === 'equal' ? ['--listen-backlog', String(BACKLOG)] : []),
    ...['--auth-type', setup.auth],
    ...(setup.auth === 'trust' ? [] : ['--auth-file', authFile]),
    ...(setup.tls
      ? ['--client-tls-mode', 'require', '--client-tls-cert-file', cert, '--client-tls-key-file', key]
      : []),
    ...['--server-tls-mode', 'disable', '--stats-period', '0'],
    ...['--server-pipelining', 'auto'],
    ...['--no-log-connections', '--no-log-disconnections'],
  ]
}

function writeAuthFile(owner: Owner, postgres: BenchPostgres): string {
  const file = path.join(owner.directory('pgbun'), 'userlist.txt')
  writeFileSync(file, authFileText(postgres.verifier), { mode: 0o600 })
  return file
}
