/** What is compared: PostgreSQL itself, PgBouncer where there is one, and pgbun on one or several runtimes. */
import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { startPgbun } from '../fixtures/pgbun.ts'
import { pgbunRuntime, type Runtime } from '../fixtures/runtimes.ts'
import { MAX_CLIENTS, type Setup } from './cases.ts'
import { versionOf } from './find-program.ts'
import type { Owner } from './owner.ts'
import { authFileText, startPgbouncer } from './pgbouncer.ts'
import type { BenchPostgres } from './postgres.ts'

export type TargetKind = 'direct' | 'pgbouncer' | 'pgbun'

/** Something that clients can connect to. */
export interface Target {
  kind: TargetKind
  name: string
  host: string
  port: number
  /** The proxy's process; undefined for a direct connection. */
  pid: number | undefined
}

/** What is to be compared. */
export interface Contestants {
  postgres: BenchPostgres
  /** Path of PgBouncer; undefined where there is none. */
  pgbouncer: string | undefined
  /** Runtimes of pgbun, each with the name of its target. */
  runtimes: { name: string; runtime: Runtime }[]
}

/** The runtimes of --runtime, each with its version as name: `pgbun, node 20.20.0`. */
export function chooseRuntimes(wanted: readonly string[]): Contestants['runtimes'] {
  return wanted.map((text) => {
    if (!['node', 'bun', 'binary'].includes(text) && !existsSync(text)) {
      throw new Error(`--runtime ${text}: no such file. Name a path, or one of node, bun, binary.`)
    }
    const runtime = pgbunRuntime(text)
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
    const args = pgbunArguments(setup, writeAuthFile(owner, postgres))
    const pgbun = await startPgbun(owner, { target: { host, port }, args, runtime, detached: true })
    targets.push({ kind: 'pgbun', name, host: pgbun.host, port: pgbun.port, pid: pgbun.pid })
  }
  return targets
}

function pgbunArguments(setup: Setup, authFile: string): string[] {
  return [
    ...['--pool-mode', setup.poolMode, '--pool-size', String(setup.poolSize)],
    ...['--max-client-conn', String(MAX_CLIENTS)],
    ...['--auth-type', setup.auth],
    ...(setup.auth === 'trust' ? [] : ['--auth-file', authFile]),
    ...['--server-tls-mode', 'disable', '--stats-period', '0'],
    ...['--no-log-connections', '--no-log-disconnections'],
  ]
}

function writeAuthFile(owner: Owner, postgres: BenchPostgres): string {
  const file = path.join(owner.directory('pgbun'), 'userlist.txt')
  writeFileSync(file, authFileText(postgres.verifier), { mode: 0o600 })
  return file
}
