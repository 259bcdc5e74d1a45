/**
 * A client's way in (protocol chapter "Start-up"): startup packet, protocol version, limits, authentication, and the
 * greeting that looks like PostgreSQL's own. Promises are fine here; everything is checked anew after each wait,
 * because the client may have left.
 *
 * Comes in: the segments of the session's inbox until it is logged in. Goes out: a session in state idle, or its end.
 * What a client sends ahead of its time (a query behind the password) stays in the inbox.
 */

import type { Wire } from '../../net/wire.ts'
import type { Pool } from '../../pool/pool.ts'
import { type Batch, STARTUP } from '../../protocol/batch.ts'
import {
  AUTHENTICATION_OK,
  backendKeyData,
  negotiateProtocolVersion,
  parameterStatus,
  READY_IDLE,
  TERMINATE,
} from '../../protocol/build.ts'
import { ProtocolError } from '../../protocol/reader.ts'
import { isCancelRequest, nameInServer, PROTOCOL_3_2 } from '../../protocol/startup.ts'
import { FRONTEND, frontendName } from '../../protocol/types.ts'
import { LoginError } from '../../server/login.ts'
import { CLIENT_MIN_MESSAGES, type LoginNotices, shownNotices } from '../../server/login-notices.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import type { Defaults } from '../../settings/server-defaults.ts'
import { SettingValues } from '../../settings/setting-values.ts'
import type { Activity } from '../lifecycle/activity.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import type { ClientState } from '../lifecycle/client-state.ts'
import type { ConsoleUser } from '../lifecycle/console-backend.ts'
import type { EndReason, NamedError } from '../lifecycle/ending.ts'
import { violation } from '../lifecycle/ending.ts'
import type { ClientPorts, RegisteredClient } from '../lifecycle/ports.ts'
import type { ServerLink } from '../link/server-link.ts'
import { type AuthClient, AuthRefused, authenticate, refuseDatabase } from './authenticate.ts'
import { loginToConsole } from './console-login.ts'
import { parameterMessages } from './greeting.ts'
import { loginForReplication } from './replication-login.ts'
import { type ClientStartup, readClientStartup } from './startup-packet.ts'
import { areKnown, ParameterRefused, StartupSettingsCheck } from './startup-settings.ts'

/** Cancel secret: PostgreSQL 18 uses 32 bytes from protocol 3.2 on; before that there is room for 4. */
const LONG_SECRET = 32
const SHORT_SECRET = 4

const NOTHING_SAID: readonly Buffer[] = []

/** The client left while its login waited for something. */
class Gone extends Error {}

/** The session of a client that logs in. */
export interface LoginSession extends RegisteredClient {
  readonly info: ClientInfo
  readonly activity: Activity
  readonly settings: ClientSettings
  readonly ports: ClientPorts
  readonly wire: Wire
  readonly state: ClientState
  readonly link: ServerLink | undefined
  setState(next: ClientState): void
  /** Talk to the console from now on. */
  enterConsole(user: ConsoleUser): void
  /** Belong to `pool` from now on. */
  join(pool: Pool): ServerLink
  /** The login is over. */
  loggedIn(): void
  /** Handle what was read as far as the state allows. */
  pump(): void
  end(reason: EndReason): void
  endWith(name: NamedError['name'], args?: NamedError['args']): void
}

/** The login of one client. */
export class Login {
  readonly #session: LoginSession
  #check: StartupSettingsCheck | undefined
  /** What PostgreSQL said to the client's parameters. */
  #ofParameters: readonly Buffer[] = NOTHING_SAID
  /** The pool has no server. */
  #welcome: Promise<Defaults> | undefined
  #password: { resolve(body: Buffer): void; reject(error: Error): void } | undefined
  /** The client was not asked for anything yet. */
  #first = true
  /** Made where something waits that is to end with the client. */
  #leaving: AbortController | undefined

  constructor(session: LoginSession) {
    this.#session = session
  }

