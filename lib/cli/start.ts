/**
 * `pgbun start`: configuration -> a running daemon, and the life of the process around it: pid file, embedded
 * PostgreSQL, signals, reload, the end.
 *
 * What must hold: SIGTERM and SIGINT end gracefully within shutdown_timeout, a second one and SIGQUIT at once (ending.ts);
 * SIGHUP reads the configuration file again and keeps the old configuration where the new one is wrong; whatever was started
 * is stopped, and the pid file is removed, on every way out.
 */
import { hostPort } from '../config/hosts.ts'
import { type ConfigInput, type ResolvedConfig, resolveConfig, resolveConfigInTurns } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import { type OtelSettings, readOtelEnvironment } from '../config/otel-env.ts'
import type { PoolerOptions } from '../config/pooler-options.ts'
import { ConfigError, formatProblem } from '../config/raw-value.ts'
import { applyReload, changesOf, keptUntilRestart } from '../config/reload.ts'
import { settingOf } from '../config/set-option.ts'
import { VERSION } from '../config/version.ts'
import type { ControlAddress } from '../net/control-socket.ts'
import { receiveSockets, type Takeover } from '../net/hand-over.ts'
import type { InheritedSocket } from '../net/inherited-socket.ts'
import type { ListenAddress } from '../net/listener.ts'
import { delay } from '../util/clock.ts'
import { asError, createLogger, type LogControl } from '../util/logger.ts'
import { returnMemory } from '../util/return-memory.ts'
import { inTurns } from '../util/steps.ts'
import type { DaemonReport } from './daemonize.ts'
import { descriptorWarnings } from './descriptor-limit.ts'
import { Ending, messageOf } from './ending.ts'
import { offerHandOver } from './hand-over.ts'
import { LogFile } from './log-file.ts'
import type { CliRequest } from './parse-args.ts'
import { writePidFile } from './pid-file.ts'
import { readyLine } from './ready-line.ts'
import { type Account, accountToBecome, becomeUser, unreadable } from './run-as-user.ts'
import { onHangUp, onMeaninglessSignal, onResume } from './signals.ts'
import { ServiceManager, takeSystemdGifts } from './systemd.ts'
import { filesOf, watchFiles } from './watch-files.ts'

/** How long a background start waits for the word of the server; the log has it in any case. */
const PROBE_PATIENCE_MS = 1000

/** What servers get to end what was canceled, and all else that is to be done at the end. */
const GOODBYE_MS = 5000

type Report = (report: DaemonReport) => void

/** Run until a signal ends it. Resolves once it is ready or has begun to end; the process ends by process.exit. */
export async function runStart(
  request: CliRequest,
  input: ConfigInput,
  report: Report | undefined,
  predecessor: ControlAddress | undefined,
): Promise<void> {
  const resolved = resolveConfig(input)
  const { logFile, runAsUser, pidFile } = resolved.config
  const account = runAsUser === '' ? undefined : accountToBecome(runAsUser)
  if (account && request.embedded)
    throw new Error('--embedded cannot be used with run_as_user: it has users of its own')
  const gifts = takeSystemdGifts(process.env, process.pid)
  const output = new LogFile()
  output.open(logFile)
  const log = createLogger({
    level: resolved.config.logLevel,
    format: resolved.config.logFormat === 'json' ? 'json' : 'text',
    color: logFile === '' && process.stderr.isTTY && process.env.NO_COLOR === undefined,
  })
  const otel = readOtelEnvironment(process.env)
  const warnings = [...resolved.warnings, ...descriptorWarnings(resolved.config), ...otel.warnings]
  for (const warning of warnings) log.warn(warning)
  onMeaninglessSignal((signal) => log.warn(`${signal} received and ignored: it has no meaning for pgbun`))
  const ending = new Ending(log)
  exitOnCrash(log, report)
  const writePid = (): void => {
    if (pidFile !== '') process.on('exit', writePidFile(pidFile, account, predecessor?.pid))
  }
  // The file of a predecessor is taken over when its sockets are.
  if (!predecessor) writePid()
  try {
    const service = new ServiceManager(gifts, log)
    ending.add(() => service.allSaid())
    const serve = {
      request,
      input,
      ...{ config: resolved.config, sources: resolved.sources, telemetry: otel.settings },
      log,
      output,
      account,
      ...{ sockets: gifts.sockets, predecessor, writePid, service, ending },
    }
    const { text, line } = request.embedded
      ? await startEmbedded(serve, report !== undefined)
      : await startServing(serve, report !== undefined)
    // Behind --daemon, systemd knows the process that has started this one.
    service.ready(line, report && process.pid)
    service.watch()
    report?.({ ok: true, text, logFile: logFile || undefined })
  } catch (error) {
    if (ending.begun) return
    for (const line of messageOf(error).split('\n')) {
      log.error(line)
      if (output.hides) process.stderr.write(`pgbun: ${line}\n`)
    }
    report?.({ ok: false, text: messageOf(error) })
    await ending.end(1)
  }
}

