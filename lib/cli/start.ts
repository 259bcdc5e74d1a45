/**
 * `pgbun start`: configuration -> a running daemon, and the life of the process around it: pid file, embedded
 * PostgreSQL, signals, reload, the end.
 *
 * What must hold: SIGTERM and SIGINT end gracefully within shutdown_timeout, a second one and SIGQUIT at once; SIGHUP
 * reads the configuration file again and keeps the old configuration where the new one is wrong; whatever was started
 * is stopped, and the pid file is removed, on every way out.
 */
import { hostPort } from '../config/hosts.ts'
import { type ConfigInput, resolveConfig } from '../config/load.ts'
import type { Config } from '../config/options.ts'
import { ConfigError, formatProblem } from '../config/raw-value.ts'
import { applyReload, diffConfig } from '../config/reload.ts'
import { VERSION } from '../config/version.ts'
import type { ListenAddress } from '../net/listener.ts'
import { delay } from '../util/clock.ts'
import { asError, createLogger, type LogControl } from '../util/logger.ts'
import { returnMemory } from '../util/return-memory.ts'
import type { DaemonReport } from './daemonize.ts'
import { descriptorWarnings } from './descriptor-limit.ts'
import type { CliRequest } from './parse-args.ts'
import { writePidFile } from './pid-file.ts'
import { readyLine } from './ready-line.ts'
import { onHangUp, onMeaninglessSignal } from './signals.ts'
import { filesOf, watchFiles } from './watch-files.ts'

/** How long a background start waits for the word of the server; the log has it in any case. */
const PROBE_PATIENCE_MS = 1000

type Report = (report: DaemonReport) => void

/** Run until a signal ends it. Resolves once it is ready or has begun to end; the process ends by process.exit. */
export async function runStart(request: CliRequest, input: ConfigInput, report: Report | undefined): Promise<void> {
  const resolved = resolveConfig(input)
  const log = createLogger({
    level: resolved.config.logLevel,
    format: resolved.config.logFormat === 'json' ? 'json' : 'text',
    color: process.stderr.isTTY && process.env.NO_COLOR === undefined,
  })
  for (const warning of [...resolved.warnings, ...descriptorWarnings(resolved.config)]) log.warn(warning)
  onMeaninglessSignal((signal) => log.warn(`${signal} received and ignored: it has no meaning for pgbun`))
  const ending = new Ending(log)
  exitOnCrash(log, report)
  if (resolved.config.pidFile !== '') process.on('exit', writePidFile(resolved.config.pidFile))
  try {
    const serve = { request, input, config: resolved.config, log, ending }
    const text = request.embedded
      ? await startEmbedded(serve, report !== undefined)
      : await startServing(serve, report !== undefined)
    report?.({ ok: true, text })
  } catch (error) {
    if (ending.begun) return
    for (const line of messageOf(error).split('\n')) log.error(line)
    report?.({ ok: false, text: messageOf(error) })
    await ending.end(1)
  }
}

interface Serve {
  request: CliRequest
  input: ConfigInput
  config: Config
  log: LogControl
  ending: Ending
}

/** Start an embedded PostgreSQL and serve it. Returns the ready line and how to connect; prints it unless it is reported. */
async function startEmbedded(serve: Serve, reported: boolean): Promise<string> {
  const { startEmbeddedPostgres } = await import('./embedded-postgres.ts')
  serve.log.info('starting the embedded PostgreSQL')
  const server = await startEmbeddedPostgres({ log: (line) => serve.log.debug(line, { from: 'postgres' }) })
  serve.ending.add(() => server.stop())
  const input = { ...serve.input, options: { serverHost: server.host, serverPort: server.port } }
  const { addresses, line } = await listenAndReload({ ...serve, input, config: resolveConfig(input).config })
  const { user, password, database } = server
  const url = `postgres://${user}:${encodeURIComponent(password)}@${clientAddress(addresses)}/${database}`
  // No log line: it has a password, and it is for the person who started this.
  const hint = `connect with: psql ${url}`
  if (!reported) process.stdout.write(`${hint}\n`)
  return `${line}\n${hint}`
}

