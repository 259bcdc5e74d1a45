/** What the reply plan knows messages by that change what is prepared, or that must not be known by their own names. */

import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import { UNKNOWN_SETTINGS } from '../../settings/setting-values.ts'
import { NO_FACTS } from '../../sql/facts.ts'
import type { ClientStatements } from '../../statements/client-statements.ts'
import { type Description, DescriptionReader } from '../../statements/description.ts'
import { Slot } from '../../statements/server-statements.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'

/** What the reply plan knows a message by, where it is not the unnamed statement alone that wants to know its end. */
export interface SharedRef extends PlanRef {
  /** Who else wants to know. */
  other: PlanRef | undefined
}

/** A name the client gave or closed: nothing came of it if the server discarded that. */
export class ChangedName implements PlanRef {
  readonly #names: ClientStatements
  readonly #name: string

  constructor(names: ClientStatements, name: string) {
    this.#names = names
    this.#name = name
  }

  answered(): void {
    this.#names.settle(this.#name, true)
  }

  dropped(): void {
    this.#names.settle(this.#name, false)
  }
}

/**
 * A Parse that was sent: the server has the statement only if it did not fail and was not discarded. Confirmed by the
 * Describe that follows it; where none does, by itself.
 */
export class PreparedSlot implements PlanRef {
  readonly #server: ServerConnection
  readonly #slot: Slot
  readonly #name: ChangedName | undefined

  constructor(server: ServerConnection, slot: Slot, name: ChangedName | undefined) {
    this.#server = server
    this.#slot = slot
    this.#name = name
  }

  answered(): void {
    if (this.#slot.entry.local) this.#slot.ready = true
    this.#name?.answered()
  }

  dropped(): void {
    this.#server.statements.remove(this.#slot)
    this.#name?.dropped()
  }
}

/** A Describe of pgbun's own behind a Parse: tells whether what was prepared is what its entry stands for. */
export class SlotDescription implements PlanRef {
  readonly #server: ServerConnection
  readonly #slot: Slot
  readonly #known: (description: Description) => void
  readonly #reader = new DescriptionReader()

  /** @param known called with what the server says, unless it fails */
  constructor(server: ServerConnection, slot: Slot, known: (description: Description) => void) {
    this.#server = server
    this.#slot = slot
    this.#known = known
  }

  described(type: number, bytes: Buffer, flags: number): void {
    const description = this.#reader.take(type, bytes, flags)
    if (description !== undefined) this.#known(description)
  }

  answered(): void {}

  dropped(): void {
    // If the Parse before it was answered, something is there of which nobody knows what it is.
    this.#server.statements.discard(this.#slot)
  }
}

/** A Describe of the unnamed statement. */
export class UnnamedDescription implements PlanRef {
  readonly #known: (description: Description) => void
  readonly #failed: (() => void) | undefined
  readonly #reader = new DescriptionReader()

  /** @param known called with what the server says, unless that fails */
  constructor(known: (description: Description) => void, failed?: () => void) {
    this.#known = known
    this.#failed = failed
  }

  described(type: number, bytes: Buffer, flags: number): void {
    const description = this.#reader.take(type, bytes, flags)
    if (description !== undefined) this.#known(description)
  }

  answered(): void {}

  dropped(): void {
    this.#failed?.()
  }
}

/** The first use of a name whose Parse was answered by pgbun: where it succeeds, PostgreSQL has confirmed it. */
export class FirstUse implements PlanRef {
  readonly slot: Slot
  readonly name: string
  readonly #names: ClientStatements

  constructor(slot: Slot, names: ClientStatements, name: string) {
    this.slot = slot
    this.#names = names
    this.name = name
  }

  answered(): void {
    if (this.#names.standing(this.name) === 'assumed') this.#names.stand(this.name, 'proven')
  }

  dropped(): void {}

  /** The name has to be parsed. */
  refuted(): void {
    this.#names.stand(this.name, 'anew')
  }
}

/** Sent in the place of a Bind whose statement has other columns now than its client was told of: it fails. */
export class ChangedResult implements PlanRef {
  /** Undefined for the unnamed statement. */
  readonly entry: StatementEntry | undefined

  constructor(entry: StatementEntry | undefined) {
    this.entry = entry
  }

  answered(): void {}

  dropped(): void {}
}

/** A statement being closed on the server: if the Close was discarded, it is there still. */
export class RetiredName implements PlanRef {
  readonly #server: ServerConnection
  readonly #name: Buffer
  /** It is a name the client gave. */
  readonly #own: boolean

  constructor(server: ServerConnection, name: Buffer, own: boolean) {
    this.#server = server
    this.#name = name
    this.#own = own
  }

  answered(): void {
    this.#server.statements.closeSettled()
  }

  dropped(): void {
    if (this.#own) this.#server.content.names.leave(this.#name.toString('latin1', 0, this.#name.length - 1))
    this.#server.statements.closeSettled()
    this.#server.statements.retire(this.#name)
  }
}

/**
 * Sent in the place of a name the server shall say something about, but must not have, or must not be asked for: in what
 * it says this one's is replaced by the client's.
 */
export class StandIn extends Slot {
  /** The name the client gave. */
  readonly own: string

  constructor(own: string, batch: number) {
    super(NOTHING_PREPARED, batch)
    this.own = own
  }
}

const NOTHING_PREPARED: StatementEntry = {
  key: '',
  bytes: 0,
  holders: new Map(),
  settings: UNKNOWN_SETTINGS,
  own: true,
  twins: undefined,
  twinOf: undefined,
  body: Buffer.alloc(0),
  facts: NO_FACTS,
  fingerprint: undefined,
  isRead: undefined,
  refs: 0,
  names: 0,
  description: undefined,
  checkedAt: 0,
  outdated: false,
  local: false,
  schema: 0,
  doubtedAt: 0,
}
