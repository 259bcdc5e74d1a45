/** Answers of HTTP: what is said, and the headers that all of them have. */

import type { ServerResponse } from 'node:http'

/** An answer that is whole. */
export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

const JSON_TYPE = 'application/json; charset=utf-8'

/** A value as JSON. */
export function json(status: number, value: unknown, headers?: Answer['headers']): Answer {
  return { status, type: JSON_TYPE, body: `${JSON.stringify(value)}\n`, ...(headers && { headers }) }
}

/** What is wrong, in words, with the remedy. */
export function problem(status: number, error: string, headers?: Answer['headers']): Answer {
  return json(status, { error }, headers)
}

/**
 * Nothing of it is for other sites: no page may frame it, load it, or guess its type, and nobody keeps it.
 */
export const COMMON_HEADERS: Readonly<Record<string, string>> = {
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
}

/** Send `answer`; the client of a HEAD gets its headers. */
export function send(response: ServerResponse, { status, type, body, headers }: Answer): void {
  const length = String(Buffer.byteLength(body))
  response.writeHead(status, { ...COMMON_HEADERS, 'Content-Type': type, 'Content-Length': length, ...headers })
  response.end(body)
}
