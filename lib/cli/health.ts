/**
 * `pgbun health`: whether a pgbun listens where the configuration says. It asks for TLS, as any client does first, reads
 * the one byte of the answer and leaves: nobody is logged in, no server is touched, and pgbun's log has no line of it
 * above `debug`. While pgbun drains it does not listen any more.
 */
import type { Config } from '../config/options.ts'
import { dial } from '../net/dial.ts'
import type { DialTarget } from '../net/dial-error.ts'
import { requestTls } from '../net/server-encryption.ts'
import { after } from '../util/clock.ts'

/** Longest wait for a connection, and for the answer. Docker gives a health check 30 s, Kubernetes one second by default. */
const PATIENCE_MS = 3000

const EVERYWHERE = new Map([
  ['*', 'localhost'],
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/** Where pgbun can be reached from its own machine. */
function whereToAsk({ listenHost, listenPort, unixSocketDir }: Config): DialTarget {
  const [first] = listenHost
  if (first === undefined) return { host: unixSocketDir, port: listenPort }
  const host = first.trim().replace(/^\[(.*)\]$/, '$1')
  return { host: EVERYWHERE.get(host) ?? host, port: listenPort }
}

/**
 * Ask it.
 * @returns what is well, in words
 * @throws Error whose message says what is not
 */
export async function checkHealth(config: Config): Promise<string> {
  const target = whereToAsk(config)
  const { socket } = await dial(target, { timeoutMs: PATIENCE_MS, keepAlive: false, keepIdleMs: 0 })
  const where = `${target.host}, port ${target.port}`
  const stop = after(PATIENCE_MS, () => socket.destroy())
  try {
    await requestTls(socket)
    return `pgbun listens at ${where}`
  } catch (cause) {
    const doubt = `what listens at ${where} does not answer as pgbun does: is it another program, or stuck?`
    throw new Error(doubt, { cause })
  } finally {
    stop()
    socket.destroy()
  }
}