/** Serve the configured server. Returns the ready line, and for a background start what is wrong with the server. */
async function startServing(serve: Serve, reported: boolean): Promise<string> {
  const { line } = await listenAndReload(serve)
  const probed = warnOfServer(serve)
  const warning = reported ? await Promise.race([probed, delay(PROBE_PATIENCE_MS)]) : undefined
  return warning === undefined ? line : `${line}\nwarning: ${warning}`
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

async function listenAndReload({ input, config, log, ending }: Serve) {
  const { startDaemon } = await import('../daemon/daemon.ts')
  const daemon = await startDaemon(config, { logger: log, version: VERSION, onCrowdLeft: returnMemory })
  let inForce = config
  ending.add(() => daemon.close({ timeoutMs: inForce.shutdownTimeout }))

  const reload = async (why: string): Promise<void> => {
    const next = readAgain(input, inForce, log, why)
    if (!next) return
    const { changed } = diffConfig(inForce, next)
    await daemon.reload(next)
    inForce = next
    log.setLevel(next.logLevel)
    for (const warning of changed.length > 0 ? descriptorWarnings(next) : []) log.warn(warning)
    log.info('configuration reloaded', { changed: changed.join(',') || 'nothing' })
  }
  let reloads = Promise.resolve()
  const reloadNext = (why: string): void => {
    // One after the other: two reloads at once could leave the older one in force.
    reloads = reloads
      .then(() => reload(why))
      .catch((error: unknown) => {
        log.error(`configuration not reloaded, the old one stays in force: ${messageOf(error)}`)
      })
  }
  onHangUp(() => reloadNext('SIGHUP received'))
  if (config.reloadOnChange) {
    const { file } = input
    const paths = (): string[] => [...(file === undefined ? [] : [file]), ...filesOf(inForce)]
    const stopWatching = watchFiles(paths, () => reloadNext('a file of the configuration has changed'))
    ending.add(async () => stopWatching())
  }

  const line = readyLine(config, daemon.addresses, VERSION)
  log.info(line)
  // Whoever waits for pgbun to be ready may look into the log at once.
  log.flush()
  return { addresses: daemon.addresses, line }
}

/** What is to be stopped, newest first, by a signal or a failed start. A second signal ends at once. */
class Ending {
  begun = false
  readonly #log: LogControl
  readonly #steps: (() => Promise<void>)[] = []

  constructor(log: LogControl) {
    this.#log = log
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#onSignal(signal))
    process.on('SIGQUIT', () => {
      log.warn('SIGQUIT received, ending at once')
      this.#exit(1)
    })
  }

  /** Run `step` at the end, before those that were added earlier. */
  add(step: () => Promise<void>): void {
    this.#steps.unshift(step)
  }

  /** Run all steps and end the process. */
  async end(code: number): Promise<never> {
    this.begun = true
    for (const step of this.#steps) {
      await step().catch((error: unknown) => {
        this.#log.error(`shutdown failed: ${messageOf(error)}`, { err: asError(error) })
        code = 1
      })
    }
    return this.#exit(code)
  }

  #onSignal(signal: string): void {
    if (this.begun) {
      this.#log.warn(`${signal} received again, ending at once`)
      this.#exit(1)
    }
    this.#log.info(`${signal} received`)
    void this.end(0)
  }

  #exit(code: number): never {
    this.#log.flush()
    process.exit(code)
  }
}

/** The configuration read anew, without what needs a restart; undefined where it cannot be used. Logs what it finds. */
function readAgain(input: ConfigInput, config: Config, log: LogControl, why: string): Config | undefined {
  log.info(`${why}, reading the configuration again`)
  try {
    const { config: next, warnings } = resolveConfig(input)
    for (const warning of warnings) log.warn(warning)
    for (const name of diffConfig(config, next).needsRestart)
      log.warn(`${name} has changed; it takes effect when pgbun is started again`)
    return applyReload(config, next)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) log.error(formatProblem(problem))
    log.error('configuration not reloaded, the old one stays in force')
    return undefined
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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
