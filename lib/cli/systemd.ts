/**
 * What systemd and a service have to say to each other: sockets that are handed over (sd_listen_fds), and the protocol of
 * sd_notify: ready, reloading, stopping, and a sign of life for the watchdog.
 *
 * Messages go to a unix datagram socket, which neither Node nor Bun can open. So there are two ways:
 * - systemd hands over a connected one under the name `notify` (`OpenFile=/run/systemd/notify:notify`, systemd 253): it is
 *   written to like a file, and systemd sees the service's own process as the sender;
 * - otherwise the program `systemd-notify` is run for each message, which systemd believes with NotifyAccess=all.
 *
 * What must hold: a message that cannot be delivered is logged once, and does no other harm.
 */
import { spawn } from 'node:child_process'
import { readFileSync, write } from 'node:fs'
import type { InheritedSocket } from '../net/inherited-socket.ts'
import { delay, every } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'
import { systemErrorText } from '../util/system-error.ts'

/** The first descriptor that is handed over (SD_LISTEN_FDS_START). */
const FIRST_FD = 3
/** The name of the socket for messages. */
const NOTIFY = 'notify'
/** systemd-notify waits until systemd has read the message. */
const PATIENCE_MS = 10_000

/** So long the end of the process waits for messages that are on their way. */
const LAST_WORDS_MS = 1000

/** What systemd has given to this process. */
export interface SystemdGifts {
  /** Listening sockets. */
  sockets: readonly InheritedSocket[]
  /** A connected datagram socket for messages. */
  notifyFd: number | undefined
  /** The address of systemd's socket for messages; '' where it wants none. */
  notifySocket: string
  /** So often it wants a sign of life, in ms; 0 is never. */
  watchdogMs: number
}

/**
 * Read what systemd has given, and take it out of `env`: no other program is meant.
 * @param pid the process that must be meant
 * @throws Error where the variables contradict themselves
 */
export function takeSystemdGifts(env: NodeJS.ProcessEnv, pid: number): SystemdGifts {
  const { LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID } = env
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PIDFDID']) delete env[name]
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name]
  const given = LISTEN_PID === String(pid) ? readDescriptors(LISTEN_FDS, LISTEN_FDNAMES) : []
  const watched = WATCHDOG_PID === undefined || WATCHDOG_PID === String(pid)
  const watchdogMs = watched && WATCHDOG_USEC !== undefined ? Number(WATCHDOG_USEC) / 1000 : 0
  return {
    sockets: given.filter(({ name }) => name !== NOTIFY),
    notifyFd: given.find(({ name }) => name === NOTIFY)?.fd,
    notifySocket: NOTIFY_SOCKET ?? '',
    watchdogMs: watchdogMs > 0 && Number.isFinite(watchdogMs) ? watchdogMs : 0,
  }
}

/** Whether sockets are handed over to the process `pid`; leaves `env` as it is. */
export function hasInheritedSockets(env: NodeJS.ProcessEnv, pid: number): boolean {
  return takeSystemdGifts({ ...env }, pid).sockets.length > 0
}

function readDescriptors(count: string | undefined, names: string | undefined): InheritedSocket[] {
  if (count === undefined || !/^\d{1,4}$/.test(count)) {
    throw new Error(`LISTEN_FDS is '${count ?? ''}', which is no number of sockets`)
  }
  const known = names === undefined || names === '' ? [] : names.split(':')
  return Array.from({ length: Number(count) }, (_, index) => {
    return { fd: FIRST_FD + index, name: known[index] || String(FIRST_FD + index) }
  })
}

/** Tells systemd how the service is. Does nothing where systemd does not want to know. */
export class ServiceManager {
  readonly #gifts: SystemdGifts
  readonly #log: Logger
  /** One message after the other: the programs that deliver them could overtake each other. */
  #sent: Promise<void> = Promise.resolve()
  #waiting = 0
  #warned = false

  constructor(gifts: SystemdGifts, log: Logger) {
    this.#gifts = gifts
    this.#log = log
  }

  /** Serving, after the start or a reload. @param mainPid where systemd has started another process than this one */
  ready(status: string, mainPid?: number): void {
    this.#notify(['READY=1', `STATUS=${status}`, ...(mainPid === undefined ? [] : [`MAINPID=${mainPid}`])])
  }

  /** Reading the configuration again; `ready` follows. */
  reloading(): void {
    this.#notify(['RELOADING=1', `MONOTONIC_USEC=${monotonicMicroseconds()}`, 'STATUS=reading the configuration again'])
  }

  /** Ending, which may take `ms` milliseconds. */
  stopping(ms: number): void {
    this.#notify(['STOPPING=1', `EXTEND_TIMEOUT_USEC=${Math.ceil(ms) * 1000}`, 'STATUS=shutting down'])
  }

  /** Give signs of life from now on, twice as often as systemd wants: they stop where the event loop does. */
  watch(): void {
    const { watchdogMs } = this.#gifts
    if (watchdogMs === 0) return
    every(watchdogMs / 2, () => {
      // One that is still on its way says the same.
      if (this.#waiting === 0) this.#notify(['WATCHDOG=1'])
    })
  }

  /** Resolves when all is said, or when waiting for that takes too long. For the end of the process. */
  async allSaid(): Promise<void> {
    if (this.#waiting > 0) await Promise.race([this.#sent, delay(LAST_WORDS_MS, { ref: true })])
  }

  #notify(lines: readonly string[]): void {
    const { notifyFd, notifySocket } = this.#gifts
    if (notifyFd === undefined && notifySocket === '') return
    // A line break would begin another message.
    const message = lines.map((line) => line.replaceAll('\n', ' '))
    this.#waiting++
    this.#sent = this.#sent
      .then(() => (notifyFd === undefined ? runNotify(message, notifySocket) : writeTo(notifyFd, message)))
      .catch((error: unknown) => this.#warn(error))
      .finally(() => this.#waiting--)
  }

  #warn(error: unknown): void {
    if (this.#warned) return
    this.#warned = true
    const remedy =
      'OpenFile=/run/systemd/notify:notify in the unit (systemd 253), or the program systemd-notify and NotifyAccess=all, or Type=exec'
    this.#log.warn(`systemd cannot be told how pgbun is: ${systemErrorText(error)}`, { remedy })
  }
}

function writeTo(fd: number, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, lines.join('\n'), (error) => (error ? reject(error) : resolve()))
  })
}

function runNotify(lines: readonly string[], socket: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('systemd-notify', lines, {
      env: { ...process.env, NOTIFY_SOCKET: socket },
      stdio: 'ignore',
      timeout: PATIENCE_MS,
    })
    child.on('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'ENOENT' ? new Error('there is no program systemd-notify') : error),
    )
    child.on('exit', (code, signal) =>
      code === 0 ? resolve() : reject(new Error(`systemd-notify ended with ${code ?? signal}`)),
    )
    child.unref()
  })
}

/**
 * The time of CLOCK_MONOTONIC, in microseconds. Bun counts from its own start, so that only the time since the boot is
 * left, which is known to hundredths of a second; systemd wants one that is not earlier than the reload's beginning.
 */
function monotonicMicroseconds(): bigint {
  if (process.versions.bun === undefined) return process.hrtime.bigint() / 1000n
  const seconds = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0])
  return BigInt(Math.round(seconds * 1_000_000)) + 10_000n
}
