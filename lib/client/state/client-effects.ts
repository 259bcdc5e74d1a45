/**
 * What one client's statements have left, or may have left, in the session of its server: what is known of the transaction
 * under way, what its settings became, and why the client keeps its server.
 *
 * Written by the functions of note-effects.ts (a statement is sent), by the server's answers (server-link.ts) and at the end
 * of a transaction (release.ts).
 */

import type { FunctionCatalog } from '../../pool/function-catalog.ts'
import type { Pool } from '../../pool/pool.ts'
import type { PoolMode } from '../../pool/settings.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import { type ParseSettings, UNKNOWN_SETTINGS } from '../../settings/setting-values.ts'
import type { PinKind } from '../../sql/state-kinds.ts'
import type { Logger } from '../../util/logger.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import type { LocalSettings } from './local-settings.ts'
import { Pins } from './pins.ts'
import { ENCODED_VALUE, RememberedState } from './remembered-state.ts'

/** The session state of one client, as far as it is known. */
export class ClientEffects {
  readonly id: number
  readonly pool: Pool
  /** The pool's mode when the client logged in: a reload does not change the rules under a session. */
  readonly mode: PoolMode
  readonly parameters: ClientSettings
  /** What the client left in the session of its server. */
  readonly remembered: RememberedState
  /** Since when the client keeps its server because of that, and what was said of it. */
  readonly pins: Pins
  /** What runs in the transaction under way may have changed settings, or what names stand for. */
  unsettled = false
  /** What the transaction has set, where that is known for sure and nothing else has happened. */
  local: LocalSettings | undefined
  /** The client keeps its server at the end of so many transactions less one, without needing to (note-effects.ts). */
  holds = 0
  /** What statements that are prepared under a name may leave behind when they are run (sql/state-effects). */
  preparedEffects = 0
  /** It has been logged that state was taken from the client (`session_state = reset`). */
  discarded = false

  constructor(info: ClientInfo, parameters: ClientSettings, pool: Pool, mode: PoolMode, log: Logger) {
    this.id = info.id
    this.pool = pool
    this.mode = mode
    this.parameters = parameters
    this.remembered = new RememberedState(parameters)
    if (mode !== 'session') this.remembered.policy = pool.settings.sessionState
    this.pins = new Pins(info, pool, log)
  }

  get functions(): FunctionCatalog {
    return this.pool.functions
  }

  /** There is state in `server` of which nobody can ask when it is gone: keep it, where `session_state` says. */
  pin(server: ServerConnection, kind: PinKind, reason?: string): void {
    this.remembered.foundForGood(kind, reason)
    this.pins.update(this.remembered, server)
  }

  /** The transaction is over, and what it changed is known. */
  settled(): void {
    this.unsettled = false
    this.local = undefined
  }

  /** Under which settings a statement is prepared or executed on `server` now, as far as they decide what it means. */
  parseSettings(server: ServerConnection): ParseSettings {
    const { parameters, remembered } = this
    // A temporary table may hide another that the text names. Of one that stays for good nobody asks what it has set.
    if (remembered.pinnedForGood || remembered.kinds.has('temporary')) return UNKNOWN_SETTINGS
    // Something of the transaction under way may have changed what is set, or what names stand for.
    if (this.unsettled) return this.local?.settings(server) ?? UNKNOWN_SETTINGS
    const { effects, statements } = server
    if (effects.touched || effects.parametersChanged || statements.altering) return UNKNOWN_SETTINGS
    return parameters.wanted
  }

  /**
   * A transaction has ended on `server`: what it has set, as far as the server reports it, becomes what the client wants.
   * What no other server can be given keeps the client there.
   */
  adopt(server: ServerConnection): void {
    this.local = undefined
    if (!server.effects.parametersChanged) return
    server.effects.parametersTaken()
    // What PostgreSQL says of them is waited for (release.ts); what is sent before that was not told.
    this.unsettled = true
    const { parameters, remembered } = this
    const changes = parameters.changes(server.settings)
    const shares = this.mode !== 'session'
    // Where nothing is asked any more, all of it is taken for the client's doing.
    const own = shares && !remembered.pinnedForGood ? remembered.attribute(server, changes) : changes
    if (!parameters.absorb(server.settings, true, own) && shares) this.pin(server, 'other', ENCODED_VALUE)
  }
}
