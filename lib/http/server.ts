/**
 * Metrics and health over HTTP: listens where http_listen says, lets in who may look, and answers by the table of routes.
 *
 * Comes in: anything, from anybody. Holds: what a client sends is bounded in size and time before anything is made of it; so
 * are the connections; an error while one request is answered is that request's alone. Nothing here is on the way of a query.
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { hostPort } from '../config/hosts.ts'
import { type HttpAddress, isLoopbackAddress } from '../config/http-address.ts'
import { ListenError } from '../net/listener.ts'
import type { TlsContext } from '../net/tls-context.ts'
import { asError } from '../util/logger.ts'
import { Access, askForPassword, type Verdict } from './access.ts'
import { type Answer, problem, send } from './answer.ts'
import { Connections } from './connections.ts'
import { loadPage } from './page-files.ts'
import type { HttpPorts } from './ports.ts'
import { Recorder } from './recorder.ts'
import { renewCertificate } from './renew-certificate.ts'
import { type Need, pathList, ROUTES, type RouteParts } from './routes.ts'
import { readBody, whyForeign } from './same-site.ts'
import { Scrapes } from './scrape.ts'
import { EventStream } from './stream.ts'
import { UnreadAnswers } from './unread-answers.ts'

/** Limits for clients. Times in milliseconds. */
const LIMITS = {
  /** Of path, query and headers together. */
  maxHeaderSize: 16_384,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  connectionsCheckingInterval: 1000,
  /** Longer than the pause between two scrapes: most are a minute apart at most. */
  keepAliveTimeout: 75_000,
} as const
const MAX_CONNECTIONS = 200
const HANDSHAKE_MS = 10_000

/** A server of HTTP. */
export interface HttpServer {
  /** Where it listens: `http://127.0.0.1:6433`. */
  readonly url: string
  /** Show another certificate from now on, where one is shown. */
  useTls(tls: TlsContext | undefined): void
  /** Stop, and close all connections. */
  close(): void
}

/** What it is made of. */
export interface HttpOptions {
  readonly address: HttpAddress
  /** The certificate for clients; undefined for none. Used where other machines can connect. */
  readonly tls: TlsContext | undefined
  readonly ports: HttpPorts
}

/** Listen. @throws ListenError */
export async function startHttp({ address, tls, ports }: HttpOptions): Promise<HttpServer> {
  const local = isLoopbackAddress(address.host)
  const context = local ? undefined : tls
  // What is loaded later must not depend on whether run_as_user may read the program.
  await loadPage()
  const requests = new Requests(ports, local)
  let server = makeServer(requests, context)
  await listenOn(server, address).catch((error: Error) => {
    requests.end()
    throw error
  })
  const accept = (): void => {
    server.on('error', (error) => ports.log.error(`HTTP: cannot accept connections: ${error.message}`))
  }
  accept()
  const { address: host, port } = server.address() as AddressInfo
  return {
    url: `http${context ? 's' : ''}://${hostPort({ host, port })}`,
    useTls(next) {
      if (context === undefined || next === undefined || next.made) return
      if (renewCertificate(server, secureOptions(next))) return
      server.close()
      requests.closeAll()
      server = makeServer(requests, next)
      listenOn(server, { host: address.host, port }).then(accept, (error: Error) => {
        ports.log.error(`HTTP is gone until pgbun is started again: ${error.message}`)
      })
    },
    close() {
      server.close()
      requests.end()
    },
  }
}

/** @param tls the certificate to show; without one, plain HTTP is spoken */
function makeServer(requests: Requests, tls: TlsContext | undefined): Server {
  const handle = (request: IncomingMessage, response: ServerResponse): void => requests.handle(request, response)
  const server = tls ? createTlsServer({ ...LIMITS, ...secureOptions(tls) }, handle) : createServer(LIMITS, handle)
  server.on('connection', (socket: Socket) => requests.connected(socket))
  // What a client gets wrong is its own business: no answer, no line in the log.
  server.on('clientError', (_, socket) => socket.destroy())
  server.on('tlsClientError', (_, socket: Socket) => socket.destroy())
  // Node would answer the first, and leave the others to whoever listens.
  server.on('upgrade', (_, socket) => socket.destroy())
  server.on('connect', (_, socket) => socket.destroy())
  return server
}

/** Certificates of clients are not asked for: probes and scrapers have none. */
function secureOptions({ secureOptions: { ca: _, ...options } }: TlsContext) {
  return { ...options, handshakeTimeout: HANDSHAKE_MS }
}

