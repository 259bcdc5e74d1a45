/**
 * What the files that look into a client's messages share (query.ts, parse.ts, bind.ts, execute.ts, describe-close.ts): the
 * client's statements, what its messages wait for, and what is decided of the message at hand. Owned by upstream.ts.
 */

import type { ErrorFields } from '../../errors.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { SqlFacts } from '../../sql/facts.ts'
import { EXECUTES } from '../../sql/state-effects.ts'
import { speaksOfSession } from '../../statements/shared-statements.ts'
import type { ClientPorts } from '../lifecycle/ports.ts'
import type { ClientEffects } from '../state/client-effects.ts'
import { PendingNames } from '../statements/pending-names.ts'
import type { Rewrite } from '../statements/rewrite.ts'
import { StatementParts, unnamedStatement } from '../statements/statement-parts.ts'
import { concat } from '../statements/statement-slots.ts'
import type { UnnamedStatement } from '../statements/unnamed-statement.ts'
import type { LongQuery } from './long-query.ts'

/** The client whose messages these are. */
export interface MessageOwner {
  logRefused(fields: ErrorFields): void
  /** Look again at what waits. */
  pump(): void
}

/** The messages of one client of transaction or statement mode. */
export class MessageContext {
  readonly owner: MessageOwner
  readonly effects: ClientEffects
  readonly pending: PendingNames
  readonly unnamed: UnnamedStatement
  /** What is decided of the message at hand. */
  readonly rewrite: Rewrite = { omit: false, prefix: undefined, skip: 0, held: false }
  /** The Query under way that is too long to be looked at as a whole. */
  long: LongQuery | undefined
  /** The client's named statements, from the first message on that may need them. */
  parts: StatementParts | undefined
  readonly #ports: ClientPorts
  #sharing: boolean | undefined

  constructor(owner: MessageOwner, effects: ClientEffects, ports: ClientPorts) {
    this.owner = owner
    this.effects = effects
    this.#ports = ports
    this.pending = new PendingNames(() => owner.pump())
    this.unnamed = unnamedStatement(effects, this.pending.lift)
  }

  /** The client's named statements. */
  made(server: ServerConnection): StatementParts {
    if (this.parts === undefined) {
      this.parts = new StatementParts(this.effects, this.#ports, this.pending, this.rewrite)
      this.parts.begin(server)
    }
    return this.parts
  }

  /**
   * Named statements are shared with other clients, and follow this one. As the setting was when first asked for: names given
   * one way would not be found the other way.
   */
  get shares(): boolean {
    this.#sharing ??= this.#ports.config.maxPreparedStatements > 0
    return this.#sharing
  }

  /** `bytes` go to the server before all else that is sent for the message at hand. */
  putInFront(bytes: Buffer | undefined): void {
    const { prefix } = this.rewrite
    if (bytes !== undefined) this.rewrite.prefix = prefix === undefined ? bytes : concat(bytes, prefix)
  }

  /** What must be sent before a text is parsed or described, because its columns are another statement's. */
  beforeExecute(server: ServerConnection, facts: SqlFacts): Buffer | undefined {
    if ((facts.effects & EXECUTES) === 0 || !speaksOfSession(facts.text)) return undefined
    return this.made(server).spoken.beforeBind(server, facts, this.pending.batch)
  }
}
