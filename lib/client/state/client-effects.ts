/**
 * What one client's statements have left, or may have left, in the session of its server: what is still to be looked at
 * (transaction-effects.ts), what its settings became, what cannot follow it (remembered-state.ts), and since when the client
 * keeps its server for that (pins.ts). Here is what needs several of them.
 *
 * Told by the functions of note-effects.ts (a statement is sent), by the server's answers (server-link.ts) and at the end of
 * a transaction (release.ts).
 */

import type { FunctionCatalog } from '../../pool/function-catalog.ts'
import type { Pool } from '../../pool/pool.ts'
import type { PoolMode } from '../../pool/settings.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ClientSettings } from '../../settings/client-settings.ts'
import { type ParseSettings, UNKNOWN_SETTINGS } from '../../settings/setting-values.ts'
import { EXECUTES, PREPARED } from '../../sql/state-effects.ts'
import type { PinKind } from '../../sql/state-kinds.ts'
import type { Logger } from '../../util/logger.ts'
import type { ClientInfo } from '../lifecycle/client-info.ts'
import { Pins } from './pins.ts'
import { ENCODED_VALUE, RememberedState } from './remembered-state.ts'
import { TransactionEffects } from './transaction-effects.ts'

/** The session state of one client, as far as it is known. */
export class ClientEffects {
  readonly id: number
  readonly pool: Pool
  /** The pool's mode when the client logged in: a reload does not change the rules under a session. */
  readonly mode: PoolMode
  readonly parameters: ClientSettings
  /** What is still to be looked at. */
  readonly transaction: TransactionEffects
  /** What the client has that no other server can be given. */
  readonly remembered: RememberedState
  /** Since when the client keeps its server because of that, and what was said of it. */
  readonly pins: Pins
  #preparedEffects = 0

  constructor(info: ClientInfo, parameters: ClientSettings, pool: Pool, mode: PoolMode, log: Logger) {
    this.id = info.id
    this.pool = pool
    this.mode = mode
    this.parameters = parameters
    this.transaction = new TransactionEffects(parameters)
    this.remembered = new RememberedState(mode === 'session' ? 'pin' : pool.settings.sessionState)
    this.pins = new Pins(info, pool, log)
  }

  get functions(): FunctionCatalog {
    return this.pool.functions
  }

  /** Something is to be looked at, or taken from the client, when the transaction is over. */
  get suspected(): boolean {
    return this.transaction.suspected || this.remembered.mustGo
  }

  /** The client has left something in the session of its server, or may have. */
  get mayHaveLeft(): boolean {
    return this.transaction.suspected || this.remembered.found !== ''
  }

  /** What statements that are prepared under a name may leave behind when they are run (sql/state-effects). */
  get preparedEffects(): number {
    return this.#preparedEffects
  }

  /** A statement with these effects is prepared under a name. */
  notePrepared(effects: number): void {
    this.#preparedEffects |= effects & ~(PREPARED | EXECUTES)
  }

  /** There is state in `server` of which nobody can ask when it is gone: keep it, where `session_state` says. */
  pin(server: ServerConnection, kind: PinKind, reason?: string): void {
    this.remembered.foundForGood(kind, reason)
    this.pins.update(this.remembered, server)
  }

  /** Under which settings a statement is prepared or executed on `server` now, as far as they decide what it means. */
  parseSettings(server: ServerConnection): ParseSettings {
    const { remembered } = this
    // A temporary table may hide another that the text names. Of one that stays for good nobody asks what it has set.
    if (remembered.pinnedForGood || remembered.kinds.has('temporary')) return UNKNOWN_SETTINGS
    return this.transaction.parseSettings(server)
  }

  /**
   * A transaction has ended on `server`: what it has set, as far as the server reports it, becomes what the client wants.
   * What no other server can be given keeps the client there.
   */
  adopt(server: ServerConnection): void {
    const { parameters, remembered, transaction } = this
    transaction.ended()
    if (!server.effects.parametersChanged) return
    server.effects.parametersTaken()
    // What PostgreSQL says of them is waited for (release.ts); what is sent before that was not told.
    transaction.lostTrack()
    const changes = parameters.changes(server.settings)
    const shares = this.mode !== 'session'
    // Where nothing is asked any more, all of it is taken for the client's doing.
    const own = shares && !remembered.pinnedForGood ? transaction.attribute(server, changes) : changes
    if (!parameters.absorb(server.settings, true, own) && shares) this.pin(server, 'other', ENCODED_VALUE)
  }
}
