/**
 * Has a server have what a client's message names: prepares it there in front of the message, makes room for it, and asks
 * what came of it. Called by named-statements.ts.
 *
 * Comes in: an entry and the client's name for it. Goes out: its slot on the server, and bytes to be sent before the
 * message.
 */

import { FLUSH, message } from '../../protocol/build.ts'
import { FRONTEND } from '../../protocol/types.ts'
import { CLOSE, DESCRIBE, FORWARD, PARSE, SKIP } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { ParseSettings } from '../../settings/setting-values.ts'
import type { ClientStatements } from '../../statements/client-statements.ts'
import { type Description, typedBody } from '../../statements/description.ts'
import type { Slot } from '../../statements/server-statements.ts'
import { agrees, type StatementEntry } from '../../statements/shared-statements.ts'
import { STATEMENT } from './message-kinds.ts'
import { parseUnder, wayOf } from './parse-under.ts'
import type { PendingNames } from './pending-names.ts'
import { type ChangedName, PreparedSlot, RetiredName, SlotDescription } from './statement-refs.ts'

/** The statements of one client, as they are prepared on the server at hand. */
export class StatementSlots {
  /** Must be sent for what was asked for last. */
  injected: Buffer | undefined
  /** The batch that runs again failed because of this one. */
  renewing: StatementEntry | undefined
  /** The statement of the Bind that waits has other columns than its client was told of. */
  #differing: StatementEntry | undefined
  readonly #names: ClientStatements
  readonly #settings: (server: ServerConnection) => ParseSettings
  readonly #limit: () => number
  readonly #pending: PendingNames

  /**
   * @param settings what holds for the client on its server now
   * @param pending lifted when a Bind that waits can be looked at
   */
  constructor(
    names: ClientStatements,
    settings: (server: ServerConnection) => ParseSettings,
    limit: () => number,
    pending: PendingNames,
  ) {
    this.#names = names
    this.#settings = settings
    this.#limit = limit
    this.#pending = pending
  }

