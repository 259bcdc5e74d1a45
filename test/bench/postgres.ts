/**
 * The PostgreSQL that everything is measured against: the one on PATH, else the embedded one of the tests, with a
 * cluster of its own that is removed at the end. Users `bench` (trusted) and `bench_scram` (SCRAM-SHA-256).
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import pg from 'pg'
import { startEmbeddedPostgres } from '../../lib/cli/embedded-postgres.ts'
import { type CertificateFiles, type Issued, issueCertificate } from '../fixtures/certificates.ts'
import { freePort } from '../fixtures/ports.ts'
import { waitFor } from '../fixtures/wait.ts'
import type { Setup } from './cases.ts'
import { findProgram, serviceAccount } from './find-program.ts'
import type { Owner } from './owner.ts'
import { ROW_BYTES } from './scripts.ts'

export const SCRAM_USER = 'bench_scram'
export const SCRAM_PASSWORD = 'a password for benchmarks'
export const TRUST_USER = 'bench'

/** A server that is ready for the benchmark. */
export interface BenchPostgres {
  host: string
  port: number
  /** Directory of its unix socket; undefined where it has none. */
  socketDirectory: string | undefined
  version: string
  /** The stored secret of SCRAM_USER, as PgBouncer's auth_file wants it. */
  verifier: string
  /** Shown to clients by everything that is measured over TLS. */
  certificate: CertificateFiles
}

/** What poolers connect to in `setup`. */
export function upstreamHost(postgres: Pick<BenchPostgres, 'host' | 'socketDirectory'>, setup: Setup): string {
  return (setup.upstream === 'socket' ? postgres.socketDirectory : undefined) ?? postgres.host
}

const settings: Record<string, string> = {
  // 200 direct clients, and what the pools of earlier cases still hold.
  max_connections: '500',
  shared_buffers: '256MB',
  autovacuum: 'off',
  jit: 'off',
}
const hba = [
  'local all all trust',
  `host all ${SCRAM_USER} 127.0.0.1/32 scram-sha-256`,
  'host all all 127.0.0.1/32 trust',
]

/** Starts a PostgreSQL with the tables of the scripts. */
export async function startBenchPostgres(owner: Owner, wanted: 'auto' | 'system' | 'embedded'): Promise<BenchPostgres> {
  const initdb = wanted === 'embedded' ? undefined : findProgram('initdb')
  const postgres = initdb && findProgram('postgres')
  if (wanted === 'system' && !postgres) throw new Error('--postgres system: initdb and postgres are not on PATH')
  const issued = issueCertificate({ commonName: 'localhost', usage: 'server', names: ['localhost', '127.0.0.1'] })
  const certificate = writeCertificate(owner, issued)
  const address =
    initdb && postgres ? await startSystem(owner, initdb, postgres, certificate) : await startEmbedded(owner, issued)
  return { ...address, ...(await prepare(address)), certificate }
}

/** As files that PostgreSQL and PgBouncer, which run under an account of their own, may read. */
function writeCertificate(owner: Owner, { certificate, key }: Issued): CertificateFiles {
  const dir = owner.directory('certificate')
  const files = { cert: path.join(dir, 'server.crt'), key: path.join(dir, 'server.key') }
  writeFileSync(files.cert, certificate)
  writeFileSync(files.key, key, { mode: 0o600 })
  const account = findProgram('postgres') || findProgram('pgbouncer') ? serviceAccount() : undefined
  if (account) for (const file of [dir, files.cert, files.key]) chownSync(file, account.uid, account.gid)
  return files
}

type Address = Pick<BenchPostgres, 'host' | 'port' | 'socketDirectory'>

async function startEmbedded(owner: Owner, { certificate, key }: Issued): Promise<Address> {
  const tls = { cert: certificate, key }
  const { host, port, stop } = await startEmbeddedPostgres({ user: 'postgres', settings, hba, tls })
  owner.teardown(stop)
  return { host, port, socketDirectory: undefined }
}

async function startSystem(
  owner: Owner,
  initdb: string,
  postgres: string,
  { cert, key }: CertificateFiles,
): Promise<Address> {
  const account = serviceAccount()
  const dir = owner.directory('postgres')
  const socketDirectory = owner.directory('socket')
  // The poolers run under other accounts.
  chmodSync(socketDirectory, 0o755)
  if (account) for (const own of [dir, socketDirectory]) chownSync(own, account.uid, account.gid)
  const data = path.join(dir, 'data')
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
  const args = ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-locale', '--no-sync']
  execFileSync(initdb, args, { ...account, cwd: dir, env, stdio: ['ignore', 'ignore', 'pipe'] })
  writeFileSync(path.join(data, 'pg_hba.conf'), `${hba.join('\n')}\n`)
  const port = await freePort()
  const all = {
    ...settings,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketDirectory,
    port: String(port),
    fsync: 'off',
    ssl: 'on',
    ssl_cert_file: cert,
    ssl_key_file: key,
  }
  const flags = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  // SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
  const program = owner.start(postgres, ['-D', data, ...flags], { ...account, cwd: dir, env }, 'SIGINT')
  await waitFor(() => !program.running || program.output.includes('ready to accept connections'), {
    what: () => `PostgreSQL to start; it printed:\n${program.output}`,
  })
  if (!program.running) throw new Error(`PostgreSQL did not start:\n${program.output}`)
  return { host: '127.0.0.1', port, socketDirectory }
}

async function prepare({ host, port }: Address): Promise<{ version: string; verifier: string }> {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' })
  await client.connect()
  try {
    // The tables of `pgbench -i`, made here because they are needed without pgbench, too.
    await client.query(`
      SET password_encryption = 'scram-sha-256';
      CREATE ROLE ${TRUST_USER} LOGIN;
      CREATE ROLE ${SCRAM_USER} LOGIN PASSWORD '${SCRAM_PASSWORD}';
      CREATE TABLE pgbench_branches (bid int PRIMARY KEY, bbalance int, filler char(88));
      CREATE TABLE pgbench_accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84));
      CREATE TABLE bench_rows (id int PRIMARY KEY, payload text);
      INSERT INTO pgbench_branches VALUES (1, 0, '');
      INSERT INTO pgbench_accounts SELECT n, 1, 0, '' FROM generate_series(1, 100000) AS n;
      INSERT INTO bench_rows SELECT n, repeat('x', ${ROW_BYTES}) FROM generate_series(1, 10000) AS n;
      GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
    `)
    await client.query('VACUUM (FREEZE, ANALYZE)')
    const secret = await client.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [SCRAM_USER])
    const version = await client.query('SHOW server_version')
    return { version: version.rows[0].server_version, verifier: secret.rows[0].rolpassword }
  } finally {
    await client.end()
  }
}
