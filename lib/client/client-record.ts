/** What is known of one client: who it is, what it holds, since when. Its behaviour is session.ts. */

import { type ErrorFields, errorInLog } from '../errors.ts'
import type { Lease } from '../pool/lease.ts'
import type { Pool } from '../pool/pool.ts'
import type { PoolMode } from '../pool/settings.ts'
import type { Waiter } from '../pool/waiter.ts'
import type { ServerConnection } from '../server/connection.ts'
import { ClientSettings } from '../settings/client-settings.ts'
import type { Defaults } from '../settings/server-defaults.ts'
import type { PinKind } from '../sql/state-kinds.ts'
import { Activity } from './activity.ts'
import { ClientInfo } from './client-info.ts'
import type { HalfClosed } from './half-closed.ts'
import type { ClientOrigin, ClientPorts } from './ports.ts'
import type { LocalSettings } from './state/local-settings.ts'
import { Pins } from './state/pins.ts'
import { RememberedState } from './state/remembered-state.ts'
import { type ClientState, checkEdge } from './state.ts'

/** The data of a session, read by logs, snapshots and deadlines. */
export class ClientRecord {
  // Place in a pool's queue.
  list: { readonly name: string } | null = null
  prev: Waiter | null = null
  next: Waiter | null = null
  waitingSince = 0
  lastServer = 0
  readonly id: number

  readonly info: ClientInfo
  readonly activity = new Activity()
  readonly ports: ClientPorts
  readonly parameters = new ClientSettings()
  pool: Pool | undefined
  /** Which values of reported parameters it was told, but for those of its own; undefined before its greeting. */
  told: Defaults | undefined
  /** The pool's mode when it logged in: a reload does not change the rules under a session. */
  mode: PoolMode = 'session'
  lease: Lease | undefined
  /** What it runs in the transaction under way may have changed settings, or what names stand for. */
  unsettled = false
  /** What it has set, where that is known for sure and nothing else has happened. */
  local: LocalSettings | undefined
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
    this.info = new ClientInfo(origin)
    this.id = this.info.id
    this.ports = ports
  }

  get state(): ClientState {
    return this.#state
  }

  /** Change the state (R1). Throws on an edge that does not exist. */
  setState(next: ClientState): void {
    if (next === this.#state) return
    checkEdge(this.info.id, this.#state, next)
    this.#state = next
  }

  suits(server: ServerConnection): boolean {
    return this.parameters.matches(server.settings)
  }

  /** Belong to `pool` from now on, its login included: a pool with clients is not forgotten. */
  join(pool: Pool): void {
    this.pool = pool
    // A replication client keeps its server as one of session mode does.
    this.mode = this.info.replication === 'none' ? pool.settings.mode : 'session'
    if (this.mode !== 'session') this.remembered.policy = pool.settings.sessionState
    this.guests(pool).clients++
  }

  /** Where this client is counted in `pool`. */
  guests(pool: Pool): { clients: number } {
    return this.info.replication === 'none' ? pool : pool.dedicated
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
      ...this.info.about(),
      detail: fields.detail?.trim() || undefined,
      hint: fields.hint,
      sqlstate: fields.sqlstate,
      remedy,
    })
  }
}