  /** Take the segment at the batch's cursor; false where it must wait for its time. */
  onSegment(batch: Batch): boolean {
    const i = batch.cursor
    const type = batch.type(i)
    if (this.#session.state === 'canceling') {
      batch.cursor = batch.count
      return true
    }
    if (type === STARTUP) {
      batch.cursor++
      this.#start(batch.bodyOf(i))
      return true
    }
    if (type === FRONTEND.Terminate) {
      batch.cursor = batch.count
      this.#session.end({ kind: 'terminated' })
      return true
    }
    if (this.#password === undefined) return false
    batch.cursor++
    this.#session.activity.silent = false
    if (type !== FRONTEND.Password) {
      this.#session.endWith('protocol_violation', {
        args: { what: `expected password response, got ${frontendName(type)}` },
      })
      return true
    }
    const { resolve } = this.#password
    this.#password = undefined
    this.goesOn()
    resolve(Buffer.from(batch.bodyOf(i)))
    return true
  }

  /** The session ended: whatever the login waits for will not come. */
  abandon(): void {
    this.#check?.abandon()
    this.#check = undefined
    // A pool that is waited for is not forgotten, and would go on looking for a server.
    if (this.#welcome) this.#session.link?.pool.leaveWelcome(this.#welcome)
    this.#welcome = undefined
    this.#password?.reject(new Gone())
    this.#password = undefined
    this.#leaving?.abort(new Gone())
  }

  /** Aborted when the client leaves. */
  get signal(): AbortSignal {
    this.#leaving ??= new AbortController()
    if (this.#session.state === 'closed') this.#leaving.abort(new Gone())
    return this.#leaving.signal
  }

  /** The body of the client's next password message. */
  nextPassword(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#session.state === 'closed') {
        reject(new Gone())
        return
      }
      this.#password = { resolve, reject }
      this.tarries()
      this.#session.activity.silent = this.#first
      this.#first = false
      // It may have come before we asked.
      queueMicrotask(() => this.#session.pump())
    })
  }

  /** What the login waits for next is the client, or the end of a pause behind its wrong passwords. */
  tarries(): void {
    this.#session.ports.registry.tarries(this.#session)
  }

  /** The login goes on. */
  goesOn(): void {
    this.#session.ports.registry.goesOn(this.#session)
  }

  #start(body: Buffer): void {
    let packet: ReturnType<typeof readClientStartup>
    try {
      packet = readClientStartup(body)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      // As PostgreSQL: nobody reads an answer to a cancel request.
      const state = isCancelRequest(body) ? 'startup' : 'login'
      this.#session.end(violation(state, error.message))
      return
    }
    switch (packet.kind) {
      case 'client':
        this.#session.setState('login')
        this.#session.activity.silent = false
        this.#run(packet).catch((error) => this.#failed(error))
        return
      case 'refused':
        this.#session.setState('login')
        this.#session.info.user = packet.user
        this.#session.info.database = packet.database
        this.#session.end(packet.error)
        return
      case 'cancel':
        this.#cancel(packet)
        return
      case 'unsupported':
        this.#session.endWith('unsupported_protocol', { args: { version: `${packet.major}.${packet.minor}` } })
        return
      case 'ssl':
      case 'gssenc':
        // They come before the framer, in net/client-encryption; out of their place they are versions of the protocol.
        this.#session.endWith('unsupported_protocol', {
          args: { version: packet.kind === 'ssl' ? '1234.5679' : '1234.5680' },
        })
    }
  }

  /** The canceller is answered by the end of its connection, once PostgreSQL has been asked. */
  #cancel({ pid, secret, hops }: { pid: number; secret: Buffer; hops: number }): void {
    const session = this.#session
    session.setState('canceling')
    session.ports.registry.cancel(pid, secret, hops).then(
      () => session.end({ kind: 'cancel-request' }),
      (error) => session.end({ kind: 'fault', error }),
    )
  }

  async #run(startup: ClientStartup): Promise<void> {
    const session = this.#session
    const { ports } = session
    this.#take(startup)
    const toConsole = ports.console.isConsole(nameInServer(session.info.database))
    const refused = ports.registry.admit(session, toConsole)
    if (refused) {
      session.endWith(refused)
      return
    }
    const mode = ports.config.clientTlsMode
    const tlsNeeded = mode === 'require' || mode === 'verify-ca' || mode === 'verify-full'
    if (tlsNeeded && !session.info.origin.unix && session.info.origin.tls === '') {
      session.endWith('tls_required')
      return
    }
    if (toConsole) {
      const { final, user } = await loginToConsole({ info: session.info, ports, wire: session.wire }, this)
      this.#stillHere()
      session.enterConsole(user)
      this.#greetAtConsole(startup.version, final)
      return
    }
    // By the names of PostgreSQL: a role of another spelling would have limits of its own.
    const pool = ports.pool(nameInServer(session.info.database), nameInServer(session.info.user))
    if (pool === undefined) {
      await refuseDatabase({ info: session.info, ports, wire: session.wire }, this)
      return
    }
    if (ports.isDisabled(pool.database)) {
      session.endWith('database_disabled', { args: { database: session.info.database } })
      return
    }
    const link = session.join(pool)
    const served = ports.whenServed(pool.database, ports.config.authType === 'passthrough')
    if (served !== undefined) await this.#unlessGone(served)
    const client: AuthClient = { info: session.info, ports, wire: session.wire, pool }
    if (session.info.replication !== 'none') {
      await this.#runReplication(startup, client, link)
      return
    }
    // The login of a client about whom all is known waits for nothing, not even for a microtask.
    let result = authenticate(client, this)
    if (result instanceof Promise) result = await result
    this.#stillHere()
    if (!this.#enter(pool)) return
    if (pool.target.user === undefined) pool.credentials = result.credentials
    let welcome = pool.getWelcome()
    if (welcome instanceof Promise) {
      this.#welcome = welcome
      welcome = await welcome
      this.#welcome = undefined
    }
    this.#stillHere()
    if (!areKnown(session.settings, pool, welcome)) {
      this.#check = new StartupSettingsCheck(session.info.id, session.settings, pool)
      this.#ofParameters = await this.#check.run()
      this.#check = undefined
      this.#stillHere()
    }
    if (session.ports.config.applicationNameAddHost) addHost(session)
    session.setState('idle')
    this.#greet(startup.version, link, welcome, result.final, pool.welcome.notices)
  }

  /** Count the client, which has proven who it is; false where there are too many. */
  #enter({ database }: Pool): boolean {
    const session = this.#session
    const { registry, clientCounts } = session.ports
    const refused = registry.enter(session, database, clientCounts(database, session.info.user))
    if (refused) session.endWith(refused)
    return refused === undefined
  }

  async #runReplication({ version, parameters }: ClientStartup, client: AuthClient, link: ServerLink): Promise<void> {
    const session = this.#session
    const own = [...parameters].filter(([name]) => name !== 'user' && !name.startsWith('_pq_.'))
    const { opened, final } = await loginForReplication(client, this, own)
    if (session.state === 'closed') {
      opened.wire.close(TERMINATE)
      throw new Gone()
    }
    if (!this.#enter(link.pool)) {
      opened.wire.close(TERMINATE)
      return
    }
    link.hold(session.ports.dedicate(link.pool, opened, link))
    this.#greet(version, link, opened.identity.parameters, final, opened.identity.notices)
  }

  /** Take over what the startup packet asks for. */
  #take({ version, user, database, applicationName, replication, settings, unknown }: ClientStartup): void {
    const session = this.#session
    session.info.user = user
    session.info.database = database
    session.info.applicationName = applicationName
    session.info.replication = replication
    session.settings.setStartup(withoutIgnored(settings, session.ports.config.ignoreStartupParameters))
    // Answered exactly once, before anything else (protocol chapter "Start-up").
    if (version > PROTOCOL_3_2 || unknown.length > 0) {
      session.wire.write(negotiateProtocolVersion(Math.min(version, PROTOCOL_3_2), unknown))
    }
  }

  /** What PostgreSQL says behind a successful login. */
  #greet(version: number, link: ServerLink, welcome: Defaults, final: Buffer | undefined, notices: LoginNotices): void {
    const session = this.#session
    const parts = final ? [final, AUTHENTICATION_OK] : [AUTHENTICATION_OK]
    parts.push(...notices.early, ...this.#ofParameters)
    parts.push(parameterMessages(welcome, session.settings), this.#cancelKey(version))
    parts.push(...shownNotices(notices.late, session.settings.get(CLIENT_MIN_MESSAGES)), READY_IDLE)
    session.wire.write(Buffer.concat(parts))
    link.told.heard(welcome)
    link.choice.loggedIn()
    link.pool.counters.logins++
    this.#letIn()
  }

  #greetAtConsole(version: number, final: Buffer | undefined): void {
    const session = this.#session
    const parts = final ? [final, AUTHENTICATION_OK] : [AUTHENTICATION_OK]
    const { greeting } = session.ports.console
    for (const [name, value] of [...greeting, ['application_name', session.info.applicationName] as const]) {
      parts.push(parameterStatus(name, value))
    }
    parts.push(this.#cancelKey(version), READY_IDLE)
    session.wire.write(Buffer.concat(parts))
    session.ports.console.letIn()
    this.#letIn()
  }

  /** BackendKeyData with a key of the client's own. */
  #cancelKey(version: number): Buffer {
    const session = this.#session
    const key = session.ports.registry.createKey(session, version >= PROTOCOL_3_2 ? LONG_SECRET : SHORT_SECRET)
    session.info.pid = key.pid
    session.info.secret = key.secret.toString('latin1')
    return backendKeyData(key.pid, key.secret)
  }

  /** The client has been greeted. */
  #letIn(): void {
    const session = this.#session
    const { config, log } = session.ports
    session.loggedIn()
    if (config.logConnections) {
      log.info('client connected', {
        ...session.info.about(),
        application: session.info.applicationName || undefined,
        tls: session.info.origin.tls || undefined,
        replication: session.info.replication === 'none' ? undefined : session.info.replication,
      })
    }
    session.pump()
  }

  /** Waits for `event`, which may never come, as long as the client is here. */
  async #unlessGone(event: Promise<void>): Promise<void> {
    const { signal } = this
    await Promise.race([event, new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Gone())))])
    this.#stillHere()
  }

  #stillHere(): void {
    if (this.#session.state === 'closed') throw new Gone()
  }

  #failed(error: unknown): void {
    const session = this.#session
    if (session.state === 'closed' || error instanceof Gone) return
    const { link } = session
    if (error instanceof AuthRefused || error instanceof ParameterRefused) session.end(error.reason)
    else if (error instanceof LoginError && link !== undefined) {
      session.end({ kind: 'refused', fields: link.pool.failureFields(error), remedy: error.remedy })
    } else session.end({ kind: 'fault', error })
  }
}

/** `settings` without what the operator wants ignored. */
function withoutIgnored(settings: SettingValues, ignored: readonly string[]): SettingValues {
  const keys = ignored.map((name) => name.toLowerCase())
  if (!keys.some((key) => settings.values.has(key))) return settings
  return new SettingValues(new Map([...settings.values].filter(([key]) => !keys.includes(key))))
}

/** Have PostgreSQL's views tell where the client comes from, in the form of PgBouncer. */
function addHost({ settings, info }: LoginSession): void {
  settings.set(APPLICATION_NAME, `${settings.get(APPLICATION_NAME) || 'app'} - ${info.origin.address}`)
}

const APPLICATION_NAME = 'application_name'
