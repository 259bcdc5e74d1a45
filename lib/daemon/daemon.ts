/**
 * The composition root of one process: everything is made and connected here, nothing is decided. The command line and
 * the library start it with a configuration that has been checked.
 */

import { Console } from '../admin/console.ts'
import type { ShutdownMode } from '../admin/control.ts'
import type { View } from '../admin/view.ts'
import { PassthroughMemory } from '../auth/passthrough.ts'
import { ScramKeyCache } from '../auth/scram-keys.ts'
import { unknownUserOf } from '../auth/unknown-user.ts'
import type { EndCounts } from '../client/lifecycle/ending.ts'
import type { ClientPorts } from '../client/lifecycle/ports.ts'
import type { ResolvedConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import type { OtelSettings } from '../config/otel-env.ts'
import type { ControlAddress } from '../net/control-socket.ts'
import { Deadlines } from '../net/deadlines.ts'
import type { TakenSockets } from '../net/hand-over.ts'
import type { InheritedSocket } from '../net/inherited-socket.ts'
import { type ListenAddress, ListenError, type Listener, listen } from '../net/listener.ts'
import { type Lookup, Resolver } from '../net/resolve.ts'
import { lookupSrv, type SrvLookup } from '../net/resolve-srv.ts'
import { TlsStore } from '../net/tls-context.ts'
import { Averages } from '../observe/averages.ts'
import type { ProcessSnapshot } from '../observe/processes.ts'
import type { Snapshot } from '../observe/snapshot.ts'
import { QueryStats } from '../pool/query-stats.ts'
import { ServerLimits } from '../pool/server-limits.ts'
import { GuessDelay } from '../routing/guess-delay.ts'
import { HostBook } from '../routing/host-book.ts'
import { HostMonitor } from '../routing/host-monitor.ts'
import { PasswordProver } from '../routing/password-proof.ts'
import { Router } from '../routing/router.ts'
import { Routes } from '../routing/routes.ts'
import { SrvNames } from '../routing/srv-names.ts'
import { StatementStores } from '../statements/statement-stores.ts'
import { now } from '../util/clock.ts'
import { Histogram } from '../util/histogram.ts'
import type { LogFields, Logger } from '../util/logger.ts'
import { acceptClient } from './accept.ts'
import { viewCertificates, viewMemory, viewOptions, viewPrepared } from './console-view.ts'
import { DaemonControl, EMBEDDED, type ProcessControl } from './control.ts'
import { ErrorCounts } from './error-counts.ts'
import { runHealthQuery } from './health-query.ts'
import { type HttpSurfaceParts, inheritHttpSurface, startHttpSurface } from './http-surface.ts'
import { startJanitor } from './janitor.ts'
import { Newcomers } from './newcomers.ts'
import { onlyOwnerConnects } from './owner-socket.ts'
import { Peers } from './peers.ts'
import { Predecessor } from './predecessor.ts'
import { Registry } from './registry.ts'
import { renewCredentials } from './renew-credentials.ts'
import { saltKeyOf } from './salt-key.ts'
import { readSecrets, warmVerifiers } from './secrets.ts'
import { ServerAccess } from './server-access.ts'
import { ServerPasswords } from './server-passwords.ts'
import { ServerTlsStores } from './server-tls.ts'
import { Shutdown } from './shutdown.ts'
import { takePulse } from './take-pulse.ts'
import { takeCounts, takeSnapshot } from './take-snapshot.ts'
import { FAREWELL_MS, HURRIED_FAREWELL_MS, startTelemetry } from './telemetry.ts'
import { clientTlsSettings } from './tls-settings.ts'

/** What a daemon is given. */
export interface DaemonDeps {
  logger: Logger
  version: string
  /** Finds the addresses of a name; default: as every other program of the machine does. */
  lookup?: Lookup
  /** Finds the SRV records of a name; default: by the name service that the system is configured to. */
  lookupSrv?: SrvLookup
  /** Where the values of the configuration in force come from; default: a program. */
  sources?: () => ResolvedConfig['sources']
  /** What the console has the process do; default: it is refused. */
  process?: ProcessControl
  /** What a collector of OpenTelemetry is sent; default: nothing. */
  telemetry?: OtelSettings | undefined
  /** Sockets to listen on instead of the addresses of the configuration. */
  sockets?: readonly InheritedSocket[]
  /** The process that is succeeded: its sockets, asked for when everything else is ready, and where it can be asked. */
  predecessor?: { control: ControlAddress; sockets(): Promise<TakenSockets> }
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
  /** A reload has failed before it came here, because of `reason`: probes tell. */
  reloadFailed(reason: string): void
  /** Go on after a PAUSE, KILL or SUSPEND at the console. */
  resume(): void
  /** This process, and those that it has succeeded. */
  processes(): readonly ProcessSnapshot[]
  /** Cancel what the client with this key runs; resolves when it was done, or there is no such client. */
  cancel(pid: number, secret: Buffer): Promise<void>
  /** Whether clients should be sent here: false from the first moment of a shutdown on. */
  readonly ready: boolean
  /** Resolves when a shutdown has come to its end, whoever asked for it. */
  readonly closed: Promise<void>
  /** Stop in one of three ways, or faster than was asked for before. The times are those of the configuration. */
  shutDown(mode: ShutdownMode): Promise<void>
  /** Another process accepts the clients now: stop when those who are here have left, or upgrade_timeout has passed. */
  beSucceeded(): Promise<void>
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
  const srv = new SrvNames(deps.lookupSrv ?? lookupSrv)
  const srvFailed = (name: string, error: Error): void =>
    log.warn('no SRV records: what was found before stays in use', { name, reason: error.message })
  srv.use(await srv.ask(config, srvFailed))
  let routes = new Routes(config, srv)
  const keyCache = new ScramKeyCache({ saltKey: saltKeyOf(config.scramSaltSecret) })
  const passthrough = new PassthroughMemory({
    now,
    get ttlMs() {
      return config.passthroughTtl
    },
  })
  const statements = new StatementStores()
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
  const errors = new ErrorCounts()
  const queryStats = new QueryStats(config)
  let predecessor: Predecessor | undefined
  const registry = new Registry(
    () => config.maxClientConn,
    async (pid, secret, hops) => {
      await Promise.all([predecessor?.cancel(pid, secret), peers.passOn(pid, secret, hops)])
    },
    () => config.peerId,
  )
  const peers = new Peers({ config: () => config, resolver, port: () => port, log })
  const ends: EndCounts = {}
  const control: DaemonControl = new DaemonControl({
    registry,
    router: () => router,
    process: deps.process ?? EMBEDDED,
    suspendTimeoutMs: () => config.suspendTimeout,
    serves: (database) => routes.serves(database),
    resetQueries: () => queryStats.reset(),
    cancel: (server) => access.cancel(server),
    log,
  })
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
    isPaused: control.isPaused.bind(control),
    errorCame: (database, sqlstate) => errors.add(database, sqlstate),
    gone: (server) => {
      hosts.of(server.identity.target).answeredBefore += server.answered
    },
    patienceMs: () => config.healthCheckTimeout,
    openOn: (host, login, credentials, owner) => access.openOn(host, login, credentials, owner),
    cancel: (server) => access.cancel(server),
    rolesChanged: (user, change) => {
      passthrough.forgetAll()
      if (change !== 'logins') router.retire(change === 'gone' ? user : undefined)
    },
    limits,
    log,
  })
  /** That is listened on, as soon as it is known. */
  let port = config.listenPort
  const snapshot = (): Snapshot =>
    takeSnapshot({
      version,
      startedAt,
      registry,
      router,
      hosts,
      ends,
      errors,
      config,
      routes,
      users: secrets?.keys() ?? [],
      resolver,
      control,
      peers,
    })
  const startedAtDate = Date.now()
  const processes = (): readonly ProcessSnapshot[] => {
    let [waiting, servers] = [0, 0]
    for (const pool of router.pools()) {
      waiting += pool.waiters.size
      servers += pool.connected
    }
    const own = { pid: process.pid, version, startedAt: startedAtDate, accepting: !shutdown.begun }
    return [{ ...own, clients: registry.admitted, waiting, servers }, ...(predecessor?.processes ?? [])]
  }
  const averages = new Averages()
  const view = (): View => ({
    snapshot: snapshot(),
    averages,
    state: control,
    port,
    processes,
    console: console.counts,
    options: () => viewOptions(config, deps.sources?.()),
    prepared: () => viewPrepared(statements),
    queries: () => queryStats.snapshot(),
    showsQueries: config.statsShowQueries,
    certificates: () =>
      viewCertificates([
        [clientTls, config.clientTlsCertFile],
        [serverTls.general, config.serverTlsCertFile],
      ]),
    memory: () => viewMemory(statements),
  })
  const console: Console = new Console({
    users: () => ({ admin: config.adminUsers, stats: config.statsUsers }),
    control,
    view,
  })
  const ports: ClientPorts & { spans: ClientPorts['spans'] } = {
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
    console,
    queryStats,
    spans: undefined,
    isDisabled: (database) => control.isDisabled(database),
    whenServed: (database, asks) => control.whenServed(database, asks),
    // Who may open a socket of systemd's is for systemd to say, and may change.
    onlyOwnerConnects: () => !deps.sockets?.length && onlyOwnerConnects(config.unixSocketDir, port),
    poolToProve: (user) => {
      const database = routes.databaseToProve()
      return database === undefined ? undefined : router.pool(database, user)
    },
    pool: (database, user) => router.pool(database, user),
    readsOf: (pool) => router.readsOf(pool),
    clientLimits: (database, user) => routes.clientLimits(database, user),
    clientCounts: (database, user) => routes.clientCounts(database, user),
    clearDatabase: (pool, database) => router.clearDatabase(pool, database),
    openDedicated: (login, credentials, startup) => access.openReplication(login, credentials, startup),
    dedicate: ({ dedicated, database }, opened, consumer) =>
      dedicated.lend(access.keepFor(dedicated, database, opened), consumer),
    cancelServer: (server) => access.cancel(server),
  }
  warmVerifiers(config, secrets, keyCache)

  /** Why the last reload has changed nothing. */
  let reloadFailure = ''
  let listening = false
  let draining = (): boolean => false
  const lag = new Histogram()
  const httpParts: HttpSurfaceParts = {
    ...{ clientTls, control, hosts, access, view, lag, clientPorts: ports },
    config: () => config,
    routes: () => routes,
    counts: () => takeCounts({ registry, router }),
    pulse: () => takePulse({ registry, router, errors }),
    readiness: () => ({ listening, draining: draining(), suspended: control.suspended, reloadFailure }),
  }
  let http = deps.predecessor ? undefined : await startHttpSurface(httpParts)
  const telemetry =
    deps.telemetry && (await startTelemetry(deps.telemetry, { ...httpParts, version, startedAt: startedAtDate }))
  ports.spans = telemetry?.spans
  const deadlines = new Deadlines()
  const newcomers = new Newcomers(() => config.maxSilentConnections || Math.max(SILENT, config.maxClientConn), log)
  const accepting = { ports, registry, newcomers, tls: clientTls, deadlines }
  const listener: Listener = await listen({
    hosts: config.listenHost,
    port: config.listenPort,
    unixSocketDir: config.unixSocketDir,
    unixSocketMode: config.unixSocketMode,
    inherited: deps.sockets,
    taken: await deps.predecessor?.sockets(),
    backlog: config.listenBacklog,
    keepAliveMs: () => (config.tcpKeepalive ? config.tcpKeepidle : undefined),
    onConnection: (socket, info) => acceptClient(socket, info, accepting),
    onError: (error) => log.error(`cannot accept connections: ${error.message}`, acceptFields(error)),
  }).catch((error: unknown) => {
    http?.close()
    void telemetry?.close(0)
    throw error
  })
  listening = true
  port = listener.port || port
  if (deps.predecessor) {
    predecessor = new Predecessor(deps.predecessor.control, log)
    void inheritHttpSurface(httpParts).then((inherited) => {
      http = inherited
    })
  }

  if (config.authType === 'passthrough' && !/^[/@]/.test(config.serverHost)) {
    log.info('passthrough: where PostgreSQL asks for no password, clients of this machine get in without one')
  }
  if (clientTls.current?.made) {
    const remedy = 'set client_tls_cert_file and client_tls_key_file for a certificate that clients can verify'
    log.info('TLS: clients of other machines are offered it with a certificate made for this run', { remedy })
  }
  const statsPeriodMs = () => config.statsPeriod
  const monitor = new HostMonitor(hosts, {
    settings: () => ({
      intervalMs: config.healthCheckInterval,
      timeoutMs: config.healthCheckTimeout,
      failures: config.healthCheckFailures,
      successes: config.healthCheckSuccesses,
      dnsMs: Math.max(config.dnsMaxTtl, LEAST_DNS_MS),
    }),
    resolve: (name) => resolver.resolve(name),
    renewNames: async () => {
      const asked = config
      const records = await srv.ask(asked, srvFailed)
      // A reload has asked for its own.
      if (asked === config && srv.use(records)) useRoutes(new Routes(config, srv))
    },
    moved: (host, addresses) => {
      log.info('host has other addresses', { host: host.key, addresses: addresses.join(',') })
      router.hostMoved(host.key, addresses)
    },
    probe: async (host, timeoutMs) => {
      await access.probe(host, timeoutMs)
      const sql = config.healthCheckQuery
      if (sql !== '') await runHealthQuery(access, router.pools(), host, sql, timeoutMs)
    },
    down: (host, reason) => router.hostDown(host.key, reason),
    log,
  })
  const stopJanitor = startJanitor({
    registry,
    router,
    monitor,
    control,
    averages,
    statsPeriodMs,
    counts: () => takeCounts({ registry, router }),
    lag,
    onCrowdLeft,
    log,
  })
  function useRoutes(next: Routes): void {
    routes = next
    const orphans = router.configure(routes)
    hosts.keep(Array.from(router.pools(), ({ target }) => target))
    for (const session of registry.sessions) if (session.link && orphans.has(session.link.pool)) session.shutDown()
  }

  const shutdown = new Shutdown({
    ...{ registry, router, listener, deadlines, log },
    times: () => ({ timeoutMs: config.shutdownTimeout, delayMs: config.shutdownDelay }),
    hasPredecessor: () => predecessor?.alive === true,
    async stop(mode) {
      const told = telemetry?.close(mode === 'now' ? HURRIED_FAREWELL_MS : FAREWELL_MS)
      router.close()
      access.close()
      stopJanitor()
      predecessor?.stop()
      http?.close()
      await told
    },
  })
  draining = () => shutdown.begun

  return {
    addresses: listener.addresses,
    snapshot,
    async reload(next) {
      const records = await srv.ask(next, srvFailed)
      // All that can fail comes first: a reload happens as a whole or not at all.
      const nextSecrets = readSecrets(next)
      const useClientTls = clientTls.prepare(clientTlsSettings(next))
      const useServerTls = serverTls.prepare(next)
      if (useClientTls()) {
        http?.useTls(clientTls.current)
        log.info('client certificates reloaded', { until: expiry(clientTls) })
      }
      if (useServerTls()) log.info('server certificates reloaded', { until: expiry(serverTls.general) })
      if (next.authType !== 'passthrough') renewCredentials(router.pools(), secrets, nextSecrets)
      config = next
      secrets = nextSecrets
      unknownUser = unknownUserOf(secrets, next.scramIterations)
      srv.use(records)
      useRoutes(new Routes(next, srv))
      warmVerifiers(next, secrets, keyCache)
      queryStats.configure(next)
      reloadFailure = ''
    },
    reloadFailed(reason) {
      reloadFailure = reason
    },
    resume: () => control.resume(undefined),
    processes,
    cancel: (pid, secret) => registry.cancel(pid, secret),
    get ready() {
      return !shutdown.begun
    },
    closed: shutdown.finished,
    shutDown: (mode) => shutdown.begin(mode),
    beSucceeded() {
      // The address is the successor's now.
      http?.close()
      return shutdown.begin('wait_for_clients', { delayMs: config.upgradeTimeout, succeeded: true })
    },
    close: (options) => shutdown.begin('wait_for_servers', options),
  }
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
