/**
 * Requests that change something must come from pgbun's own page or from a program, never from the page of another site that
 * is open in an admin's browser: such a page can send forms, with the password that the browser keeps for pgbun.
 */

import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'

/** No form and no page of another site can send it without being asked for leave, which pgbun never gives. */
export const ACTION_HEADER = 'x-pgbun-action'

const MAX_BODY = 4096

/** Why a request is not taken; '' where it is. */
export function whyForeign(headers: IncomingHttpHeaders): string {
  const { origin, host = '' } = headers
  if (headers[ACTION_HEADER] !== '1') return 'send the header X-Pgbun-Action: 1, which forms of other sites cannot'
  if (!/^application\/json\s*(?:;|$)/i.test(headers['content-type'] ?? '')) return 'send JSON (application/json)'
  const site = headers['sec-fetch-site'] ?? 'same-origin'
  const own = origin === undefined || hostOf(origin) === host.toLowerCase()
  return own && site === 'same-origin' ? '' : 'it comes from the page of another site'
}

function hostOf(origin: string): string {
  return URL.canParse(origin) ? new URL(origin).host : ''
}

/** The body of a request; undefined where it is too long, of which no more is read. */
export async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
