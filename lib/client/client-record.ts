/** What is known of one client: who it is, what it holds, since when. Its behaviour is session.ts. */

import { type ErrorFields, errorInLog } from '../errors.ts'
import type { Lease } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import type { PoolMode } from '../pool/settings.ts'
import type { Waiter } from '../pool/waiter.ts'
import type { ReplicationMode } from '../protocol/replication-mode.ts'
import type { ServerConnection } from '../server/connection.ts'
import { ClientSettings } from '../settings/client-settings.ts'
import type { Defaults } from '../settings/server-defaults.ts'
import type { PinKind } from '../sql/pin-kinds.ts'
import { now } from '../util/clock.ts'
import type { LogFields } from '../util/logger.ts'
import type { HalfClosed } from './half-closed.ts'
import type { ClientOrigin, ClientPorts } from './ports.ts'
import type { LocalSettings } from './state/local-settings.ts'
import { Pins } from './state/pins.ts'
import { RememberedState } from './state/remembered-state.ts'
import { type ClientState, checkEdge } from './state.ts'

let nextId = 1

/** The data of a session, read by logs, snapshots and deadlines. */
export class ClientRecord {
  // Place in a pool's queue.
  list: { readonly name: string } | null = null
  prev: Waiter | null = null
  next: Waiter | null = null
  waitingSince = 0
  lastServer = 0

  readonly id = nextId++
  readonly origin: ClientOrigin
  readonly ports: ClientPorts
  readonly parameters = new ClientSettings()
  readonly connectedAt = now()
  user = ''
  database = ''
  applicationName = ''
  /** Whether it talks to a walsender of its own. */
  replication: ReplicationMode = 'none'
  pool: Pool | undefined
  /** Which values of reported parameters it was told, but for those of its own; undefined before its greeting. */
  told: Defaults | undefined
  /** The pool's mode when it logged in: a reload does not change the rules under a session. */
  mode: PoolMode = 'session'
  lease: Lease | undefined
  /** Own cancel key; the secret as latin1, because a Buffer of its own takes 300 bytes. */
  pid = 0
  secret = ''
  /** When it began what it does now (ms of the clock): waiting for input, running a request. */
  since = this.connectedAt
  /** When its transaction began; 0 outside of one. */
  transactionSince = 0
  /** What it runs in the transaction under way may have changed settings, or what names stand for. */
  unsettled = false
  /** What it has set, where that is known for sure and nothing else has happened. */
  local: LocalSettings | undefined
  /**
   * When it was first seen idle with its batch open (all it sent is answered, its Sync has not come), and how many bytes
   * it had sent by then; 0 where it is not.
   */
  openSince = 0
  openAt = 0
  /** A request is running: something was sent that has not been answered. */
  running = false
  /** When it stopped reading its results; 0 while it reads. */
  stalledSince = 0
  /** It is to say who it is, or to prove it, and has not answered. */
  silent = true
  /** It sends no more, and waits for the answers to what it has sent. */
  halfClosed: HalfClosed | undefined
  /** Shut down: end at the next moment no transaction is open. */
  closing = false
  /** The request that waits was canceled while its server answered to pgbun itself. */
  canceled = false
  /** How many servers in a row it gave up before it could use them. */
  relinks = 0
  /** What it left in the session of its server. */
  readonly remembered = new RememberedState(this.parameters)
  /** Since when it keeps its server because of that, and what was said of it. */
  readonly pins = new Pins()
  /** At the end of so many transactions less one it keeps its server, without needing to (note-effects.ts). */
  holds = 0
  /** What its statements prepared under a name may leave behind when they are run (sql/state-effects). */
  preparedEffects = 0
  /** It has been logged that state was taken from it (`session_state = reset`). */
  discarded = false
  #state: ClientState = 'startup'

  constructor(origin: ClientOrigin, ports: ClientPorts) {
    this.origin = origin
    this.ports = ports
  }

  get state(): ClientState {
    return this.#state
  }

  /** Change the state (R1). Throws on an edge that does not exist. */
  setState(next: ClientState): void {
    if (next === this.#state) return
    checkEdge(this.id, this.#state, next)
    this.#state = next
  }

  suits(server: ServerConnection): boolean {
    return this.parameters.matches(server)
  }

  /** Belong to `pool` from now on, its login included: a pool with clients is not forgotten. */
  join(pool: Pool): void {
    this.pool = pool
    // A replication client keeps its server as one of session mode does.
    this.mode = this.replication === 'none' ? pool.settings.mode : 'session'
    if (this.mode !== 'session') this.remembered.policy = pool.settings.sessionState
    this.guests(pool).clients++
  }

  /** Where this client is counted in `pool`. */
  guests(pool: Pool): { clients: number } {
    return this.replication === 'none' ? pool : pool.dedicated
  }

  /** Why it keeps its server between transactions; '' where it does not. */
  get pinned(): string {
    return this.remembered.pinned
  }

  /** There is state in its server of which nobody can ask when it is gone: keep the server, where `session_state` says. */
  pin(kind: PinKind, reason?: string): void {
    this.remembered.foundForGood(kind, reason)
    this.pins.update(this)
  }

  /** Say that a request was refused with `fields`. */
  logRefused(fields: ErrorFields): void {
    const { config, log } = this.ports
    if (!config.logPoolerErrors) return
    const { level, happened, remedy } = errorInLog(fields)
    log[level](`request refused: ${happened}`, {
      ...this.about(),
      detail: fields.detail?.trim() || undefined,
      hint: fields.hint,
      sqlstate: fields.sqlstate,
      remedy,
    })
  }

  /** What a log line says of it. */
  about(): LogFields {
    const { id, user, database, origin } = this
    return { client: id, user: user || undefined, database: database || undefined, address: origin.address }
  }
}