interface Serve {
  request: CliRequest
  input: ConfigInput
  config: Config
  sources: ResolvedConfig['sources']
  telemetry: OtelSettings | undefined
  log: LogControl
  output: LogFile
  /** The account to become. */
  account: Account | undefined
  /** Sockets that systemd has handed over. */
  sockets: readonly InheritedSocket[]
  /** The process that this one takes over from. */
  predecessor: ControlAddress | undefined
  writePid: () => void
  service: ServiceManager
  ending: Ending
}

/** The ready line, and what there is to say to a person who has started pgbun. */
interface Started {
  line: string
  text: string
}

/** Start an embedded PostgreSQL and serve it. Returns the ready line and how to connect; prints it unless it is reported. */
async function startEmbedded(serve: Serve, reported: boolean): Promise<Started> {
  const { startEmbeddedPostgres } = await import('./embedded-postgres.ts')
  serve.log.info('starting the embedded PostgreSQL')
  const server = await startEmbeddedPostgres({ log: (line) => serve.log.debug(line, { from: 'postgres' }) })
  serve.ending.add(() => server.stop())
  const input = { ...serve.input, options: { serverHost: server.host, serverPort: server.port } }
  const { addresses, line } = await listenAndReload({ ...serve, input, ...resolveConfig(input) })
  const { user, password, database } = server
  const url = `postgres://${user}:${encodeURIComponent(password)}@${clientAddress(addresses)}/${database}`
  // No log line: it has a password, and it is for the person who started this.
  const hint = `connect with: psql ${url}`
  if (!reported) process.stdout.write(`${hint}\n`)
  return { line, text: `${line}\n${hint}` }
}

/** Serve the configured server. Returns the ready line, and for a background start what is wrong with the server. */
async function startServing(serve: Serve, reported: boolean): Promise<Started> {
  const { line } = await listenAndReload(serve)
  const probed = warnOfServer(serve)
  const warning = reported ? await Promise.race([probed, delay(PROBE_PATIENCE_MS)]) : undefined
  return { line, text: warning === undefined ? line : `${line}\nwarning: ${warning}` }
}

/** Say so where nothing answers at the server's address: clients would only be refused, one by one. */
async function warnOfServer({ config, log }: Serve): Promise<string | undefined> {
  const { probeServers } = await import('./probe-server.ts')
  const faults = await probeServers(config)
  const warnings = faults.map(({ reason, remedy }) => {
    const warning = `PostgreSQL cannot be reached at present: ${reason}`
    log.warn(warning, { remedy })
    return `${warning}. ${remedy}`
  })
  return warnings[0]
}

