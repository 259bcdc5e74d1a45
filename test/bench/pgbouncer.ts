/** A PgBouncer with the same settings as pgbun: one process, no TLS, connections not logged. */
import { chownSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import type { CertificateFiles } from '../fixtures/certificates.ts'
import { freePort } from '../fixtures/ports.ts'
import { waitFor } from '../fixtures/wait.ts'
import { BACKLOG, MAX_CLIENTS, type Setup } from './cases.ts'
import { serviceAccount, versionOf } from './find-program.ts'
import type { Owner } from './owner.ts'
import { type BenchPostgres, SCRAM_USER, TRUST_USER, upstreamHost } from './postgres.ts'

/** Whether this PgBouncer keeps track of prepared statements in transaction mode: since 1.21. */
export function preparesInTransactions(version: string): boolean {
  const match = version.match(/(\d+)\.(\d+)/)
  if (!match) return false
  const [major, minor] = [Number(match[1]), Number(match[2])]
  return major > 1 || (major === 1 && minor >= 21)
}

/** The configuration file. */
export function pgbouncerIni(
  server: Pick<BenchPostgres, 'host' | 'port' | 'socketDirectory'>,
  listenPort: number,
  setup: Setup,
  options: { authFile: string; prepares: boolean; certificate: CertificateFiles },
): string {
  const lines = [
    '[databases]',
    `* = host=${upstreamHost(server, setup)} port=${server.port}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${listenPort}`,
    'unix_socket_dir =',
    `auth_type = ${setup.auth}`,
    `auth_file = ${options.authFile}`,
    `pool_mode = ${setup.poolMode}`,
    `default_pool_size = ${setup.poolSize}`,
    `max_client_conn = ${MAX_CLIENTS}`,
    'server_tls_sslmode = disable',
    'log_connections = 0',
    'log_disconnections = 0',
    'log_stats = 0',
  ]
  if (setup.backlog === 'equal') lines.push(`listen_backlog = ${BACKLOG}`)
  if (setup.tls) {
    lines.push('client_tls_sslmode = require')
    lines.push(`client_tls_cert_file = ${options.certificate.cert}`, `client_tls_key_file = ${options.certificate.key}`)
  }
  if (options.prepares) lines.push('max_prepared_statements = 200')
  return `${lines.join('\n')}\n`
}

/** The secrets of both users, in the format that PgBouncer and pgbun share. */
export function authFileText(verifier: string): string {
  return `"${TRUST_USER}" ""\n"${SCRAM_USER}" "${verifier}"\n`
}

/** Starts PgBouncer and resolves once it accepts connections. */
export async function startPgbouncer(
  owner: Owner,
  command: string,
  server: BenchPostgres,
  setup: Setup,
): Promise<{ port: number; pid: number }> {
  const account = serviceAccount()
  const dir = owner.directory('pgbouncer')
  if (account) chownSync(dir, account.uid, account.gid)
  const authFile = path.join(dir, 'userlist.txt')
  writeFileSync(authFile, authFileText(server.verifier))
  const port = await freePort()
  const ini = path.join(dir, 'pgbouncer.ini')
  const prepares = preparesInTransactions(versionOf(command))
  writeFileSync(ini, pgbouncerIni(server, port, setup, { authFile, prepares, certificate: server.certificate }))
  // SIGQUIT ends it at once; SIGINT waits for clients.
  const program = owner.start(command, [ini], { ...account, cwd: dir }, 'SIGQUIT')
  await waitFor(async () => !program.running || (await accepts(port)), {
    what: () => `PgBouncer to listen; it printed:\n${program.output}`,
  })
  if (!program.running) throw new Error(`PgBouncer did not start:\n${program.output}`)
  return { port, pid: program.child.pid! }
}

/** Whether something accepts connections at `port` of this machine. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => socket.destroy(void resolve(true)))
    socket.once('error', () => resolve(false))
  })
}
