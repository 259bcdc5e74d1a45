/** Metrics and health of one process: what http/ shows is read here. Nothing of http/ is loaded where http_listen is not set. */

import type { ClientPorts } from '../client/lifecycle/ports.ts'
import { hostPort } from '../config/hosts.ts'
import { parseHttpAddress } from '../config/http-address.ts'
import type { Config } from '../config/options.ts'
import type { HttpPorts } from '../http/ports.ts'
import type { HttpServer } from '../http/server.ts'
import type { ListenError } from '../net/listener.ts'
import type { TlsStore } from '../net/tls-context.ts'
import type { Pulse } from '../observe/pulse.ts'
import type { CountSnapshot } from '../observe/snapshot.ts'
import type { HostBook } from '../routing/host-book.ts'
import type { Routes } from '../routing/routes.ts'
import { delay, now } from '../util/clock.ts'
import type { DaemonControl } from './control.ts'
import { loginVisitor } from './http-visitor.ts'
import { type ProcessParts, viewProcess } from './process-view.ts'
import type { ServerAccess } from './server-access.ts'

/** Probes of load balancers give up after a second, as Kubernetes' do. */
const PROBE_MS = 800
/** An answer counts for so long: however often it is asked for, a host is not asked more often. */
const ANSWER_MS = 1000

/** A process that is succeeded leaves its address at once. */
const INHERIT_MS = 10_000
const RETRY_MS = 50

/** What is read. */
export interface HttpSurfaceParts extends ProcessParts {
  config(): Config
  readonly clientTls: TlsStore
  counts(): CountSnapshot
  pulse(): Pulse
  readonly control: DaemonControl
  routes(): Routes
  readonly hosts: HostBook
  readonly access: Pick<ServerAccess, 'probe'>
  readonly clientPorts: ClientPorts
}

/** Listen where http_listen says; undefined where it says nothing. @throws ListenError */
export async function startHttpSurface(parts: HttpSurfaceParts): Promise<HttpServer | undefined> {
  const address = parseHttpAddress(parts.config().httpListen)
  if (address === undefined) return undefined
  const { startHttp } = await import('../http/server.ts')
  const { clientTls, clientPorts } = parts
  const tls = clientTls.current?.made === false ? clientTls.current : undefined
  const server = await startHttp({ address, tls, ports: portsOf(parts) })
  clientPorts.log.info(`metrics and health at ${server.url}`)
  return server
}

/** As soon as the process that is succeeded has left the address. Never rejects. */
export async function inheritHttpSurface(parts: HttpSurfaceParts): Promise<HttpServer | undefined> {
  const until = now() + INHERIT_MS
  for (;;) {
    try {
      return await startHttpSurface(parts)
    } catch (error) {
      const isThere = (error as ListenError).code === 'EADDRINUSE'
      if (!isThere || now() > until) {
        parts.clientPorts.log.error(`no metrics and health until pgbun is started again: ${(error as Error).message}`)
        return undefined
      }
      await delay(RETRY_MS)
    }
  }
}

function portsOf(parts: HttpSurfaceParts): HttpPorts {
  const { clientPorts, control, access, hosts } = parts
  const answers = new HostAnswers(access)
  return {
    settings: () => {
      const { httpToken, allowCleartextPassword } = parts.config()
      return { token: httpToken, cleartextAllowed: allowCleartextPassword }
    },
    view: () => parts.view(),
    counts: () => parts.counts(),
    pulse: () => parts.pulse(),
    process: () => viewProcess(parts),
    readiness: () => parts.readiness(),
    async whyUnavailable(database) {
      const routes = parts.routes()
      if (!routes.serves(database)) return `there is no database "${database}" in [databases]`
      if (control.isDisabled(database)) return 'DISABLE at the console lets no new clients in'
      const candidates = hosts.candidates(routes.target(database), now())
      const found = await Promise.all(candidates.map((host) => answers.whyNot(host)))
      return found.includes('') ? '' : found.join('; ')
    },
    login: (user, password, origin, signal) => loginVisitor(user, password, origin, signal, clientPorts),
    control,
    log: clientPorts.log,
  }
}

/** Whether hosts give a sign of life, asked once a second at most. */
class HostAnswers {
  readonly #access: Pick<ServerAccess, 'probe'>
  readonly #answers = new Map<string, { readonly at: number; readonly whyNot: Promise<string> }>()

  constructor(access: Pick<ServerAccess, 'probe'>) {
    this.#access = access
  }

  /** '' where the host answers. */
  whyNot(host: Parameters<ServerAccess['probe']>[0]): Promise<string> {
    const at = now()
    for (const [key, answer] of this.#answers) if (at - answer.at > ANSWER_MS) this.#answers.delete(key)
    const key = hostPort(host)
    const known = this.#answers.get(key)
    if (known !== undefined) return known.whyNot
    const whyNot = this.#access.probe(host, PROBE_MS).then(
      () => '',
      (error: Error) => error.message,
    )
    this.#answers.set(key, { at, whyNot })
    return whyNot
  }
}
