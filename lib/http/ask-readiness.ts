/**
 * Asks a pgbun for `/readyz`, as `pgbun health` does: the client's side of health.ts.
 *
 * No token is sent and no certificate is verified: `/readyz` is for everybody, and a program that listens in pgbun's place
 * must learn nothing. What comes back is from that program, so that it is bounded in time and size and read as a stranger's.
 */

import { type ClientRequest, type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { hostPort } from '../config/hosts.ts'
import type { HttpAddress } from '../config/http-address.ts'
import { after } from '../util/clock.ts'

/** What a pgbun says of itself. */
export interface ReadinessReport {
  readonly ready: boolean
  /** Why a check fails; where pgbun is ready, what it says besides. */
  readonly reasons: readonly string[]
}

/** How to ask. */
export interface AskOptions {
  /** TLS is tried first. Whether there is any was decided when pgbun started, maybe by another configuration. */
  readonly tls: boolean
  /** Longest wait, for both protocols together. */
  readonly timeoutMs: number
}

/** Of characters; a report has some hundred. */
const MAX_LENGTH = 65_536

/**
 * Ask it.
 * @returns undefined where nothing listens there, or not for HTTP
 * @throws Error where the answer is no pgbun's, or does not come in time
 */
export async function askReadiness(
  address: HttpAddress,
  { tls, timeoutMs }: AskOptions,
): Promise<ReadinessReport | undefined> {
  const at = hostPort(address)
  const until = performance.now() + timeoutMs
  for (const protocol of tls ? ['https', 'http'] : ['http', 'https']) {
    const answer = await get(`${protocol}://${at}/readyz`, until - performance.now())
    if (answer === undefined) continue
    const report = readReadiness(answer.status, answer.body)
    if (report === undefined)
      throw new Error(`what answers at ${protocol}://${at} is not pgbun: is it another program?`)
    return report
  }
  return undefined
}

/** The report in an answer of `/readyz`; undefined where it is none. */
export function readReadiness(status: number, body: string): ReadinessReport | undefined {
  const ready = status === 200
  if (!ready && status !== 503) return undefined
  const { status: word, checks } = asObject(parse(body))
  if (word !== (ready ? 'ready' : 'not ready')) return undefined
  const reasons: string[] = []
  for (const [name, check] of Object.entries(asObject(checks))) {
    const { ok, reason } = asObject(check)
    if (ok !== ready || typeof reason !== 'string') continue
    reasons.push(ready ? `${name}: ${reason}` : reason)
  }
  return { ready, reasons }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function asObject(value: unknown): Partial<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

/** The answer; undefined where the connection fails before there is one. @throws Error after `timeoutMs` */
function get(url: string, timeoutMs: number): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve, reject) => {
    let body = ''
    const receive = (response: IncomingMessage): void => {
      const done = (): void => settle(() => resolve({ status: response.statusCode ?? 0, body }))
      response.setEncoding('utf8').on('end', done).on('error', done)
      response.on('data', (part: string) => {
        body += part
        if (body.length > MAX_LENGTH) done()
      })
    }
    const options = { agent: false, headers: { connection: 'close' } }
    const sent: ClientRequest = url.startsWith('https:')
      ? requestTls(url, { ...options, rejectUnauthorized: false }, receive)
      : requestPlain(url, options, receive)
    const settle = (finish: () => void): void => {
      stop()
      sent.destroy()
      finish()
    }
    const stop = after(timeoutMs, () => settle(() => reject(new Error(`${url} does not answer: is pgbun stuck?`))))
    sent.on('error', () => settle(() => resolve(undefined)))
    sent.end()
  })
}
