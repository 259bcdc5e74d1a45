/** What stands between the clients of the failover test and the cluster: pgbun, or PgBouncer in front of HAProxy. */
import { chownSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { createPooler } from '../../lib/index.ts'
import { findProgram, serviceAccount } from '../bench/find-program.ts'
import type { Owner } from '../bench/owner.ts'
import { accepts } from '../bench/pgbouncer.ts'
import { freePort } from '../fixtures/ports.ts'
import { waitFor } from '../fixtures/wait.ts'
import type { Line } from './line.ts'

export const THROUGH = ['pgbun', 'haproxy'] as const
export type Through = (typeof THROUGH)[number]

/** Where clients go. */
export interface FailoverProxy {
  readonly write: string
  readonly read: string
}

interface Sizes {
  poolSize: number
  maxReplicaLag: string
}

/** Start it; it ends with `owner`. */
export function startFailoverProxy(
  owner: Owner,
  lines: readonly Line[],
  through: Through,
  sizes: Sizes,
): Promise<FailoverProxy> {
  return through === 'pgbun' ? startPooler(owner, lines, sizes) : startHaproxy(owner, lines, sizes)
}

async function startPooler(
  owner: Owner,
  lines: readonly Line[],
  { poolSize, maxReplicaLag }: Sizes,
): Promise<FailoverProxy> {
  const pooler = await createPooler({
    listenHost: '127.0.0.1',
    listenPort: 0,
    serverHost: lines.map(({ host, port }) => `${host}:${port}`).join(','),
    poolMode: 'transaction',
    poolSize,
    maxClientConn: 500,
    routeReads: 'replicas',
    maxReplicaLag,
    // As PgBouncer has clients wait.
    outageGrace: '30s',
    healthCheckInterval: '500ms',
    healthCheckTimeout: '500ms',
    logLevel: 'error',
  })
  owner.teardown(() => pooler.close({ timeoutMs: 0 }))
  const { port } = pooler.address as { port: number }
  const url = `postgres://postgres:postgres@127.0.0.1:${port}/postgres`
  return { write: url, read: url }
}

async function startHaproxy(owner: Owner, ways: readonly Line[], { poolSize }: Sizes): Promise<FailoverProxy> {
  const [haproxy, pgbouncer] = [findProgram('haproxy'), findProgram('pgbouncer')]
  if (haproxy === undefined || pgbouncer === undefined) throw new Error('haproxy and pgbouncer must be installed')
  const dir = owner.directory('haproxy')
  const account = serviceAccount()
  if (account) chownSync(dir, account.uid, account.gid)
  const roles = await Promise.all(ways.map((line) => serveRole(owner, line)))
  const [writes, reads, listen] = [await freePort(), await freePort(), await freePort()]
  const servers = ways.map(
    ({ node: { name }, host, port }, i) => `  server ${name} ${host}:${port} maxconn 100 check port ${roles[i]}`,
  )
  const side = (name: string, port: number): string[] => [
    `listen ${name}`,
    `  bind 127.0.0.1:${port}`,
    `  option httpchk GET /${name}`,
    '  http-check expect status 200',
    '  default-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions',
    ...servers,
  ]
  const cfg = path.join(dir, 'haproxy.cfg')
  const lines = [
    'global',
    '  maxconn 2000',
    'defaults',
    '  mode tcp',
    '  retries 2',
    '  timeout connect 1s',
    '  timeout check 500ms',
    '  timeout client 1m',
    '  timeout server 1m',
    ...side('primary', writes),
    ...side('replica', reads),
  ]
  writeFileSync(cfg, `${lines.join('\n')}\n`)
  owner.start(haproxy, ['-db', '-f', cfg], { cwd: dir }, 'SIGTERM')
  const ini = path.join(dir, 'pgbouncer.ini')
  const users = path.join(dir, 'users.txt')
  writeFileSync(users, '"postgres" "postgres"\n')
  const database = (name: string, port: number): string =>
    `${name} = host=127.0.0.1 port=${port} dbname=postgres user=postgres password=postgres`
  const bouncer = [
    '[databases]',
    database('write', writes),
    database('read', reads),
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${listen}`,
    'unix_socket_dir =',
    'auth_type = trust',
    `auth_file = ${users}`,
    'pool_mode = transaction',
    `default_pool_size = ${poolSize}`,
    'max_client_conn = 500',
    'server_login_retry = 1',
    'log_connections = 0',
    'log_disconnections = 0',
  ]
  writeFileSync(ini, `${bouncer.join('\n')}\n`)
  const program = owner.start(pgbouncer, [ini], { ...account, cwd: dir }, 'SIGQUIT')
  await waitFor(async () => !program.running || (await accepts(listen)))
  if (!program.running) throw new Error(`PgBouncer did not start:\n${program.output}`)
  const url = (name: string): string => `postgres://postgres@127.0.0.1:${listen}/${name}`
  return { write: url('write'), read: url('read') }
}

/** Answers over HTTP whether the node at the end of `line` is a primary or a standby, as Patroni does; returns the port. */
async function serveRole(owner: Owner, line: Line): Promise<number> {
  const server = http.createServer((request, response) => {
    void (async () => {
      if (line.isCut) return
      const standby = await line.node.isInRecovery().catch(() => undefined)
      const asked = request.url === '/primary' ? false : request.url === '/replica' ? true : undefined
      response.writeHead(standby !== undefined && standby === asked ? 200 : 503).end()
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  owner.teardown(() => void server.close())
  return (server.address() as AddressInfo).port
}
