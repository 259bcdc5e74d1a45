/**
 * The composition root of one process: everything is made and connected here, nothing is decided. The command line and
 * the library start it with a configuration that has been checked.
 */

import { readFileSync } from 'node:fs'
import { PassthroughMemory } from '../auth/passthrough.ts'
import { ScramKeyCache } from '../auth/scram-keys.ts'
import { unknownUserOf } from '../auth/unknown-user.ts'
import type { EndCounts } from '../client/lifecycle/ending.ts'
import type { ClientPorts } from '../client/lifecycle/ports.ts'
import type { Config } from '../config/options.ts'
import { parseUserlist, type Secret } from '../config/userlist.ts'
import { Deadlines } from '../net/deadlines.ts'
import { type ListenAddress, ListenError, type Listener, listen } from '../net/listener.ts'
import { type Lookup, Resolver } from '../net/resolve.ts'
import { TlsStore } from '../net/tls-context.ts'
import type { Snapshot } from '../observe/snapshot.ts'
import { ServerLimits } from '../pool/server-limits.ts'
import { GuessDelay } from '../routing/guess-delay.ts'
import { HostBook } from '../routing/host-book.ts'
import { HostMonitor } from '../routing/host-monitor.ts'
import { PasswordProver } from '../routing/password-proof.ts'
import { Router } from '../routing/router.ts'
import { Routes } from '../routing/routes.ts'
import { StatementStore } from '../statements/shared-statements.ts'
import { delay, now } from '../util/clock.ts'
import type { LogFields, Logger } from '../util/logger.ts'
import { acceptClient } from './accept.ts'
import { startJanitor } from './janitor.ts'
import { Newcomers } from './newcomers.ts'
import { Registry } from './registry.ts'
import { renewCredentials } from './renew-credentials.ts'
import { saltKeyOf } from './salt-key.ts'
import { ServerAccess } from './server-access.ts'
import { ServerPasswords } from './server-passwords.ts'
import { ServerTlsStores } from './server-tls.ts'
import { takeSnapshot } from './take-snapshot.ts'
import { clientTlsSettings } from './tls-settings.ts'

/** What a daemon is given. */
export interface DaemonDeps {
  logger: Logger
  version: string
  /** Finds the addresses of a name; default: as every other program of the machine does. */
  lookup?: Lookup
  /** Called when many clients have left: their memory can be given back. */
  onCrowdLeft?: () => void
}

/** A running pgbun. */
export interface Daemon {
  readonly addresses: readonly ListenAddress[]
  /** Its state as plain data. */
  snapshot(): Snapshot
  /** Use `next` from now on, as far as its options can change while running. Rejects, changing nothing, on a bad file. */
  reload(next: Config): Promise<void>
  /**
   * Stop: no new clients, running transactions may end, then everything is closed with 57P01.
   * @param options.timeoutMs how long running transactions get (default `shutdown_timeout`); of several calls the
   * shortest time counts
   */
  close(options?: { timeoutMs?: number }): Promise<void>
}

export { ListenError }

/** So many connections may be silent at least, where max_silent_connections is not set. */
const SILENT = 100

/** Names are asked for at most this often by themselves, in ms. */
const LEAST_DNS_MS = 1000

/** How long canceled queries get to end before their connections are cut. */
const DRAIN_MS = 2000

/**
 * Start pooling.
 * @throws ListenError, TlsConfigError, UserlistError, or the error of a file that cannot be read
 */
