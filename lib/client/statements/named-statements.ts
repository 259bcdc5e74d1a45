/**
 * A client's named prepared statements in transaction and statement mode: Parse, Bind, Describe and Close are mapped to
 * the shared statements of the server it happens to hold (statements/shared-statements). What the server has already is not
 * prepared again, and answered in its place among the replies; what it lacks is prepared in front of the message that
 * needs it. Errors are PostgreSQL's own: for a name the client does not have, or has already, something is sent of which
 * the server says so.
 *
 * Behind each Parse pgbun asks what came of it (statements/description). Prepared once more for a name, a statement gets
 * the parameter types it had, and where its columns are others by now, a Bind is answered with PostgreSQL's own "cached
 * plan must not change result type"; so a Bind waits for that answer. Who prepares a text, or asks for its description,
 * is told what is true then, and waits for nothing.
 *
 * Comes in: one message at a time, looked at before it is sent. Goes out: a Rewrite, which upstream.ts carries out.
 */

import { type ErrorFields, errorFields } from '../../errors.ts'
import { message } from '../../protocol/build.ts'
import { BACKEND, FRONTEND, TX_FAILED } from '../../protocol/types.ts'
import { BIND, CLOSE, DESCRIBE, FORWARD, PARSE, SKIP } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import type { ParseSettings } from '../../settings/setting-values.ts'
import { factsOf, type SqlFacts } from '../../sql/facts.ts'
import { statementNames } from '../../sql/statement-names.ts'
import { type ClientStatements, statementName } from '../../statements/client-statements.ts'
import { Slot, STATEMENT_PREFIX } from '../../statements/server-statements.ts'
import type { StatementEntry } from '../../statements/shared-statements.ts'
import { speaksOfSession, textOf } from '../../statements/shared-statements.ts'
import { now } from '../../util/clock.ts'
import { STATEMENT } from './message-kinds.ts'
import { wayOf } from './parse-under.ts'
import type { PendingNames } from './pending-names.ts'
import { FAILING_NAMED_PARSE, RefusedState } from './refused-state.ts'
import type { Rewrite } from './rewrite.ts'
import { SPEAKS, type SqlStatements } from './sql-statements.ts'
import { ChangedName, ChangedResult, FirstUse, StandIn } from './statement-refs.ts'
import { concat, describeMessage, joined, StatementSlots } from './statement-slots.ts'

/** Options that bound prepared statements; 0 is no limit for the last two. */
export interface StatementLimits {
  readonly maxPreparedStatements: number
  readonly maxClientPreparedStatements: number
  readonly maxPreparedStatementMemory: number
}

/** Statement names in the messages of one client. */
export class NamedStatements {
  readonly #rewrite: Rewrite
  readonly #names: ClientStatements
  readonly #limits: () => StatementLimits
  /** What was bound last, and by which name: an error will most likely be of that. */
  #lastEntry: StatementEntry | undefined
  #lastName = ''
  readonly #slots: StatementSlots
  readonly #pending: PendingNames
  /** Names the client gave to texts too long to be kept: they are what the server it keeps has under them. */
  #there: Set<string> | undefined
  readonly #spoken: SqlStatements
  readonly #settings: (server: ServerConnection) => ParseSettings

  /** @param settings what holds for the client on its server now */
  constructor(
    names: ClientStatements,
    limits: () => StatementLimits,
    spoken: SqlStatements,
    settings: (server: ServerConnection) => ParseSettings,
    rewrite: Rewrite,
    pending: PendingNames,
  ) {
    this.#pending = pending
    this.#settings = settings
    this.#spoken = spoken
    this.#rewrite = rewrite
    this.#names = names
    this.#limits = limits
    this.#slots = new StatementSlots(names, settings, () => limits().maxPreparedStatements, pending)
  }

  /** A batch is run again that failed because of `entry`: its client asks for the columns in it, and is told anew. */
  renew(entry: StatementEntry): void {
    this.#slots.renewing = entry
  }

