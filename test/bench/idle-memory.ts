/**
 * Resident memory per idle client: how much a proxy grows with each client that is logged in and silent.
 *
 * The first clients only warm it up (code, tables, the young generation of a garbage-collected heap); the growth of the
 * many that follow is what counts. Memory that one query each adds is told apart.
 */
import net from 'node:net'
import { frontend } from '../fixtures/messages.ts'
import type { Owner } from './owner.ts'
import { TRUST_USER } from './postgres.ts'
import { readResident } from './process-meter.ts'
import type { Target } from './targets.ts'

/** Bytes of resident memory per client. */
export interface IdleMemory {
  clients: number
  /** Logged in, no query yet. */
  connected: number
  /** The same clients after a query each. */
  afterQuery: number
}

/** A server's ReadyForQuery outside of a transaction: the end of what it says for now. */
const READY = Buffer.from('Z\0\0\0\x05I', 'latin1')
/** Clients that connect at the same time. */
const AT_ONCE = 50

/** Measures `target`, which must be a proxy, with `warmUp` and then `clients` idle connections. */
export async function measureIdleMemory(
  owner: Owner,
  target: Target,
  { warmUp, clients }: { warmUp: number; clients: number },
): Promise<IdleMemory> {
  const sockets: net.Socket[] = []
  owner.teardown(() => {
    for (const socket of sockets) socket.destroy()
  })
  const pid = target.pid!
  const startup = frontend.startup({ user: TRUST_USER, database: 'postgres' })
  const connectMany = (count: number): Promise<void> =>
    inParallel(count, async () => {
      const socket = net.connect(target.port, target.host)
      sockets.push(socket)
      await exchange(socket, startup)
    })
  await connectMany(warmUp)
  const before = await settledResident(pid)
  await connectMany(clients)
  const connected = await settledResident(pid)
  const query = frontend.query('SELECT 1')
  await inParallel(sockets.length, (index) => exchange(sockets[index]!, query))
  const used = await settledResident(pid)
  for (const socket of sockets) socket.destroy()
  return {
    clients,
    connected: (connected - before) / clients,
    afterQuery: (connected - before) / clients + (used - connected) / sockets.length,
  }
}

async function inParallel(count: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  async function worker(): Promise<void> {
    while (next < count) await work(next++)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Sends a message and resolves when the answer ends with ReadyForQuery. */
function exchange(socket: net.Socket, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    let tail = Buffer.alloc(0)
    const stop = (): void => {
      socket.off('data', onData)
      socket.off('error', reject)
      socket.off('close', onClose)
    }
    const onData = (chunk: Buffer): void => {
      tail = Buffer.concat([tail, chunk]).subarray(-READY.length)
      if (!tail.equals(READY)) return
      stop()
      resolve()
    }
    const onClose = (): void => reject(new Error('the connection was closed'))
    socket.on('data', onData)
    socket.on('error', reject)
    socket.on('close', onClose)
    socket.write(message)
  })
}

/** Resident memory in bytes once it has stopped changing by more than 1 %, for at most 5 s. */
async function settledResident(pid: number): Promise<number> {
  const readings = [readResident(pid)]
  for (let i = 0; i < 25; i++) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    readings.push(readResident(pid))
    const recent = readings.slice(-4)
    if (recent.length === 4 && Math.max(...recent) - Math.min(...recent) < 0.01 * recent[3]!) break
  }
  return readings.at(-1)!
}