async function listenAndReload(serve: Serve) {
  const { input, config, log, output, account, sockets, predecessor, service, ending } = serve
  const { startDaemon } = await import('../daemon/daemon.ts')
  let takeover: Takeover | undefined
  let inForce = config
  let { sources } = serve
  /** What was SET at the console, until the next reload. */
  let changed: PoolerOptions = {}
  const daemon = await startDaemon(config, {
    logger: log,
    version: VERSION,
    onCrowdLeft: returnMemory,
    telemetry: serve.telemetry,
    sources: () => sources,
    sockets,
    predecessor: predecessor && {
      control: predecessor,
      sockets: async () => (takeover = await receiveSockets()),
    },
    process: {
      reload: () => reloadFiles('RELOAD at the console'),
      set: (name, value) =>
        inTurn(() => reload({ ...changed, ...settingOf(name, value) }, `SET ${name} at the console`)),
      shutDown: (mode) => ending.byConsole(mode),
    },
  })
  if (sockets.length > 0)
    log.info('sockets of systemd are used instead of listen_host, listen_port and unix_socket_dir')
  const control = sockets.length > 0 ? undefined : await offerHandOver({ config, daemon, ending, log })
  const files = (): string[] => [...(input.file === undefined ? [] : [input.file]), ...filesOf(inForce)]
  if (account) {
    output.giveTo(account.uid, account.gid)
    const own = sockets.length > 0 ? [] : daemon.addresses.filter((address) => typeof address === 'string')
    // What is loaded later must not depend on whether that user may read the program.
    await import('./probe-server.ts')
    becomeUser(account, [...own.filter((path) => !path.startsWith('@')), ...(control ? [control] : [])])
    const remedy = `let the user "${account.name}" read it`
    for (const fault of unreadable(files())) log.warn(`the next reload will fail: ${fault}`, { remedy })
  }
  ending.add((mode) => {
    const { shutdownDelay, shutdownTimeout } = inForce
    service.stopping(
      GOODBYE_MS + (mode === 'wait_for_clients' ? shutdownDelay : 0) + (mode === 'now' ? 0 : shutdownTimeout),
    )
    return daemon.shutDown(mode)
  })
  // Somebody may end the daemon from within.
  void daemon.closed.then(
    () => ending.end(0),
    () => ending.end(1),
  )

  const reload = async (settings: PoolerOptions, why: string): Promise<void> => {
    attempt(log, () => output.reopen())
    const { config: next, sources: from } = await readAgain(
      { ...input, options: { ...input.options, ...settings } },
      inForce,
      log,
      why,
    ).catch((error: unknown) => {
      const remedy = `let the user "${account?.name}" (run_as_user) read it`
      for (const fault of account ? unreadable(files()) : []) log.error(fault, { remedy })
      throw error
    })
    const difference = await inTurns(changesOf(inForce, next))
    await daemon.reload(next)
    if (difference.includes('log_file')) attempt(log, () => output.open(next.logFile))
    inForce = next
    sources = from
    changed = settings
    log.setLevel(next.logLevel)
    for (const warning of difference.length > 0 ? descriptorWarnings(next) : []) log.warn(warning)
    log.info('configuration reloaded', { changed: difference.join(',') || 'nothing' })
  }
  const line = readyLine(config, daemon.addresses, VERSION)
  let reloads = Promise.resolve()
  // One after the other: two reloads at once could leave the older one in force.
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    const done = reloads
      .then(() => {
        service.reloading()
        return work()
      })
      .finally(() => service.ready(line))
    reloads = done.catch(() => {})
    return done
  }
  const reloadFiles = (why: string): Promise<void> =>
    inTurn(() => reload({}, why)).catch((error: unknown) => {
      daemon.reloadFailed(`the last reload has failed: ${messageOf(error)}`)
      throw error
    })
  const reloadNext = (why: string): void => {
    reloadFiles(why).catch((error: unknown) => {
      if (!(error instanceof ConfigError)) {
        log.error(`configuration not reloaded, the old one stays in force: ${messageOf(error)}`)
      }
    })
  }
  onHangUp(() => reloadNext('SIGHUP received'))
  onResume(() => {
    log.info('SIGUSR2 received, resuming')
    daemon.resume()
  })
  if (config.reloadOnChange) {
    const stopWatching = watchFiles(files, () => reloadNext('a file of the configuration has changed'))
    ending.add(async () => stopWatching())
  }

  if (takeover) {
    serve.writePid()
    takeover.served()
  }
  log.info(line)
  // Whoever waits for pgbun to be ready may look into the log at once.
  log.flush()
  return { addresses: daemon.addresses, line }
}

/** The configuration read anew, without what needs a restart. Logs what it finds. @throws ConfigError where it cannot be used */
async function readAgain(
  input: ConfigInput,
  config: Config,
  log: LogControl,
  why: string,
): Promise<Pick<ResolvedConfig, 'config' | 'sources'>> {
  log.info(`${why}, reading the configuration again`)
  try {
    const { config: next, sources, warnings } = await resolveConfigInTurns(input)
    for (const warning of warnings) log.warn(warning)
    for (const name of keptUntilRestart(config, next))
      log.warn(`${name} has changed; it takes effect when pgbun is started again`)
    return { config: applyReload(config, next), sources }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) log.error(formatProblem(problem))
    log.error('configuration not reloaded, the old one stays in force')
    throw error
  }
}

/** Do what may fail, and say so. */
function attempt(log: LogControl, action: () => void): void {
  try {
    action()
  } catch (error) {
    log.error(messageOf(error))
  }
}

/** Where a client on this machine connects to. */
function clientAddress(addresses: readonly ListenAddress[]): string {
  const tcp = addresses.find((address) => typeof address === 'object')
  if (!tcp) return 'localhost'
  const host = ['0.0.0.0', '::'].includes(tcp.host) ? 'localhost' : tcp.host
  return hostPort({ host, port: tcp.port })
}

/** An exception nobody caught leaves the state in doubt: say so in the log and end, rather than serve on. */
function exitOnCrash(log: LogControl, report: Report | undefined): void {
  const crash = (error: unknown): void => {
    log.error('internal error of pgbun, ending', { err: asError(error) })
    report?.({ ok: false, text: `internal error: ${messageOf(error)}` })
    log.flush()
    process.exit(1)
  }
  process.on('uncaughtException', crash)
  process.on('unhandledRejection', crash)
}
