/**
 * Knows of one database which standbys may be read from: asks its hosts, a few times a second and each by a connection of
 * its own, how far they are, and the primary which texts are certainly reads. Swept by the router, as long as a pool of the
 * database sends reads to standbys.
 *
 * Holds: what it says of a standby was true when that was asked; where nothing was heard, nothing may be read there.
 */

import type { Credentials } from '../auth/credentials.ts'
import { type HostAddress, hostPort } from '../config/hosts.ts'
import type { DialTarget } from '../net/dial-error.ts'
import { Backoff } from '../pool/backoff.ts'
import type { FunctionCatalog } from '../pool/function-catalog.ts'
import { type HostRole, reportedRole } from '../pool/session-attrs.ts'
import type { LoginTo } from '../pool/target.ts'
import type { ServerConnection } from '../server/connection.ts'
import { InternalQuery, type InternalQueryResult } from '../server/internal-query.ts'
import type { ServerOwner } from '../server/ports.ts'
import { isCertainRead, type ReadWords } from '../sql/certain-read.ts'
import { READ_WORDS_QUERY, readWords } from '../sql/read-words.ts'
import { BoundedMap } from '../util/bounded-map.ts'
import { now } from '../util/clock.ts'
import { List } from '../util/list.ts'
import type { Logger } from '../util/logger.ts'
import { POSITION_QUERY, ReplicaPositions, readPosition } from './replica-positions.ts'

/** Longest pause behind a login that failed, in ms. */
const RETRY_MS = 15_000
/** How long functions and views that were made past pgbun may stay unknown, in ms. */
const WORDS_MS = 60_000
/** UTF-16 units of a text that is remembered. */
const MEMORABLE = 400

/** What it works with. */
export interface WatchPorts {
  /** A connection to `host` for `owner`. Rejects with the reason. */
  openOn(
    host: HostAddress,
    login: LoginTo,
    credentials: Credentials,
    owner: ServerOwner<ServerConnection>,
  ): Promise<ServerConnection>
  /** A host that does not answer for so long hangs (`health_check_timeout`, in ms). */
  patienceMs(): number
  /** The host of a connection has `role`. */
  roleFound(server: ServerConnection, role: HostRole): void
  log: Logger
}

/** As whom, and with what, its connections log in. */
export interface WatchLogin extends LoginTo {
  readonly credentials: Credentials
  readonly functions: FunctionCatalog
}

/** The connection to one host. */
interface Session {
  readonly host: HostAddress
  readonly backoff: Backoff
  opening: boolean
  server: ServerConnection | undefined
  /** Since when an answer is waited for; 0 for none. */
  askedAt: number
}

/** The hosts of one database. */
export class ReplicaWatch implements ServerOwner<ServerConnection> {
  readonly #ports: WatchPorts
  readonly #positions = new ReplicaPositions()
  #sessions: ReadonlyMap<string, Session> = new Map()
  readonly #list = new List<ServerConnection>('watching')
  /** Undefined where no text can be told for a read. */
  #words: ReadWords | undefined
  #wordsAt = Number.NEGATIVE_INFINITY
  /** Which state of the functions they are of. */
  #wordsStamp = -1
  #askingWords = false
  #verdicts = new BoundedMap<boolean>(1000)
  #closed = false
  #pausedUntil = 0

  constructor(hosts: readonly HostAddress[], ports: WatchPorts) {
    this.#ports = ports
    this.watch(hosts)
  }

  /** These are the hosts from now on. */
  watch(hosts: readonly HostAddress[]): void {
    const before = this.#sessions
    const sessions = new Map<string, Session>()
    for (const host of hosts) {
      const key = hostPort(host)
      const fresh = { host, backoff: new Backoff(), opening: false, server: undefined, askedAt: 0 }
      sessions.set(key, before.get(key) ?? fresh)
    }
    this.#sessions = sessions
    for (const [key, { server }] of before) {
      if (sessions.has(key)) continue
      this.#positions.forget(key)
      server?.close('its host is none of the database any more')
    }
  }

