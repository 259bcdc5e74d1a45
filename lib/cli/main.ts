/**
 * The program `pgbun`: arguments -> a command -> an exit code. Loaded by bin/pgbun.js, and the entry of the compiled
 * program.
 *
 * Exit codes: 0, 1 for a configuration that cannot be used and for failures at run time, 2 for a mistake on the
 * command line. What is asked for goes to standard output, everything else to standard error.
 */
import './signals.ts'
import { type ConfigInput, resolveConfig } from '../config/load.ts'
import { ConfigError, formatProblem } from '../config/raw-value.ts'
import { VERSION } from '../config/version.ts'
import type { ControlAddress } from '../net/control-socket.ts'
import { type DaemonReport, lostLogHint, spawnDaemon, takeDaemonPipe } from './daemonize.ts'
import { ASKING } from './flags.ts'
import { runAsSender } from './hand-over.ts'
import { type CliRequest, parseArgs, UsageError } from './parse-args.ts'
import { schemaReference } from './schema-reference.ts'
import { configJson, configToml, EMBEDDED_SERVER, environmentText, summaryText } from './show-config.ts'
import { runStart } from './start.ts'
import { hasInheritedSockets } from './systemd.ts'
import { askForSockets, findRunning, runSuccessor, takePredecessor, watchFront } from './take-over.ts'

async function main(argv: readonly string[]): Promise<void> {
  // `pgbun --help | head -1` closes the pipe: what is left is not wanted.
  process.stdout.on('error', () => process.exit(0))
  const sender = runAsSender()
  if (sender) process.exit(await sender)
  const report = takeDaemonPipe()
  const predecessor = takePredecessor()
  try {
    const request = parseArgs(argv)
    await run(request, argv, report, predecessor)
  } catch (error) {
    process.exit(fail(error, report))
  }
}

async function run(
  request: CliRequest,
  argv: readonly string[],
  report: ((report: DaemonReport) => void) | undefined,
  predecessor: ControlAddress | undefined,
): Promise<void> {
  const file = request.configFile ?? (process.env.PGBUN_CONFIG || undefined)
  const input: ConfigInput = {
    cli: request.values,
    env: process.env,
    file,
    // Which server it is shows when it is started; until then no other counts, whatever file and environment say.
    options: request.embedded ? { serverHost: EMBEDDED_SERVER } : undefined,
  }
  if (request.command === 'help') {
    const { helpText } = await import('./help-text.ts')
    return print(await helpText(process.stdout.columns))
  }
  if (request.command === 'version') return print(`pgbun ${VERSION}\n`)
  if (ASKING.has(request.command)) return ask(request, input)
  if (request.command === 'config' || request.env || request.dryRun) {
    const resolved = resolveConfig(input)
    for (const warning of resolved.warnings) complain(`warning: ${warning}`)
    if (request.env) return print(environmentText(resolved))
    if (request.dryRun) {
      const { checkFiles } = await import('./check-files.ts')
      checkFiles(resolved.config)
      const { descriptorWarnings } = await import('./descriptor-limit.ts')
      for (const warning of descriptorWarnings(resolved.config)) complain(`warning: ${warning}`)
      return print(summaryText(resolved, file))
    }
    return print(request.json ? configJson(resolved, VERSION) : configToml(resolved, schemaReference()))
  }
  if (request.command === 'doctor') {
    const { examine } = await import('./doctor.ts')
    const { isWell, reportJson, reportText } = await import('./doctor/report.ts')
    const report = await examine(input)
    print(request.json ? reportJson(report, VERSION) : reportText(report))
    process.exitCode = isWell(report) ? 0 : 1
    return
  }
  if (request.command === 'health') {
    const { checkHealth } = await import('./health.ts')
    return print(`${await checkHealth(resolveConfig(input).config)}\n`)
  }
  if (request.command === 'hash-password') {
    const { scramIterations } = resolveConfig(input).config
    const { hashPassword } = await import('./hash-password.ts')
    return print(`${await hashPassword(request.user, scramIterations)}\n`)
  }
  return startPooler(request, input, argv, report, predecessor)
}

/** Commands that are no pooler and look at none of its configuration but its address. */
async function ask(request: CliRequest, input: ConfigInput): Promise<void> {
  if (request.command === 'completion') {
    const { completionScript, shellOf } = await import('./completion/scripts.ts')
    return print(completionScript(request.shell ?? shellOf(process.env.SHELL)))
  }
  if (request.command === 'top') {
    const { runTop } = await import('./top.ts')
    process.exit(await runTop(request, resolveConfig(input).config))
  }
  const { ctlHelp, runCtl } = await import('./ctl.ts')
  if (request.statement.trim() === '') return print(ctlHelp())
  process.exitCode = await runCtl(request, resolveConfig(input).config)
}

/** `pgbun start`: here, in the background, or in the place of a pgbun that runs. */
async function startPooler(
  request: CliRequest,
  input: ConfigInput,
  argv: readonly string[],
  report: ((report: DaemonReport) => void) | undefined,
  predecessor: ControlAddress | undefined,
): Promise<void> {
  const running = request.reboot && !predecessor ? await findRunning(resolveConfig(input).config) : undefined
  if (request.daemon && !report) return startInBackground(argv, running)
  if (running) process.exit(await runSuccessor(argv, running))
  if (request.reboot && !predecessor) complain('-R: no other pgbun accepts clients here; this one starts as usual')
  // As if it had been stopped itself.
  watchFront(() => process.kill(process.pid, 'SIGTERM'))
  return runStart(request, input, report, predecessor)
}

async function startInBackground(argv: readonly string[], running: ControlAddress | undefined): Promise<void> {
  if (hasInheritedSockets(process.env, process.pid)) {
    throw new Error(
      '--daemon cannot hand on the sockets of systemd, which runs pgbun in the background anyway: leave it out',
    )
  }
  const { ok, text, pid, logFile } = await spawnDaemon(argv, running && (await askForSockets(running)))
  if (!ok) {
    for (const line of text.split('\n')) complain(line)
    process.exit(1)
  }
  print(`${text}\nrunning in the background, process ${pid}\n`)
  const hint = logFile === undefined ? lostLogHint() : undefined
  if (hint) complain(hint)
  process.exit(0)
}

/** Tells the person, directly or through the process that waits for a background start; returns the exit code. */
function fail(error: unknown, report: ((report: DaemonReport) => void) | undefined): number {
  const lines = linesOf(error)
  if (report) report({ ok: false, text: lines.join('\n') })
  else for (const line of lines) complain(line)
  if (error instanceof UsageError) process.stderr.write('Try "pgbun --help".\n')
  return error instanceof UsageError ? 2 : 1
}

function linesOf(error: unknown): string[] {
  if (error instanceof ConfigError) return error.problems.map(formatProblem)
  if (!(error instanceof Error)) return [String(error)]
  const expected =
    error instanceof UsageError || 'code' in error || !/^(Type|Reference|Range|Syntax)Error$/.test(error.name)
  return expected ? error.message.split('\n') : (error.stack ?? error.message).split('\n')
}

function complain(line: string): void {
  process.stderr.write(`pgbun: ${line}\n`)
}

function print(text: string): void {
  process.stdout.write(text)
}

await main(process.argv.slice(2))