  /**
   * True where what the statement name in a message stands for, or whether the server has it, depends on a batch sent
   * before and not answered yet: if that fails, its Parse and Close messages have not happened. Only for messages of
   * named statements; `name` is at `start`.
   * @param needs the message needs the statement itself
   */
  uncertain(server: ServerConnection, bytes: Buffer, start: number, needs = false): boolean {
    const end = bytes.indexOf(0, start)
    if (end <= start) return false
    const name = statementName(bytes, start, end)
    if (!this.#names.certain(name, this.#pending.batch)) return true
    const entry = this.#names.get(name)
    if (entry && this.sqlNamesPending(server, entry.facts)) return true
    if (entry === undefined) return !server.statements.closed(this.#pending.batch)
    const settings = this.#settings(server)
    const executed = needs ? this.#names.known(entry, settings) : entry
    if (!server.statements.certain(executed ?? entry, this.#pending.batch)) return true
    if (!needs || (executed !== undefined && server.statements.has(executed))) return false
    return wayOf(server, executed ?? entry, settings) === 'wait'
  }

  /** True where `server` certainly has what the client calls `name`, for the settings at hand. */
  isReady(server: ServerConnection, name: string): boolean {
    const entry = this.#names.get(name)
    const executed = entry && this.#names.known(entry, this.#settings(server))
    return executed !== undefined && server.statements.isReady(executed)
  }

  /**
   * The same for the names in a Query. What it needs is prepared before it, with a Sync of our own, which must not come
   * between a batch that failed and the client's Sync; or within the client's batch, and in a transaction that failed
   * the Query would not be answered behind it.
   */
  uncertainText(server: ServerConnection, sql: string): boolean {
    const { names } = statementNames(sql)
    return !this.#spoken.certain(server, names, this.#pending.batch) || this.#spoken.lends(server, names)
  }

  /** The same for the names in a text that is run. */
  sqlNamesPending(server: ServerConnection, facts: SqlFacts): boolean {
    return (facts.effects & SPEAKS) !== 0 && !this.#spoken.certain(server, facts.statements.names, this.#pending.batch)
  }

  /** The same for a Parse, whose description depends on the statement it executes. */
  parsesUncertain(server: ServerConnection, bytes: Buffer): boolean {
    const sql = textOf(bytes.subarray(bytes.indexOf(0, 5) + 1))
    return speaksOfSession(sql) && this.sqlNamesPending(server, factsOf(sql))
  }

  /** A Parse with a name; `bytes` is the whole message. Returns the error it is refused with, if it is. */
  onParse(server: ServerConnection, bytes: Buffer, facts: SqlFacts): ErrorFields | undefined {
    const nameEnd = bytes.indexOf(0, 5)
    const name = statementName(bytes, 5, nameEnd)
    const body = bytes.subarray(nameEnd + 1)
    const there = this.#there?.has(name)
    // Without an end to its name it is refused.
    if (nameEnd < 0 || there) {
      if (there) server.content.names.leaveNameless()
      server.plan.expect(PARSE)
      this.#send(false, undefined, 0)
      return undefined
    }
    if (this.#names.get(name) !== undefined || name.startsWith(STATEMENT_PREFIX)) {
      this.#provokeDuplicate(server, bytes, nameEnd)
      return undefined
    }
    const settings = this.#settings(server)
    const refusal = this.#refusal(settings, body)
    if (refusal !== undefined) {
      // PostgreSQL makes the batch fail, or the transaction; the words are ours.
      server.plan.expect(PARSE, FORWARD, new RefusedState(refusal))
      this.#send(true, FAILING_NAMED_PARSE, 0)
      return refusal
    }
    const entry = this.#names.hold(settings, body, facts)
    this.#names.change(name, entry, this.#pending.batch)
    const ref = new ChangedName(this.#names, name)
    if (server.statements.use(entry)?.ready && now() - entry.checkedAt < FRESH_MS && !mayRefuse(server)) {
      this.#names.stand(name, 'assumed')
      this.#send(true, undefined, 0)
      server.expectFake(PARSE, ref)
      return undefined
    }
    this.#names.stand(name, 'proven')
    this.#slots.parse(server, entry, name, ref)
    this.#send(true, this.#slots.injected, 0)
    return undefined
  }

  /** Why a new name for `body` is refused; undefined where it is not. */
  #refusal(settings: ParseSettings, body: Buffer): ErrorFields | undefined {
    const { maxClientPreparedStatements: names, maxPreparedStatementMemory: memory } = this.#limits()
    if (names > 0 && this.#names.bound >= names) {
      return errorFields('too_many_prepared_statements', { args: { limit: String(names) } })
    }
    const verdict = memory > 0 ? this.#names.judge(settings, body, memory) : 'fits'
    if (verdict === 'fits') return undefined
    const name = verdict === 'all' ? 'prepared_statement_memory' : 'prepared_statement_share'
    return errorFields(name, { args: { limit: String(memory) } })
  }

  /** A Bind; `bytes` are its head. Returns the statement it runs; false where it names the unnamed one. */
  onBind(server: ServerConnection, bytes: Buffer): StatementEntry | boolean {
    const portalEnd = bytes.indexOf(0, 5)
    const nameEnd = portalEnd < 0 ? -1 : bytes.indexOf(0, portalEnd + 1)
    if (nameEnd <= portalEnd + 1) return false
    const key = statementName(bytes, portalEnd + 1, nameEnd)
    const name = key.length === nameEnd - portalEnd - 1 ? key : bytes.toString('latin1', portalEnd + 1, nameEnd)
    const entry = this.#names.get(key)
    if (entry === undefined) {
      if (!name.startsWith(STATEMENT_PREFIX)) return this.#unknown(server, BIND)
      const nobodys = new StandIn(name, this.#pending.batch)
      server.plan.expect(BIND, FORWARD, nobodys)
      this.#send(false, renamed(bytes, portalEnd + 1, nameEnd, nobodys), nameEnd + 1)
      return true
    }
    if (this.#slots.tookDiffering(entry)) {
      server.plan.expect(BIND, FORWARD, new ChangedResult(entry))
      this.#send(true, FAILING_NAMED_PARSE, 0)
      return true
    }
    this.#lastEntry = entry
    this.#lastName = name
    const own = this.#speak(server, entry)
    const slot = this.#slots.ensure(server, entry, key, true)
    const { injected } = this.#slots
    const before = injected === undefined ? own : concat(own, injected)
    if (slot === undefined) {
      this.#send(false, before, 0)
      this.#rewrite.held = true
      return true
    }
    server.plan.expect(BIND, FORWARD, this.#useOf(slot, key))
    // The parameters follow from the client's own bytes.
    const head = renamed(bytes, portalEnd + 1, nameEnd, slot)
    this.#send(false, concat(before, head), nameEnd + 1)
    return entry
  }

  /** What must be sent before the text of `entry` is prepared or bound, because it names other statements. */
  #speak(server: ServerConnection, { facts }: StatementEntry): Buffer | undefined {
    return (facts.effects & SPEAKS) === 0 ? undefined : this.#spoken.beforeBind(server, facts, this.#pending.batch)
  }

  /** What a message is known by that uses `slot` under the client's `name`. */
  #useOf(slot: Slot, name: string): PlanRef {
    return this.#names.standing(name) === 'assumed' ? new FirstUse(slot, this.#names, name) : slot
  }

  /** A Describe of a named statement. False where it names none of ours. */
  onDescribe(server: ServerConnection, bytes: Buffer): boolean {
    if (bytes[5] !== STATEMENT || bytes[6] === 0) return false
    const entry = this.#named(bytes)
    const nobodys = entry === undefined && isOurs(bytes)
    if (entry === undefined && !nobodys) return this.#unknown(server, DESCRIBE)
    if (entry === undefined) {
      const nobodys = new StandIn(bytes.toString('latin1', 6, bytes.length - 1), this.#pending.batch)
      server.plan.expect(DESCRIBE, FORWARD, nobodys)
      this.#send(true, describeMessage(nobodys), 0)
      return true
    }
    const name = statementName(bytes, 6, bytes.length - 1)
    const parses = entry.local && !server.statements.has(entry)
    const own = parses ? this.#speak(server, entry) : undefined
    const slot = this.#slots.ensure(server, entry, name, false)!
    server.plan.expect(DESCRIBE, FORWARD, this.#useOf(slot, name))
    this.#send(true, concat(own, concat(this.#slots.injected, describeMessage(slot))), 0)
    return true
  }

  /** A Close of a named statement: the name goes, the shared statement stays. False where it names none of ours. */
  onClose(server: ServerConnection, bytes: Buffer): boolean {
    if (this.#named(bytes) === undefined && !isOurs(bytes)) return false
    const name = statementName(bytes, 6, bytes.length - 1)
    // Where it is there under this very name, for SQL to find, that goes, too.
    const there = server.content.names.closingOwn(name)
    this.#send(!there, undefined, 0)
    this.#names.change(name, undefined, this.#pending.batch)
    const ref = new ChangedName(this.#names, name)
    if (there) server.plan.expect(CLOSE, FORWARD, ref)
    else server.expectFake(CLOSE, ref)
    return true
  }

  /**
   * A Parse with a name and a text that is too long to be kept, on a server its client is kept on; `bytes` is its head.
   * Where the client has the name already, PostgreSQL shall refuse it.
   * @param stays the client keeps the server until it leaves
   */
  onLongParse(server: ServerConnection, bytes: Buffer, stays: boolean): void {
    const nameEnd = bytes.indexOf(0, 5)
    const name = statementName(bytes, 5, nameEnd)
    const entry = this.#names.get(name)
    if (entry !== undefined || name.startsWith(STATEMENT_PREFIX)) {
      const taken = new StandIn(bytes.toString('latin1', 5, nameEnd), this.#pending.batch)
      this.#take(server, taken)
      const first = message(FRONTEND.Parse, Buffer.concat([taken.name, entry?.body ?? EMPTY_STATEMENT]))
      this.#send(false, Buffer.concat([first, renamed(bytes, 5, nameEnd, taken)]), nameEnd + 1)
      return
    }
    if (stays) {
      this.#there ??= new Set()
      this.#there.add(name)
    }
    // What was lent under its name would be in the way.
    server.content.names.retireLent()
    const closes = this.#slots.closeRetired(server)
    server.plan.expect(PARSE)
    this.#send(false, joined(closes), 0)
  }

  /** PostgreSQL shall say that there is no such statement: nothing under a name of its client's may be left there. */
  #unknown(server: ServerConnection, kind: number): boolean {
    server.content.names.retireLent()
    const closes = this.#slots.closeRetired(server)
    server.plan.expect(kind)
    this.#send(false, joined(closes), 0)
    return true
  }

  #named(bytes: Buffer): StatementEntry | undefined {
    if (bytes[5] !== STATEMENT) return undefined
    return this.#names.get(statementName(bytes, 6, bytes.length - 1))
  }

  #send(omit: boolean, prefix: Buffer | undefined, skip: number): void {
    this.#rewrite.omit = omit
    this.#rewrite.prefix = prefix
    this.#rewrite.skip = skip
  }

  /** `body` of an error of `ref` without the name a statement has on the server, which the client knows by another. */
  inOwnWords(body: Buffer, ref: PlanRef): Buffer | undefined {
    const slot = ref instanceof FirstUse ? ref.slot : ref
    if (!(slot instanceof Slot) || !body.includes(STATEMENT_PREFIX)) return undefined
    const { entry, name } = slot
    const named = entry.twinOf ?? entry
    const last = named === this.#lastEntry ? this.#lastName : undefined
    const own = slot instanceof StandIn ? slot.own : (last ?? this.#names.nameOf(named))
    const text = body.toString('latin1').replaceAll(name.toString('latin1', 0, name.length - 1), () => own)
    return message(BACKEND.ErrorResponse, Buffer.from(text, 'latin1'))
  }

  /** Let PostgreSQL say that the name exists: prepare the same twice, under a name that is nobody's. */
  #provokeDuplicate(server: ServerConnection, bytes: Buffer, nameEnd: number): void {
    const taken = new StandIn(bytes.toString('latin1', 5, nameEnd), this.#pending.batch)
    this.#take(server, taken)
    const parse = message(FRONTEND.Parse, Buffer.concat([taken.name, bytes.subarray(nameEnd + 1)]))
    this.#send(true, Buffer.concat([parse, parse]), 0)
  }

  /** Two Parse messages under the name of `taken` are sent next, of which the second fails. */
  #take(server: ServerConnection, taken: StandIn): void {
    server.plan.expect(PARSE, SKIP, taken)
    server.plan.expect(PARSE, FORWARD, taken)
    server.statements.retire(taken.name)
  }
}

/**
 * In a transaction that failed PostgreSQL prepares nothing, so it must be asked; and so it must where the transaction may
 * have failed by the time it gets there.
 */
function mayRefuse(server: ServerConnection): boolean {
  return server.txStatus === TX_FAILED || server.plan.readies > 0
}

/**
 * So long a statement is taken for what it was when PostgreSQL parsed it last: a table may be changed past pgbun, and who
 * prepares a text is to be told what it means now. Then one Parse is sent, although the server has the statement.
 */
const FRESH_MS = 200

/** A Parse behind its name: no text, no parameter types. */
const EMPTY_STATEMENT = Buffer.alloc(3)

/** The head of `bytes`, whose statement name is from `start` to `end`, with the name of `slot`. */
function renamed(bytes: Buffer, start: number, end: number, slot: Slot): Buffer {
  const head = Buffer.allocUnsafe(start + slot.name.length)
  bytes.copy(head, 0, 0, start)
  head.writeUInt32BE(bytes.readUInt32BE(1) + slot.name.length - (end + 1 - start), 1)
  slot.name.copy(head, start)
  return head
}

/** True for a Describe or Close of a statement by a name of pgbun's own: to clients there is no such statement. */
function isOurs(bytes: Buffer): boolean {
  return bytes[5] === STATEMENT && bytes.toString('latin1', 6, 6 + STATEMENT_PREFIX.length) === STATEMENT_PREFIX
}