export async function startDaemon(initial: Config, deps: DaemonDeps): Promise<Daemon> {
  const { logger: log, version, onCrowdLeft = () => {} } = deps
  let config = initial
  let secrets = readSecrets(initial)
  let unknownUser = unknownUserOf(secrets, config.scramIterations)
  const startedAt = now()
  const clientTls = new TlsStore('client', clientTlsSettings(config))
  const serverTls = new ServerTlsStores(config)
  let routes = new Routes(config)
  const keyCache = new ScramKeyCache({ saltKey: saltKeyOf(config.scramSaltSecret) })
  const passthrough = new PassthroughMemory({
    now,
    get ttlMs() {
      return config.passthroughTtl
    },
  })
  const statements = new StatementStore()
  const limits: ServerLimits = new ServerLimits(
    (database, user) => routes.serverLimits(database, user),
    () => router.pools(),
    log,
  )
  const resolver = new Resolver(deps.lookup, undefined, () => ({
    answerMs: config.dnsMaxTtl,
    failureMs: config.dnsNxdomainTtl,
  }))
  const hosts = new HostBook((key) => limits.connectionsTo(key))
  const access = new ServerAccess({
    hosts,
    resolver,
    config: () => config,
    tls: serverTls,
    passwords: new ServerPasswords(() => secrets),
    keyCache,
    passthrough,
    loginRefused: ({ user }) => router.retire(user),
    statements,
    limits,
    log,
  })
  const registry = new Registry(() => config.maxClientConn)
  const ends: EndCounts = {}
  const router: Router = new Router(routes, {
    hosts: (target) => hosts.candidates(target, now()),
    hasHost: (target) => hosts.fitting(target, now()).length > 0,
    mayFindStandby: (target) => hosts.mayFindStandby(target),
    roleFound: (server, role) => {
      const host = hosts.of(server.identity.target)
      const before = host.role
      if (!hosts.roleFound(host, role, now())) return
      if (before !== undefined)
        log.info('host has another role', { host: host.key, role: role.standby ? 'standby' : 'primary' })
      router.roleChanged(host.key, role)
    },
    open: (pool, slot) => access.open(pool, slot),
    cancel: (server) => access.cancel(server),
    rolesChanged: (user, change) => {
      passthrough.forgetAll()
      if (change !== 'logins') router.retire(change === 'gone' ? user : undefined)
    },
    limits,
    log,
  })
  const ports: ClientPorts = {
    get config() {
      return config
    },
    get secrets() {
      return secrets
    },
    get unknownUser() {
      return unknownUser
    },
    log,
    registry,
    ends,
    keyCache,
    passthrough,
    statements,
    prover: new PasswordProver(
      {
        open: (login, credentials, proven) => access.openWith(login, credentials, proven),
        keep: (pool, opened) => access.keep(pool, opened),
        passwordChanged: (key) => router.retire(key.slice(key.indexOf('\0') + 1)),
        get limit() {
          return config.maxUnprovenLogins
        },
        get trustsLocal() {
          return config.allowUnprovenLocalClients
        },
      },
      passthrough,
    ),
    guesses: new GuessDelay(() => config.loginFailureDelay),
    pool: (database, user) => router.pool(database, user),
    clientLimits: (database, user) => routes.clientLimits(database, user),
    clientCounts: (database, user) => routes.clientCounts(database, user),
    clearDatabase: (pool, database) => router.clearDatabase(pool, database),
    openDedicated: (login, credentials, startup) => access.openReplication(login, credentials, startup),
    dedicate: ({ dedicated }, opened, consumer) => dedicated.lend(access.keepFor(dedicated, opened), consumer),
    cancelServer: (server) => access.cancel(server),
  }
  warmVerifiers(config, secrets, keyCache)

  const deadlines = new Deadlines()
  const newcomers = new Newcomers(() => config.maxSilentConnections || Math.max(SILENT, config.maxClientConn), log)
  const accepting = { ports, registry, newcomers, tls: clientTls, deadlines }
  const listener: Listener = await listen({
    hosts: config.listenHost,
    port: config.listenPort,
    unixSocketDir: config.unixSocketDir,
    unixSocketMode: config.unixSocketMode,
    backlog: config.listenBacklog,
    keepAliveMs: () => (config.tcpKeepalive ? config.tcpKeepidle : undefined),
    onConnection: (socket, info) => acceptClient(socket, info, accepting),
    onError: (error) => log.error(`cannot accept connections: ${error.message}`, acceptFields(error)),
  })

  if (config.authType === 'passthrough' && !/^[/@]/.test(config.serverHost)) {
    log.info('passthrough: where PostgreSQL asks for no password, clients of this machine get in without one')
  }
  if (clientTls.current?.made) {
    const remedy = 'set client_tls_cert_file and client_tls_key_file for a certificate that clients can verify'
    log.info('TLS: clients of other machines are offered it with a certificate made for this run', { remedy })
  }
  const snapshot = (): Snapshot => takeSnapshot({ version, startedAt, registry, router, hosts, ends })
  const statsPeriodMs = () => config.statsPeriod
  const monitor = new HostMonitor(hosts, {
    settings: () => ({
      intervalMs: config.healthCheckInterval,
      timeoutMs: config.healthCheckTimeout,
      dnsMs: Math.max(config.dnsMaxTtl, LEAST_DNS_MS),
    }),
    resolve: (name) => resolver.resolve(name),
    moved: (host, addresses) => {
      log.info('host has other addresses', { host: host.key, addresses: addresses.join(',') })
      router.hostMoved(host.key, addresses)
    },
    probe: (host, timeoutMs) => access.probe(host, timeoutMs),
    down: (host, reason) => router.hostDown(host.key, reason),
    log,
  })
  const stopJanitor = startJanitor({ registry, router, monitor, statsPeriodMs, snapshot, onCrowdLeft, log })
  let closing: Promise<void> | undefined
  /** How long what runs gets in all, and until when: whoever calls close again may have less patience. */
  let patienceMs = Number.POSITIVE_INFINITY
  let deadline = Number.POSITIVE_INFINITY

  async function shutDown(): Promise<void> {
    log.info('shutting down: running transactions may end first', {
      clients: registry.admitted,
      timeout_ms: patienceMs,
    })
    listener.stopAccepting()
    registry.close()
    for (const session of registry.sessions) session.shutDown()
    await until(
      () => registry.admitted === 0,
      () => deadline,
    )
    deadlines.shutDown()
    for (const session of registry.sessions) session.endWith('admin_shutdown')
    for (const pool of router.pools()) pool.close('shutting down')
    const drainSince = now()
    await until(
      () => [...router.pools()].every((pool) => pool.connected === 0),
      () => drainSince + Math.min(patienceMs, DRAIN_MS),
    )
    for (const pool of router.pools()) pool.destroy('shutting down')
    access.close()
    stopJanitor()
    await listener.close()
    log.info('stopped')
  }

  return {
    addresses: listener.addresses,
    snapshot,
    async reload(next) {
      // All that can fail comes first: a reload happens as a whole or not at all.
      const nextSecrets = readSecrets(next)
      const useClientTls = clientTls.prepare(clientTlsSettings(next))
      const useServerTls = serverTls.prepare(next)
      const nextRoutes = new Routes(next)
      if (useClientTls()) log.info('client certificates reloaded', { until: expiry(clientTls) })
      if (useServerTls()) log.info('server certificates reloaded', { until: expiry(serverTls.general) })
      if (next.authType !== 'passthrough') renewCredentials(router.pools(), secrets, nextSecrets)
      config = next
      secrets = nextSecrets
      unknownUser = unknownUserOf(secrets, next.scramIterations)
      routes = nextRoutes
      const orphans = router.configure(routes)
      hosts.keep(Array.from(router.pools(), ({ target }) => target))
      for (const session of registry.sessions) if (session.link && orphans.has(session.link.pool)) session.shutDown()
      warmVerifiers(next, secrets, keyCache)
    },
    close({ timeoutMs = config.shutdownTimeout } = {}) {
      patienceMs = Math.min(patienceMs, timeoutMs)
      deadline = Math.min(deadline, now() + timeoutMs)
      closing ??= shutDown()
      return closing
    },
  }
}