  /** Whether `text` is certainly a read. */
  isRead(text: string, functions: FunctionCatalog): boolean {
    // What was made since may be volatile.
    const words = this.#words
    if (words === undefined || this.#wordsStamp !== functions.stamp) return false
    if (text.length > MEMORABLE) return isCertainRead(text, words)
    let verdict = this.#verdicts.get(text)
    if (verdict === undefined) {
      verdict = isCertainRead(text, words)
      this.#verdicts.set(text, verdict)
    }
    return verdict
  }

  /** What was acknowledged before this time can be read on the host with `key` (ms of the clock). */
  upTo(key: string): number {
    return this.#positions.upTo(key)
  }

  /** The same of the server at `target`: a name may stand for several. */
  upToAt(target: DialTarget): number {
    const key = hostPort(target)
    const watched = this.#sessions.get(key)?.server?.identity.target
    return watched?.address === target.address && watched !== undefined ? this.upTo(key) : Number.NEGATIVE_INFINITY
  }

  /** The same of the host of which that is latest. */
  get best(): number {
    let best = Number.NEGATIVE_INFINITY
    for (const key of this.#sessions.keys()) best = Math.max(best, this.upTo(key))
    return best
  }

  /** Ask all hosts; those without a connection get one by `login`. Returns the keys of standbys that turn out to hang. */
  sweep(at: number, login: WatchLogin): string[] {
    const patienceMs = this.#ports.patienceMs()
    const hanging: string[] = []
    for (const [key, session] of this.#sessions) {
      const { server, backoff } = session
      if (server === undefined) {
        if (!session.opening && !backoff.active(at) && at >= this.#pausedUntil) void this.#open(session, login)
      } else if (session.askedAt === 0) this.#ask(key, session, server, login)
      else if (at - session.askedAt > patienceMs) {
        if (this.#positions.lost(key)) hanging.push(key)
        server.cut('it does not say how far it has come')
      }
    }
    return hanging
  }

  /** End all connections. */
  close(reason: string): void {
    this.#closed = true
    this.leave(reason)
  }

  /**
   * End the connections, to the host with `key` or all, or that of `user`: others are opened.
   * @param pauseMs after so long
   */
  leave(reason: string, { key, user, pauseMs = 0 }: { key?: string; user?: string; pauseMs?: number } = {}): void {
    if (pauseMs > 0) this.#pausedUntil = now() + pauseMs
    for (const [host, { server }] of this.#sessions) {
      if (key !== undefined && key !== host) continue
      if (user === undefined || server?.identity.user === user) server?.close(reason)
    }
  }

  async #open(session: Session, login: WatchLogin): Promise<void> {
    const { host, backoff } = session
    session.opening = true
    try {
      const server = await this.#ports.openOn(host, login, login.credentials, this)
      session.server = server
      session.askedAt = 0
      server.setState('idle')
      backoff.succeeded()
      if (this.#closed || this.#sessions.get(hostPort(host)) !== session) server.close('nobody reads there any more')
    } catch (error) {
      backoff.failed(now(), RETRY_MS)
      const about = { host: hostPort(host), reason: (error as Error).message }
      this.#ports.log.debug('cannot ask how far a host has come', about)
    } finally {
      session.opening = false
    }
  }

  #ask(key: string, session: Session, server: ServerConnection, login: WatchLogin): void {
    const at = now()
    session.askedAt = at
    InternalQuery.run(server, POSITION_QUERY, 'hold', (result) => {
      session.askedAt = 0
      if (result.kind === 'closed') return
      const position = result.kind === 'done' ? readPosition(result.answer.rows()) : undefined
      if (position !== undefined) {
        this.#positions.answered(key, position, at)
        if (!position.standby && this.#wordsDue(login)) {
          this.#askWords(session, server, login)
          return
        }
      }
      server.setState('idle')
    })
  }

  #wordsDue({ functions }: WatchLogin): boolean {
    return !this.#askingWords && (functions.stamp !== this.#wordsStamp || now() - this.#wordsAt > WORDS_MS)
  }

  #askWords(session: Session, server: ServerConnection, { functions, database }: WatchLogin): void {
    const { stamp } = functions
    this.#askingWords = true
    this.#wordsAt = now()
    session.askedAt = this.#wordsAt
    InternalQuery.run(server, READ_WORDS_QUERY, 'hold', (result) => {
      this.#askingWords = false
      session.askedAt = 0
      const words = wordsOf(result)
      this.#words = typeof words === 'string' ? undefined : words
      this.#wordsStamp = stamp
      this.#verdicts = new BoundedMap(1000)
      if (typeof words === 'string') {
        const remedy = 'route_reads = "off" does without'
        this.#ports.log.warn('cannot tell which statements only read: all go to the primary', {
          database,
          reason: words,
          remedy,
        })
      }
      if (result.kind !== 'closed') server.setState('idle')
    })
  }

  // ---- ServerOwner ----

  listOf(): List<ServerConnection> {
    return this.#list
  }

  onServerParameter(server: ServerConnection, name: string): void {
    if (name === 'in_hot_standby') this.#ports.roleFound(server, reportedRole(server.settings.reported)!)
  }

  onServerFree(): void {}

  onServerGone(server: ServerConnection): void {
    for (const [key, session] of this.#sessions) {
      if (session.server !== server) continue
      this.#positions.lost(key)
      session.server = undefined
      session.askedAt = 0
      session.backoff.failed(now(), RETRY_MS)
    }
  }
}

/** The words that PostgreSQL has answered with, or why there are none. */
function wordsOf(result: InternalQueryResult): ReadWords | string {
  if (result.kind === 'closed') return 'the connection was lost'
  if (result.kind === 'error') return result.error.message
  try {
    return readWords(result.answer.rows())
  } catch (error) {
    return (error as Error).message
  }
}
