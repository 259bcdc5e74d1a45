/**
 * A client's named prepared statements in transaction and statement mode: Parse, Bind, Describe and Close are mapped to
 * the shared statements of the server it happens to hold (session/statements). What the server has already is not
 * prepared again, and answered in its place among the replies; what it lacks is prepared in front of the message that
 * needs it. Errors are PostgreSQL's own: a name the client does not have, or has already, is sent so that the server
 * says so.
 *
 * Comes in: one message at a time, looked at before it is sent. Goes out: a Rewrite, which upstream.ts carries out.
 */

import { message } from '../protocol/build.ts'
import { FRONTEND } from '../protocol/types.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { PlanRef } from '../server/downstream.ts'
import { BIND, CLOSE, DESCRIBE, FORWARD, PARSE, SKIP } from '../session/reply-plan.ts'
import type { ClientStatements, Slot, StatementEntry, StatementStore } from '../session/statements.ts'

/** What happens to a message. */
export interface Rewrite {
  /** The message is not sent at all. */
  omit: boolean
  /** Sent before the rest of the message. */
  prefix: Buffer | undefined
  /** Where the rest of the message begins, in bytes from its start. */
  skip: number
}

/** Kind of a Describe or Close that names a statement. */
export const STATEMENT = 0x53

/** Statement names in the messages of one client. */
export class PreparedStatements {
  readonly rewrite: Rewrite = { omit: false, prefix: undefined, skip: 0 }
  /** Number of the batch (what lies between two Syncs) under way. */
  batch = 0
  readonly #names: ClientStatements
  readonly #store: StatementStore
  readonly #limit: () => number

  /** @param limit `max_prepared_statements`: how many a server keeps */
  constructor(names: ClientStatements, store: StatementStore, limit: () => number) {
    this.#names = names
    this.#store = store
    this.#limit = limit
  }