  /** True where a Bind of `entry` has waited and was found to differ. Known once. */
  tookDiffering(entry: StatementEntry): boolean {
    if (this.#differing === undefined) return false
    const differs = this.#differing === entry
    this.#differing = undefined
    return differs
  }

  /**
   * The slot of what the client's `name`, which stands for `named`, is now on `server`; what must be sent to have it there
   * is `injected`. Undefined where a Bind (`relies`) has to wait: its client relies on the columns it was told of before.
   */
  ensure(server: ServerConnection, named: StatementEntry, name: string, relies: boolean): Slot | undefined {
    this.injected = undefined
    const { statements, plan } = server
    const { description } = named
    const settings = this.#settings(server)
    const entry = this.#names.executed(named, settings)
    const anew = this.#names.standing(name) === 'anew'
    const trusted = !anew && named !== this.renewing
    const present = statements.use(entry) ?? (trusted ? this.#take(server, named, entry, settings, name) : undefined)
    const own = this.#isOwn(present, name)
    const usable = own || (present !== undefined && (present.ready || description === undefined))
    if (own || trusted) {
      if (usable) {
        // A batch may have needed more at once than may stay.
        if (statements.size > this.#most) this.injected = joined(this.#makeRoom(server, present))
        return present
      }
      // What is discarded unseen is not answered.
      if (relies && description !== undefined && !entry.local && !plan.skipping && !plan.copyIn) {
        this.#compare(server, named, entry, settings)
        return undefined
      }
    }
    const body = anew || description === undefined ? named.body : typedBody(named.body, description)
    return this.#prepare(server, entry, settings, body, name, undefined)
  }

  /**
   * `entry`, which `named` is now, cannot be parsed here as `named` was: what the settings are is not known, and no savepoint
   * brings them back. What is prepared for `named` becomes the client's own: it has the meaning, which PostgreSQL may change
   * from now on.
   */
  #take(
    { statements, plan, txStatus }: ServerConnection,
    named: StatementEntry,
    entry: StatementEntry,
    settings: ParseSettings,
    name: string,
  ): Slot | undefined {
    if (entry === named || wayOf({ plan, txStatus }, entry, settings) !== 'as it is') return undefined
    const slot = statements.use(named)
    if (slot === undefined || !(slot.ready || this.#isOwn(slot, name))) return undefined
    statements.rehome(slot, entry)
    return slot
  }

  /** One on its way may come to be something else, which is for the name alone that it was sent for. */
  #isOwn(slot: Slot | undefined, name: string): boolean {
    return slot !== undefined && slot.adopter === name && slot.batch === this.#pending.batch
  }

  /** Prepare `entry` on `server` because the client gives it `name`; what must be sent is `injected`. */
  parse(server: ServerConnection, entry: StatementEntry, name: string, parsed: ChangedName): void {
    this.#prepare(server, entry, entry.settings, entry.body, name, parsed)
  }

  /**
   * Prepare `body` on `server` for `entry`; what must be sent is `injected`. If the server says that it is something else
   * than `entry` was, the client's `name` stands for that.
   * @param settings what holds now
   * @param parsed the client's own Parse
   */
  #prepare(
    server: ServerConnection,
    entry: StatementEntry,
    settings: ParseSettings,
    body: Buffer,
    name: string,
    parsed: ChangedName | undefined,
  ): Slot {
    const { statements } = server
    statements.parsed++
    const slot = this.#send(server, entry, settings, body, parsed, (slot, description) => {
      slot.ready = true
      if (this.#names.standing(name) === 'anew') this.#names.stand(name, 'proven')
      const named = slot.entry.twinOf ?? slot.entry
      if (agrees(named, description)) return
      named.outdated = true
      const variant = this.#names.become(name, named, body, description)
      if (variant === undefined) statements.discard(slot)
      else statements.rehome(slot, slot.entry === named ? variant : this.#names.executed(variant, executedUnder(slot)))
    })
    slot.adopter = name
    return slot
  }

  /** Prepare `entry`, which `named` is now, on `server` to see whether it is what it was; what must be sent is `injected`. */
  #compare(server: ServerConnection, named: StatementEntry, entry: StatementEntry, settings: ParseSettings): void {
    const body = typedBody(named.body, named.description!)
    this.#send(server, entry, settings, body, undefined, (slot, description) => {
      slot.ready = agrees(named, description)
      if (!slot.ready) {
        this.#differing = named
        named.outdated = true
        server.statements.discard(slot)
      }
      this.#pending.lift()
    })
    this.injected = Buffer.concat([this.injected!, FLUSH])
  }

  /**
   * A Parse of `body` for `entry` is sent to `server` and, unless it is `local`, a Describe behind it, with what makes room
   * for it: that is `injected`.
   * @param known called with what the server says
   */
  #send(
    server: ServerConnection,
    entry: StatementEntry,
    settings: ParseSettings,
    body: Buffer,
    parsed: ChangedName | undefined,
    known: (slot: Slot, description: Description) => void,
  ): Slot {
    // What is there of it already goes first: it is closed by the same write, and takes no room.
    server.statements.drop(entry)
    const messages = this.#makeRoom(server)
    const slot = server.statements.add(entry, this.#pending.batch)
    const parse = (): Buffer => {
      server.plan.expect(PARSE, parsed === undefined ? SKIP : FORWARD, new PreparedSlot(server, slot, parsed))
      const bytes = message(FRONTEND.Parse, Buffer.concat([slot.name, body]))
      if (entry.local) return bytes
      server.plan.expect(DESCRIBE, SKIP, new SlotDescription(server, slot, (found) => known(slot, found)))
      return Buffer.concat([bytes, describeMessage(slot)])
    }
    const way = parsed === undefined ? wayOf(server, entry, settings) : 'as it is'
    if (way === 'as it is') messages.push(parse())
    else messages.push(...parseUnder(server, way, entry.settings, settings, parse))
    this.injected = joined(messages)
    return slot
  }

  /** Close what is stale, and the least recently used where there are too many with `wanted`, or with one more. */
  #makeRoom(server: ServerConnection, wanted?: Slot): Buffer[] {
    const { statements } = server
    const closes = this.closeRetired(server)
    const limit = wanted === undefined ? this.#most - 1 : this.#most
    for (let old = statements.overflow(limit, wanted); old !== undefined; old = statements.overflow(limit, wanted)) {
      statements.remove(old)
      closes.push(this.#close(server, old.name))
    }
    return closes
  }

  /** So many statements may stay on a server. */
  get #most(): number {
    // 0 is for sessions that begin with it: they share none.
    return Math.max(this.#limit(), 1)
  }

  /** Closes of what is to be gone from `server`, sent next. */
  closeRetired(server: ServerConnection): Buffer[] {
    return server.statements.takeRetired().map((name) => this.#close(server, name))
  }

  #close(server: ServerConnection, name: Buffer): Buffer {
    server.statements.closing(this.#pending.batch)
    const text = name.toString('latin1', 0, name.length - 1)
    server.plan.expect(CLOSE, SKIP, new RetiredName(server, name, server.content.names.closing(text)))
    return message(FRONTEND.Close, Buffer.concat([Buffer.from([STATEMENT]), name]))
  }
}

/** Under which settings what is prepared in `slot`, a twin, is executed: it may have become that behind its Parse. */
function executedUnder({ entry }: Slot): Pick<ParseSettings, 'fingerprint'> {
  return { fingerprint: entry.own ? undefined : entry.key }
}

/** A Describe of what is prepared in `slot`. */
export function describeMessage(slot: Slot): Buffer {
  return message(FRONTEND.Describe, Buffer.concat([STATEMENT_KIND, slot.name]))
}

const STATEMENT_KIND = Buffer.from([STATEMENT])

/** What is there of `messages` in one; undefined for nothing. */
export function joined(messages: readonly Buffer[]): Buffer | undefined {
  return messages.length > 1 ? Buffer.concat(messages) : messages[0]
}

/** `first`, if there is something, and `second` behind it. Without an array where one is missing: each Bind comes by. */
export function concat(first: Buffer | undefined, second: Buffer): Buffer {
  return first === undefined ? second : Buffer.concat([first, second])
}