function listenOn(server: Server, { host, port }: HttpAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => reject(listenError(error, host, port))
    server.once('error', refuse)
    server.listen({ port, ...(host !== '*' && { host }) }, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

const REMEDIES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there: stop it, or choose another http_listen',
  EACCES: 'permission denied: ports below 1024 are for root, choose another http_listen',
  EADDRNOTAVAIL: 'this machine has no such address: correct http_listen',
  ENOTFOUND: 'there is no such host name: correct http_listen',
}

function listenError({ code = 'EINVAL', message }: NodeJS.ErrnoException, host: string, port: number): ListenError {
  const where = `cannot listen on ${host.includes(':') ? `[${host}]` : host}, port ${port}, for HTTP`
  return new ListenError(code, `${where}: ${REMEDIES[code] ?? `${message}: correct http_listen`}`)
}

/** For answers to what has a body: it is not read. */
const UNREAD = { Connection: 'close' }

function wrongMethod(allowed: string): Answer {
  return problem(405, `only ${allowed.replace(', ', ' and ')} ${allowed === 'POST' ? 'is' : 'are'} answered`, {
    ...{ Allow: allowed, ...UNREAD },
  })
}

function refusal(answer: Answer, posted: boolean): Answer {
  return posted ? { ...answer, headers: { ...answer.headers, ...UNREAD } } : answer
}

function addressOf({ socket }: Pick<IncomingMessage, 'socket'>): string {
  return (socket.remoteAddress ?? '').replace(/^::ffff:/, '')
}

/** Reads requests, and has them answered. */
class Requests {
  readonly #ports: HttpPorts
  readonly #access: Access
  readonly #unread = new UnreadAnswers()
  readonly #parts: RouteParts
  readonly #connections = new Connections(MAX_CONNECTIONS)

  constructor(ports: HttpPorts, local: boolean) {
    this.#ports = ports
    this.#access = new Access(ports, local)
    const stream = new EventStream(ports)
    this.#parts = { ports, scrapes: new Scrapes(ports), stream, recorder: new Recorder(ports, stream) }
  }

  connected(socket: Socket): void {
    socket.on('error', () => {})
    this.#connections.add(socket)
  }

  closeAll(): void {
    this.#connections.close()
  }

  /** Nothing is asked for any more. */
  end(): void {
    this.closeAll()
    this.#parts.recorder.stop()
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    this.#connections.busy(socket)
    response.on('error', () => {})
    response.once('close', () => this.#connections.idle(socket))
    this.#answer(request, response).then(
      (answer) => {
        if (answer !== undefined && !response.headersSent && !response.destroyed) send(response, answer)
      },
      (error: unknown) => {
        // Whoever leaves gives up its login, too.
        if (response.destroyed) return
        this.#ports.log.error('internal error of pgbun', { path: request.url?.slice(0, 100), err: asError(error) })
        if (response.headersSent) response.destroy()
        else send(response, problem(500, 'internal error of pgbun; its log has more'))
      },
    )
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<Answer | undefined> {
    const { method, headers } = request
    const posted = method === 'POST'
    if (!posted && method !== 'GET' && method !== 'HEAD') return wrongMethod('GET, HEAD')
    const target = request.url ?? ''
    // An absolute URL is for proxies; `//name` would be taken for one.
    if (!target.startsWith('/')) return problem(400, 'the path must begin with /')
    const [pathname = '', queryText = ''] = target.split('?', 2)
    const query = new URLSearchParams(queryText)
    const route = ROUTES.get(pathname)
    if (route === undefined)
      return problem(404, `there is no such path; there are ${Object.keys(pathList().pgbun).join(', ')}`)
    if (posted !== (route.changes === true)) return wrongMethod(posted ? 'GET, HEAD' : 'POST')
    const foreign = posted ? whyForeign(headers) : ''
    if (foreign !== '') return problem(403, foreign, UNREAD)
    const leaving = new AbortController()
    response.once('close', () => leaving.abort())
    const need = typeof route.need === 'function' ? route.need(headers.accept ?? '') : route.need
    const verdict = await this.#judge(need, query, request, leaving.signal)
    if (leaving.signal.aborted) return undefined
    if ('refusal' in verdict && need !== 'anybody') return refusal(verdict.refusal, posted)
    const role = 'role' in verdict ? verdict.role : undefined
    if (need === 'admin' && role !== 'admin') {
      return route.asks
        ? askForPassword('log in as one of admin_users')
        : problem(403, 'this is for admin_users', UNREAD)
    }
    if (need !== 'anybody' && !route.endless) {
      if (!this.#unread.hasRoom) return problem(503, 'too many ask at once: try again', { 'Retry-After': '1' })
      this.#unread.begin(response)
    }
    const body = posted ? await readBody(request) : ''
    if (body === undefined) return problem(413, 'the body is too long', UNREAD)
    const asked = {
      query,
      accept: headers.accept,
      role,
      head: method === 'HEAD',
      body,
      address: addressOf(request),
      response,
    }
    return await route.answer(asked, this.#parts)
  }

  /** Probes show nothing, and are not asked for anything. */
  async #judge(
    need: Need,
    query: URLSearchParams,
    { headers, socket }: IncomingMessage,
    signal: AbortSignal,
  ): Promise<Verdict> {
    if (need === 'anybody' && query.size === 0) return { refusal: problem(401, '') }
    const origin = {
      address: addressOf({ socket }),
      port: socket.remotePort ?? 0,
      tls: 'encrypted' in socket && socket.encrypted === true,
    }
    return await this.#access.judge({ headers, origin, signal })
  }
}