  /**
   * True where what the statement name in a message stands for, or whether the server has it, depends on a batch sent
   * before and not answered yet: if that fails, its Parse and Close messages have not happened. Only for messages of
   * named statements; `name` is at `start`.
   */
  uncertain(server: ServerConnection, bytes: Buffer, start: number): boolean {
    const end = bytes.indexOf(0, start)
    if (end <= start) return false
    const name = bytes.toString('latin1', start, end)
    if (!this.#names.certain(name, this.batch)) return true
    const entry = this.#names.get(name)
    return !(entry ? server.statements.certain(entry, this.batch) : server.statements.closed(this.batch))
  }

  /** True where it is open whether the server has a statement that `body`, a new name's Parse, would share. */
  uncertainText(server: ServerConnection, settings: string, body: Buffer): boolean {
    const entry = this.#store.find(settings, body)
    return entry !== undefined && !server.statements.certain(entry, this.batch)
  }

  /** A Parse with a name; `bytes` is the whole message. `settings`: the fingerprint it is parsed under. */
  onParse(server: ServerConnection, bytes: Buffer, settings: string): void {
    const nameEnd = bytes.indexOf(0, 5)
    const name = bytes.toString('latin1', 5, nameEnd)
    const body = bytes.subarray(nameEnd + 1)
    if (this.#names.get(name) !== undefined) {
      this.#provokeDuplicate(server, bytes, nameEnd)
      return
    }
    const entry = this.#store.hold(settings, body)
    this.#names.change(name, entry, this.batch)
    const ref = new ChangedName(this.#names, name)
    if (server.statements.use(entry) !== undefined) {
      this.#send(true, undefined, 0)
      server.expectFake(PARSE, ref)
      return
    }
    const closes = this.#makeRoom(server)
    const slot = server.statements.add(entry, this.batch)
    server.plan.expect(PARSE, FORWARD, new PreparedSlot(server, slot, ref))
    this.#send(true, concat(closes, parseMessage(slot)), 0)
  }

  /** A Bind; `bytes` are its head. Returns the statement it runs; false where it names the unnamed one. */
  onBind(server: ServerConnection, bytes: Buffer): StatementEntry | boolean {
    const portalEnd = bytes.indexOf(0, 5)
    const nameEnd = portalEnd < 0 ? -1 : bytes.indexOf(0, portalEnd + 1)
    if (nameEnd <= portalEnd + 1) return false
    const entry = this.#names.get(bytes.toString('latin1', portalEnd + 1, nameEnd))
    if (entry === undefined) return this.#unknown(server, BIND)
    const { injected, slot } = this.#ensure(server, entry)
    server.plan.expect(BIND)
    // Type, length, portal name, our statement name; the parameters follow from the client's own bytes.
    const grown = slot.name.length - (nameEnd - portalEnd)
    const head = Buffer.allocUnsafe(portalEnd + 1 + slot.name.length)
    bytes.copy(head, 0, 0, portalEnd + 1)
    head.writeUInt32BE(bytes.readUInt32BE(1) + grown, 1)
    slot.name.copy(head, portalEnd + 1)
    this.#send(false, concat(injected, head), nameEnd + 1)
    return entry
  }

  /** A Describe of a named statement. False where it names none of ours. */
  onDescribe(server: ServerConnection, bytes: Buffer): boolean {
    if (bytes[5] !== STATEMENT || bytes[6] === 0) return false
    const entry = this.#named(bytes)
    if (entry === undefined) return this.#unknown(server, DESCRIBE)
    const { injected, slot } = this.#ensure(server, entry)
    server.plan.expect(DESCRIBE)
    const describe = message(FRONTEND.Describe, Buffer.concat([Buffer.from([STATEMENT]), slot.name]))
    this.#send(true, concat(injected, describe), 0)
    return true
  }

  /** A Close of a named statement: the name goes, the shared statement stays. False where it names none of ours. */
  onClose(server: ServerConnection, bytes: Buffer): boolean {
    if (this.#named(bytes) === undefined) return false
    const name = bytes.toString('latin1', 6, bytes.length - 1)
    this.#send(true, undefined, 0)
    this.#names.change(name, undefined, this.batch)
    server.expectFake(CLOSE, new ChangedName(this.#names, name))
    return true
  }

  /**
   * A Parse with a name that is too long to be kept, on a server its client is kept on; `bytes` is its head. Where the
   * client has the name already, PostgreSQL is made to know it, too, and refuses the Parse.
   */
  onLongParse(server: ServerConnection, bytes: Buffer): Buffer | undefined {
    const nameEnd = bytes.indexOf(0, 5)
    const entry = this.#names.get(bytes.toString('latin1', 5, nameEnd))
    if (entry === undefined) return undefined
    const name = Buffer.from(bytes.subarray(5, nameEnd + 1))
    server.plan.expect(PARSE, SKIP)
    server.statements.retire(name)
    return message(FRONTEND.Parse, Buffer.concat([name, entry.body]))
  }

  /** PostgreSQL shall say that there is no such statement: nothing under a name of its client's may be left there. */
  #unknown(server: ServerConnection, kind: number): boolean {
    let closes: Buffer | undefined
    for (const name of server.statements.takeRetired()) closes = concat(closes, this.#close(server, name))
    server.plan.expect(kind)
    this.#send(false, closes, 0)
    return true
  }

  #named(bytes: Buffer): StatementEntry | undefined {
    if (bytes[5] !== STATEMENT) return undefined
    return this.#names.get(bytes.toString('latin1', 6, bytes.length - 1))
  }

  #send(omit: boolean, prefix: Buffer | undefined, skip: number): void {
    this.rewrite.omit = omit
    this.rewrite.prefix = prefix
    this.rewrite.skip = skip
  }

  /** The slot of `entry` on `server`, and what must be sent to have it there. */
  #ensure(server: ServerConnection, entry: StatementEntry): { injected: Buffer | undefined; slot: Slot } {
    const present = server.statements.use(entry)
    if (present !== undefined) return { injected: undefined, slot: present }
    const closes = this.#makeRoom(server)
    const slot = server.statements.add(entry, this.batch)
    server.plan.expect(PARSE, SKIP, new PreparedSlot(server, slot, undefined))
    return { injected: concat(closes, parseMessage(slot)), slot }
  }

  /** Close what is stale, and the least recently used where one more would be too many. */
  #makeRoom(server: ServerConnection): Buffer | undefined {
    const { statements } = server
    let closes: Buffer | undefined
    for (const name of statements.takeRetired()) closes = concat(closes, this.#close(server, name))
    const old = statements.overflow(this.#limit() - 1)
    if (old !== undefined) {
      statements.remove(old)
      closes = concat(closes, this.#close(server, old.name))
    }
    return closes
  }

  #close(server: ServerConnection, name: Buffer): Buffer {
    server.statements.closing(this.batch)
    server.plan.expect(CLOSE, SKIP, new RetiredName(server, name))
    return message(FRONTEND.Close, Buffer.concat([Buffer.from([STATEMENT]), name]))
  }

  /** Let PostgreSQL say that the name exists: prepare it under that very name, then send the client's own. */
  #provokeDuplicate(server: ServerConnection, bytes: Buffer, nameEnd: number): void {
    server.plan.expect(PARSE, SKIP)
    server.plan.expect(PARSE)
    server.statements.retire(Buffer.from(bytes.subarray(5, nameEnd + 1)))
    // Nobody else may come upon it before it is closed.
    server.dirty = true
    server.namesLeft = true
    this.#send(true, Buffer.concat([bytes, bytes]), 0)
  }
}

/** A name the client gave or closed: nothing came of it if the server discarded that. */
class ChangedName implements PlanRef {
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

/** A Parse that was sent: the server has the statement only if it did not fail and was not discarded. */
class PreparedSlot implements PlanRef {
  readonly #server: ServerConnection
  readonly #slot: Slot
  readonly #name: ChangedName | undefined

  constructor(server: ServerConnection, slot: Slot, name: ChangedName | undefined) {
    this.#server = server
    this.#slot = slot
    this.#name = name
  }

  answered(): void {
    this.#slot.ready = true
    this.#name?.answered()
  }

  dropped(): void {
    this.#server.statements.remove(this.#slot)
    this.#name?.dropped()
  }
}

/** A statement being closed on the server: if the Close was discarded, it is there still. */
class RetiredName implements PlanRef {
  readonly #server: ServerConnection
  readonly #name: Buffer

  constructor(server: ServerConnection, name: Buffer) {
    this.#server = server
    this.#name = name
  }

  answered(): void {
    this.#server.statements.closeSettled()
  }

  dropped(): void {
    this.#server.statements.closeSettled()
    this.#server.statements.retire(this.#name)
  }
}

function parseMessage(slot: Slot): Buffer {
  return message(FRONTEND.Parse, Buffer.concat([slot.name, slot.entry.body]))
}

function concat(first: Buffer | undefined, second: Buffer): Buffer {
  return first === undefined ? second : Buffer.concat([first, second])
}
