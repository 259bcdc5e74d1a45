/**
 * `pgbun --daemon`: the program starts itself again, detached, and ends once that one is ready or has failed.
 *
 * The child reports over an extra pipe whose number is in PGBUN_READY_FD: one JSON object, then it closes the pipe.
 * Its log goes where standard error goes if that is a file, otherwise nowhere: a terminal or a pipe of the caller must
 * not be held open by a process that stays. Works for Node, Bun and the compiled program.
 */
import { spawn } from 'node:child_process'
import { closeSync, fstatSync, writeSync } from 'node:fs'
import type { Socket } from 'node:net'

/** Set for the detached child only. */
const READY_FD = 'PGBUN_READY_FD'
const CHILD_FD = 3
/** Where a program compiled by Bun believes its entry to be (documentation of "bun build --compile"). */
const INSIDE_BINARY = /^(\/\$bunfs\/|[A-Z]:[\\/]~BUN[\\/])/i

/** What the detached process has to say to the one that started it. */
export interface DaemonReport {
  ok: boolean
  /** Lines for the person who waits. */
  text: string
  /** Where it writes its log, if not to the standard error stream. */
  logFile?: string
}

/** What a program that is started again is given besides: a connection, and the environment that tells its descriptor. */
export interface PassedOn {
  channel: Socket
  env(fd: number): Record<string, string>
}

/** The arguments with which the runtime's executable is this program. */
export function selfArguments(): string[] {
  const script = process.argv[1]
  return script === undefined || INSIDE_BINARY.test(script) ? [] : [...process.execArgv, script]
}

/** Start this program again in the background and wait for its report. `pid` is that of the background process. */
export async function spawnDaemon(argv: readonly string[], more?: PassedOn): Promise<DaemonReport & { pid: number }> {
  const log = isFile(2) ? 2 : 'ignore'
  const child = spawn(process.execPath, [...selfArguments(), ...argv], {
    detached: true,
    stdio: ['ignore', log, log, 'pipe', ...(more ? [more.channel] : [])],
    env: { ...process.env, [READY_FD]: String(CHILD_FD), ...more?.env(CHILD_FD + 1) },
  })
  more?.channel.destroy()
  const report = await new Promise<DaemonReport>((resolve) => {
    let text = ''
    const pipe = child.stdio[CHILD_FD] as NodeJS.ReadableStream
    pipe.setEncoding('utf8')
    pipe.on('data', (chunk: string) => (text += chunk))
    pipe.on('close', () => resolve(parseReport(text)))
    child.on('error', (error) => resolve({ ok: false, text: `cannot start the background process: ${error.message}` }))
  })
  child.unref()
  return { ...report, pid: child.pid ?? 0 }
}

/**
 * Whether this process is such a child, and how it reports. Undefined in a process a person has started. Takes the
 * variable out of the environment, so that no further child sees it.
 */
export function takeDaemonPipe(): ((report: DaemonReport) => void) | undefined {
  const fd = Number(process.env[READY_FD] ?? Number.NaN)
  delete process.env[READY_FD]
  if (fd !== CHILD_FD) return undefined
  let open = true
  return (report) => {
    if (!open) return
    open = false
    try {
      writeSync(fd, JSON.stringify(report))
      closeSync(fd)
    } catch {
      // Whoever started us has gone; the log has the same line.
    }
  }
}

/** A hint for the person who runs --daemon, where the log would be lost. */
export function lostLogHint(): string | undefined {
  return isFile(2) ? undefined : 'the log is not kept; to keep it: pgbun --daemon --log-file pgbun.log'
}

function parseReport(text: string): DaemonReport {
  try {
    return JSON.parse(text) as DaemonReport
  } catch {
    return { ok: false, text: 'the background process ended before it was ready. Without --daemon it says why' }
  }
}

function isFile(fd: number): boolean {
  try {
    return fstatSync(fd).isFile()
  } catch {
    return false
  }
}
