/**
 * Who may see what. Where only programs of this machine can connect and no token is set, nobody is asked: whoever has an
 * account there may look. Everybody else shows a bearer token (http_token), or the password of one of `stats_users` or
 * `admin_users`; a token never makes an admin.
 *
 * Where nobody is asked, the name that the visitor has connected to must be one of this machine: otherwise any web page could
 * have its own name lead here, and read everything through a browser that runs on this machine (DNS rebinding).
 */

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { isLoopbackAddress } from '../config/http-address.ts'
import { type Answer, problem } from './answer.ts'
import type { HttpPorts, Origin, Role } from './ports.ts'

/** A visitor, as far as access depends on it. */
export interface Visitor {
  readonly headers: IncomingHttpHeaders
  readonly origin: Origin
  /** Aborted when it leaves. */
  readonly signal: AbortSignal
}

/** It is let in, or is told why not. */
export type Verdict = { readonly role: Role } | { readonly refusal: Answer }

/** Decides who is let in. */
export class Access {
  readonly #ports: Pick<HttpPorts, 'settings' | 'login' | 'log'>
  /** Only programs of this machine can connect. */
  readonly #local: boolean

  constructor(ports: Pick<HttpPorts, 'settings' | 'login' | 'log'>, local: boolean) {
    this.#ports = ports
    this.#local = local
  }

  /** Whether `visitor` is let in, and as whom. */
  async judge(visitor: Visitor): Promise<Verdict> {
    const { authorization = '', host = '' } = visitor.headers
    const { token } = this.#ports.settings()
    const [scheme = '', given = ''] = authorization.split(' ', 2)
    if (scheme.toLowerCase() === 'bearer') return this.#judgeToken(given, token, visitor.origin)
    if (scheme.toLowerCase() === 'basic') return await this.#judgePassword(given, visitor)
    if (authorization !== '') return refused('credentials are a bearer token or a user and password (Basic)')
    if (!this.#local || token !== '') {
      return refused(
        'credentials are needed: http_token as a bearer token, or a password of stats_users or admin_users',
      )
    }
    if (!isLoopbackAddress(hostName(host))) {
      const name = host.slice(0, 100)
      const remedy = 'connect to localhost or 127.0.0.1, or set http_token and send it'
      return { refusal: problem(403, `"${name}" is no name of this machine: ${remedy}`) }
    }
    return { role: 'stats' }
  }

  #judgeToken(given: string, token: string, { address }: Origin): Verdict {
    if (token !== '' && equalText(given, token)) return { role: 'stats' }
    this.#ports.log.warn('HTTP: wrong bearer token', { address })
    return refused(token === '' ? 'no token is accepted: http_token is not set' : 'the token is wrong')
  }

  async #judgePassword(given: string, { origin, signal }: Visitor): Promise<Verdict> {
    if (!origin.tls && !this.#local && !isLoopbackAddress(origin.address)) {
      if (!this.#ports.settings().cleartextAllowed) {
        const remedy = 'set client_tls_cert_file and client_tls_key_file, use a token, or set allow_cleartext_password'
        return { refusal: problem(403, `passwords are not accepted without TLS: ${remedy}`) }
      }
    }
    const text = Buffer.from(given, 'base64').toString('utf8')
    const colon = text.indexOf(':')
    const user = text.slice(0, Math.max(0, colon))
    const password = text.slice(colon + 1)
    if (user === '' || password === '' || text.includes('\0')) return refused('user or password is missing')
    const role = await this.#ports.login(user, password, origin, signal)
    return role === undefined ? refused('the password is wrong, or the user is none of the console') : { role }
  }
}

function refused(error: string): Verdict {
  return { refusal: askForPassword(error) }
}

/** A refusal upon which browsers ask for user and password. */
export function askForPassword(error: string): Answer {
  return problem(401, error, { 'WWW-Authenticate': 'Basic realm="pgbun", charset="UTF-8"' })
}

/** The name in a Host header, without the port. */
function hostName(host: string): string {
  return host.replace(/:\d{1,5}$/, '').replace(/^\[(.*)\]$/, '$1')
}

const compareKey = randomBytes(32)

/** Constant-time equality of texts of any length. */
function equalText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', compareKey).update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
