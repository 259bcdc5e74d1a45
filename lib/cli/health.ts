/**
 * `pgbun health`: whether clients should be sent to the pgbun of this configuration. Where `http_listen` is set, `/readyz`
 * says so, and why not.
 *
 * Otherwise, and where nothing answers HTTP there, it is enough that pgbun listens for clients: it may have been started
 * before the configuration named an address, or with other options. It is asked for TLS, as by any client at first; the one
 * byte of the answer is read, and that is all: nobody is logged in, no server is touched, and pgbun's log has no line of it
 * above `debug`. A pgbun that lets its last transactions end listens for clients no more.
 */
import { type HttpAddress, isLoopbackAddress, parseHttpAddress } from '../config/http-address.ts'
import type { Config } from '../config/options.ts'
import { dial } from '../net/dial.ts'
import type { DialTarget } from '../net/dial-error.ts'
import { requestTls } from '../net/server-encryption.ts'
import { after } from '../util/clock.ts'
import { visible } from './terminal-text.ts'

/** Longest wait for a connection, and for the answer. Docker gives a health check 30 s, Kubernetes one second by default. */
const PATIENCE_MS = 3000

const EVERYWHERE = new Map([
  ['*', 'localhost'],
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
])

/** Where pgbun can be reached from its own machine. */
export function whereToAsk({ listenHost, listenPort, unixSocketDir }: Config): DialTarget {
  const [first] = listenHost
  if (first === undefined) return { host: unixSocketDir, port: listenPort }
  const host = first.trim().replace(/^\[(.*)\]$/, '$1')
  return { host: EVERYWHERE.get(host) ?? host, port: listenPort }
}

/** Where its HTTP can be reached from its own machine, and how; undefined where there is none, or at a port nobody knows. */
function whereHttpIs({ httpListen, clientTlsCertFile }: Config): (HttpAddress & { tls: boolean }) | undefined {
  const address = parseHttpAddress(httpListen)
  if (address === undefined || address.port === 0) return undefined
  const { host, port } = address
  return { host: EVERYWHERE.get(host) ?? host, port, tls: clientTlsCertFile !== '' && !isLoopbackAddress(host) }
}

/**
 * Ask it.
 * @returns what is well, in words
 * @throws Error whose message says what is not
 */
export async function checkHealth(config: Config): Promise<string> {
  const address = whereHttpIs(config)
  if (address === undefined) return await checkListener(config)
  // ctl and top come by here for an address alone.
  const { askReadiness } = await import('../http/ask-readiness.ts')
  const report = await askReadiness(address, { tls: address.tls, timeoutMs: PATIENCE_MS })
  const where = `${address.host}, port ${address.port}`
  if (report === undefined) return `${await checkListener(config)}; nothing answers HTTP at ${where}`
  const reasons = visible(report.reasons.join('; '))
  if (!report.ready) throw new Error(`pgbun at ${where} is not ready: ${reasons}`)
  return `pgbun is ready, says /readyz at ${where}${reasons && ` (${reasons})`}`
}

/** Whether it listens for clients. */
async function checkListener(config: Config): Promise<string> {
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