function readSecrets({ authFile }: Config): ReadonlyMap<string, Secret> | undefined {
  return authFile === '' ? undefined : parseUserlist(readFileSync(authFile, 'utf8'), authFile)
}

/** Derive the verifiers of plain secrets ahead: a first login must not take longer than that of an unknown user. */
function warmVerifiers(config: Config, secrets: ReadonlyMap<string, Secret> | undefined, cache: ScramKeyCache): void {
  if (config.authType !== 'scram-sha-256' || secrets === undefined) return
  for (const [user, secret] of secrets) {
    if (secret.kind === 'plain') cache.prepare(user, secret.password, config.scramIterations)
  }
}

/** Resolves when `condition` holds, or at `deadline`, which may move. */
async function until(condition: () => boolean, deadline: () => number): Promise<void> {
  while (!condition() && now() < deadline()) await delay(10, { ref: true })
}

/** What a log line says of a connection that could not be accepted. */
function acceptFields({ code }: NodeJS.ErrnoException): LogFields {
  const full = code === 'EMFILE' || code === 'ENFILE'
  return { code, remedy: full ? 'raise the limit of open files (ulimit -n, LimitNOFILE)' : undefined }
}

/** When our own certificate of one side expires. */
function expiry({ current }: TlsStore): string | undefined {
  return current?.leaf?.notAfter.toISOString()
}
