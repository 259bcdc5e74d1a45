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

const STATEMENT = 0x53

/** Statement names in the messages of one client. */
export class PreparedStatements {
  readonly rewrite: Rewrite = { omit: false, prefix: undefined, skip: 0 }
  readonly #names: ClientStatements
  readonly #store: StatementStore
  readonly #limit: () => number

  /** @param limit `max_prepared_statements`: how many a server keeps */
  constructor(names: ClientStatements, store: StatementStore, limit: () => number) {
    this.#names = names
    this.#store = store
    this.#limit = limit
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
    this.#names.set(name, entry)
    const ref = new ParsedName(this.#names, name, entry)
    if (server.statements.use(entry) !== undefined) {
      this.#send(true, undefined, 0)
      server.expectFake(PARSE, ref)
      return
    }
    const closes = this.#makeRoom(server)
    const slot = server.statements.add(entry)
    server.plan.expect(PARSE, FORWARD, new PreparedSlot(server, slot, ref))
    this.#send(true, concat(closes, parseMessage(slot)), 0)
  }

  /** A Bind; `body` is its head, as far as names and more are here. Returns the statement it runs, undefined where it names none of ours. */
  onBind(server: ServerConnection, bytes: Buffer): StatementEntry | undefined {
    const portalEnd = bytes.indexOf(0, 5)
    const nameEnd = portalEnd < 0 ? -1 : bytes.indexOf(0, portalEnd + 1)
    if (nameEnd <= portalEnd + 1) return undefined
    const entry = this.#names.get(bytes.toString('latin1', portalEnd + 1, nameEnd))
    if (entry === undefined) return undefined
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
    const entry = this.#named(bytes)
    if (entry === undefined) return false
    const { injected, slot } = this.#ensure(server, entry)
    server.plan.expect(DESCRIBE)
    const describe = message(FRONTEND.Describe, Buffer.concat([Buffer.from([STATEMENT]), slot.name]))
    this.#send(true, concat(injected, describe), 0)
    return true
  }

  /** A Close of a named statement: the name goes, the shared statement stays. False where it names none of ours. */
  onClose(server: ServerConnection, bytes: Buffer): boolean {
    const entry = this.#named(bytes)
    if (entry === undefined) return false
    const name = bytes.toString('latin1', 6, bytes.length - 1)
    this.#send(true, undefined, 0)
    // Held for the case that the server discards this message with a batch that failed.
    entry.refs++
    this.#names.delete(name)
    server.expectFake(CLOSE, new ClosedName(this.#names, this.#store, name, entry))
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
    const slot = server.statements.add(entry)
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
    server.plan.expect(CLOSE, SKIP, new RetiredName(server, name))
    return message(FRONTEND.Close, Buffer.concat([Buffer.from([STATEMENT]), name]))
  }

  /** Let PostgreSQL say that the name exists: prepare it under that very name, then send the client's own. */
  #provokeDuplicate(server: ServerConnection, bytes: Buffer, nameEnd: number): void {
    server.plan.expect(PARSE, SKIP)
    server.plan.expect(PARSE)
    server.statements.retire(Buffer.from(bytes.subarray(5, nameEnd + 1)))
    this.#send(true, Buffer.concat([bytes, bytes]), 0)
  }
}

/** A name the client gave: it has it only if the server did not discard the Parse. */
class ParsedName implements PlanRef {
  readonly #names: ClientStatements
  readonly #name: string
  readonly #entry: StatementEntry

  constructor(names: ClientStatements, name: string, entry: StatementEntry) {
    this.#names = names
    this.#name = name
    this.#entry = entry
  }

  answered(): void {}

  dropped(): void {
    if (this.#names.get(this.#name) === this.#entry) this.#names.delete(this.#name)
  }
}

/** A Parse that was sent: the server has the statement only if it did not fail and was not discarded. */
class PreparedSlot implements PlanRef {
  readonly #server: ServerConnection
  readonly #slot: Slot
  readonly #name: ParsedName | undefined

  constructor(server: ServerConnection, slot: Slot, name: ParsedName | undefined) {
    this.#server = server
    this.#slot = slot
    this.#name = name
  }

  answered(): void {
    this.#slot.ready = true
  }

  dropped(): void {
    this.#server.statements.remove(this.#slot)
    this.#name?.dropped()
  }
}

/** A name the client closed: it still has it if the server discarded the Close. */
class ClosedName implements PlanRef {
  readonly #names: ClientStatements
  readonly #store: StatementStore
  readonly #name: string
  readonly #entry: StatementEntry

  constructor(names: ClientStatements, store: StatementStore, name: string, entry: StatementEntry) {
    this.#names = names
    this.#store = store
    this.#name = name
    this.#entry = entry
  }

  answered(): void {
    this.#store.release(this.#entry)
  }

  dropped(): void {
    // A Parse of the same name behind the Close was discarded with it, and has been undone before or will be after.
    if (this.#names.get(this.#name) === undefined) this.#names.set(this.#name, this.#entry)
    else this.#store.release(this.#entry)
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

  answered(): void {}

  dropped(): void {
    this.#server.statements.retire(this.#name)
  }
}

function parseMessage(slot: Slot): Buffer {
  return message(FRONTEND.Parse, Buffer.concat([slot.name, slot.entry.body]))
}

function concat(first: Buffer | undefined, second: Buffer): Buffer {
  return first === undefined ? second : Buffer.concat([first, second])
}
