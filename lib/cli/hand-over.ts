/**
 * The side of the pgbun that runs in an upgrade without a gap (`pgbun -R`): it answers at its control socket, hands its
 * listening sockets to a successor, and leaves when that one serves them.
 *
 * What must hold: until the successor has said that it serves, nothing has changed here; if it fails, or never says so,
 * this process goes on.
 */
import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Config } from '../config/options.ts'
import type { Daemon } from '../daemon/daemon.ts'
import { answerControl, type ControlMessage, controlPath, listenForControl } from '../net/control-socket.ts'
import { CHANNEL_FD, sendSockets } from '../net/hand-over.ts'
import { listeningDescriptors } from '../net/listening-descriptors.ts'
import type { Logger } from '../util/logger.ts'
import { selfArguments } from './daemonize.ts'
import type { Ending } from './ending.ts'

/** In a sender: how many sockets it has got. */
const SENDER = 'PGBUN_SEND_SOCKETS'

/** What may be handed over, and who leaves. */
export interface HandOverParts {
  config: Config
  daemon: Daemon
  ending: Ending
  log: Logger
}

/** Answer at the control socket from now on, if there can be one. Returns its path; it is removed at the end. */
export async function offerHandOver(parts: HandOverParts): Promise<string | undefined> {
  const { config, daemon, ending, log } = parts
  const port = portOf(daemon) || config.listenPort
  const directory = config.unixSocketDir
  const path = directory.startsWith('/') ? controlPath(directory, port, process.pid) : undefined
  if (path === undefined) return undefined
  let handing = false
  const answers: Record<string, (request: ControlMessage, socket: Socket) => void> = {
    state: (_, socket) => answerControl(socket, { processes: daemon.processes() }),
    cancel: ({ pid, secret }, socket) => {
      const key = Buffer.from(typeof secret === 'string' ? secret : '', 'base64')
      const done = typeof pid === 'number' ? daemon.cancel(pid, key) : Promise.resolve()
      void done.catch(() => {}).then(() => answerControl(socket, {}))
    },
    sockets: (_, socket) => {
      if (handing || ending.begun || !daemon.ready) {
        socket.destroy()
        return
      }
      handing = true
      handOver(socket, port, parts)
        .catch((error: unknown) => log.error('the sockets were not handed over', { reason: String(error) }))
        .finally(() => {
          handing = false
        })
    },
  }
  try {
    const close = await listenForControl(path, (request, socket) => {
      const answer = Object.hasOwn(answers, String(request.ask)) ? answers[String(request.ask)] : undefined
      if (answer) answer(request, socket)
      else socket.destroy()
    })
    ending.add(async () => close())
    return path
  } catch (error) {
    log.warn('no other pgbun can take over from this one (-R)', { reason: (error as Error).message })
    return undefined
  }
}

/** Start the sender, and leave if the successor serves. */
async function handOver(channel: Socket, port: number, { daemon, log }: HandOverParts): Promise<void> {
  const sockets = listensOnTcp(daemon) ? listeningDescriptors(port) : []
  if (listensOnTcp(daemon) && sockets.length === 0) {
    channel.destroy()
    throw new Error('this system does not tell which sockets are listened on; Linux does')
  }
  log.info('another pgbun asks for the listening sockets', { sockets: sockets.length })
  const sender = spawn(process.execPath, selfArguments(), {
    stdio: ['ignore', 'ignore', 'inherit', channel, ...sockets],
    env: {
      ...process.env,
      [SENDER]: String(sockets.length),
      NODE_CHANNEL_FD: String(CHANNEL_FD),
      NODE_CHANNEL_SERIALIZATION_MODE: 'json',
    },
  })
  channel.destroy()
  const code = await new Promise((resolve) => {
    sender.on('error', () => resolve(1))
    sender.on('exit', (exitCode) => resolve(exitCode))
  })
  if (code === 0) await daemon.beSucceeded()
  else log.warn('the other pgbun did not take over; this one goes on')
}

/** The exit code, if this process is a sender. Takes the variable out of the environment. */
export function runAsSender(): Promise<number> | undefined {
  const count = process.env[SENDER]
  delete process.env[SENDER]
  return count === undefined || !process.send ? undefined : sendSockets(Number(count))
}

function listensOnTcp({ addresses }: Daemon): boolean {
  return addresses.some((address) => typeof address === 'object')
}

function portOf({ addresses }: Daemon): number {
  for (const address of addresses) if (typeof address === 'object') return address.port
  return 0
}
