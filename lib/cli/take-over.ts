/**
 * `pgbun -R`: finds the pgbun that runs with the same address, and starts this program again with a channel to it, by which
 * the listening sockets come (net/hand-over.ts). The program that was started stays in front: it passes signals on, and
 * the two end together. With --daemon it ends once the other one is ready.
 */
import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { Config } from '../config/options.ts'
import { askControl, type ControlAddress, findControlSockets, sendControl } from '../net/control-socket.ts'
import { readProcesses } from '../observe/processes.ts'
import { every } from '../util/clock.ts'
import { type PassedOn, selfArguments } from './daemonize.ts'
import { UsageError } from './parse-args.ts'
import { onHangUp, onResume } from './signals.ts'

/** In a successor: the control socket of the process that it succeeds. */
const PREDECESSOR = 'PGBUN_PREDECESSOR'
const CHANNEL_FD = 3
/** In a successor: the process in front of it. */
const FRONT = 'PGBUN_FRONT'
/** How often it is looked after. */
const FRONT_MS = 500

/** The pgbun that accepts clients at the configured address, if there is one. @throws UsageError where that cannot be known */
export async function findRunning(config: Config): Promise<ControlAddress | undefined> {
  const { unixSocketDir, listenPort } = config
  if (!unixSocketDir.startsWith('/'))
    throw new UsageError('-R finds the pgbun that runs by its unix socket: set unix_socket_dir to a directory')
  if (listenPort === 0) throw new UsageError('-R finds the pgbun that runs by its port: set listen_port')
  for (const address of findControlSockets(unixSocketDir, listenPort)) {
    try {
      const [first] = readProcesses((await askControl(address.path, { ask: 'state' })).processes)
      if (first?.accepting) return { ...address, pid: first.pid }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES' || code === 'EPERM')
        throw new Error(
          `-R: the pgbun that runs (${address.path}) is another user's. Start it as that user, or as root`,
        )
      // A crash has left it.
      if (code === 'ECONNREFUSED') rmSync(address.path, { force: true })
    }
  }
  return undefined
}

/** A channel to `running`, by which its sockets come to the program that gets it. */
export async function askForSockets(running: ControlAddress): Promise<PassedOn> {
  const channel = await sendControl(running.path, { ask: 'sockets' })
  channel.pause()
  return {
    channel,
    env: (fd) => ({
      [PREDECESSOR]: `${running.pid} ${running.path}`,
      NODE_CHANNEL_FD: String(fd),
      NODE_CHANNEL_SERIALIZATION_MODE: 'json',
    }),
  }
}

/** Start the successor of `running` with `argv`; resolves to its exit code. */
export async function runSuccessor(argv: readonly string[], running: ControlAddress): Promise<number> {
  const { channel, env } = await askForSockets(running)
  const child = spawn(process.execPath, [...selfArguments(), ...argv], {
    stdio: ['inherit', 'inherit', 'inherit', channel as Socket],
    env: { ...process.env, ...env(CHANNEL_FD), [FRONT]: String(process.pid) },
    // Ctrl-C at the terminal would reach both.
    detached: true,
  })
  channel.destroy()
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal)
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) process.on(signal, () => pass(signal))
  onHangUp(() => pass('SIGHUP'))
  onResume(() => pass('SIGUSR2'))
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

/** Have `gone` called when the process in front of this one is gone, if there is one. */
export function watchFront(gone: () => void): void {
  const front = process.env[FRONT]
  delete process.env[FRONT]
  if (front === undefined) return
  const stop = every(FRONT_MS, () => {
    // Whoever has lost its parent gets another one.
    if (process.ppid === Number(front)) return
    stop()
    gone()
  })
}

/** The process that this one succeeds. Takes the variable out of the environment. */
export function takePredecessor(): ControlAddress | undefined {
  const value = process.env[PREDECESSOR]
  delete process.env[PREDECESSOR]
  const space = value?.indexOf(' ') ?? -1
  if (value === undefined || space < 0 || !process.send) return undefined
  return { pid: Number(value.slice(0, space)), path: value.slice(space + 1) }
}
