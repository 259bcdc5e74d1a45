/**
 * SQL that speaks of a client's named statements (DEALLOCATE, EXECUTE, PREPARE): on the server they have other names,
 * or are not there. A DEALLOCATE on its own, which drivers send for every statement they are done with (PDO, psycopg,
 * Active Record), is answered here. Before any other text the statements it names are prepared under the client's own
 * names, and what stands under these for anything else is closed, so that PostgreSQL does what it would do; what is left
 * of them is closed before anybody else gets the server. The other way round, a Parse finds what SQL has prepared.
 *
 * What follows an Execute that deallocates waits for its end, as it does behind such a Query (upstream.ts): what a name
 * stands for then depends on it. For this, portals that deallocate are known by their names.
 */

import { type Batch, LAST } from '../../protocol/batch.ts'
import { commandComplete, message, readyForQuery, SYNC as SYNC_MESSAGE } from '../../protocol/build.ts'
import { FRONTEND, TX_FAILED, TX_IDLE } from '../../protocol/types.ts'
import { CLOSE, EXECUTE, FORWARD, PARSE, SKIP, SYNC } from '../../replies/reply-kinds.ts'
import type { ServerConnection } from '../../server/connection.ts'
import type { PlanRef } from '../../server/ports.ts'
import { factsOf, type SqlFacts } from '../../sql/facts.ts'
import { EXECUTES, PREPARED } from '../../sql/state-effects.ts'
import type { SpokenName } from '../../sql/statement-names.ts'
import { type ClientStatements, statementName } from '../../statements/client-statements.ts'
import { typedBody } from '../../statements/description.ts'
import { DeallocatingQuery } from './deallocating-query.ts'
import { deallocates, queryText, STATEMENT } from './message-kinds.ts'

/** Effects (sql/state-effects) of texts that name prepared statements. */
export const SPEAKS = PREPARED | EXECUTES

/** The answer to a DEALLOCATE. */
export function deallocateAnswer(status: number): Buffer {
  return Buffer.concat([DEALLOCATED, readyForQuery(status)])
}

const DEALLOCATED = commandComplete('DEALLOCATE')

/** What SQL does to the named statements of one client. */
export class SqlStatements {
  readonly #names: ClientStatements
  /** What the Execute that is answered deallocates; undefined for all, or where that is not known. */
  #executed: string | undefined
  /** Messages under way that lend, and the batch they are of: if it fails, nothing is lent. */
  #lending = 0
  #lendingBatch = 0
  /** Portals that deallocate and have not been run, with what their texts say. */
  readonly #portals = new Map<string, SqlFacts>()

  constructor(names: ClientStatements) {
    this.#names = names
  }

  /** Message `i` is sent to nobody: if it deallocates what the client has and nothing else, it is done; false otherwise. */
  deallocate(batch: Batch, i: number): boolean {
    if (batch.type(i) !== FRONTEND.Query || (batch.flags(i) & LAST) === 0 || !deallocates(batch.bodyOf(i))) return false
    const name = factsOf(queryText(batch, i)).statements.sole
    if (name === undefined || this.#names.get(name) === undefined) return false
    this.#names.remove(name)
    return true
  }

  /** Message `i`, a Query, is a DEALLOCATE that needs no server; in a transaction that failed PostgreSQL refuses it. */
  deallocatesHere({ plan, txStatus }: ServerConnection, batch: Batch, i: number): boolean {
    const body = batch.bodyOf(i)
    if (!deallocates(body) || (batch.flags(i) & LAST) === 0) return false
    if (plan.needsSync || plan.copyIn || (plan.settled && txStatus === TX_FAILED)) return false
    const name = factsOf(queryText(batch, i)).statements.sole
    return name !== undefined && this.#names.get(name) !== undefined
  }

  /**
   * False while what one of the names in a text stands for, or what the server has under it, depends on the answer to
   * another batch than `batch`.
   */
  certain(server: ServerConnection, names: readonly SpokenName[], batch: number): boolean {
    if (names.length === 0) return true
    if (this.#lending > 0 && this.#lendingBatch !== batch) return false
    return server.statements.closed(batch) && names.every(({ name }) => this.#names.certain(name, batch))
  }

  /** True where `server` has to be sent something before a text with these names. */
  lends(server: ServerConnection, names: readonly SpokenName[]): boolean {
    return names.some(({ name }) => this.#differs(server, name))
  }

  /** A Query is sent next; returns what must be sent before it. */
  onQuery(server: ServerConnection, { statements }: SqlFacts, batch: number): Buffer | undefined {
    // An error of ours must not keep the server from seeing it.
    const synced = !server.plan.needsSync
    const parts = this.#lend(server, statements.names, synced, batch)
    server.content.names.retireLent()
    if (parts.length === 0) return undefined
    if (synced) {
      server.plan.expect(SYNC, SKIP)
      parts.push(SYNC_MESSAGE)
    }
    return Buffer.concat(parts)
  }

  /** There are portals that deallocate. */
  get bound(): boolean {
    return this.#portals.size > 0
  }

  /** A portal is bound to a text next, or what that executes described; returns what must be sent before it. */
  beforeBind(server: ServerConnection, { statements }: SqlFacts, batch: number): Buffer | undefined {
    const parts = this.#lend(server, statements.names, false, batch)
    return parts.length === 0 ? undefined : Buffer.concat(parts)
  }

  /** Under `name` the server has, or may have, another statement than the client. */
  #differs(server: ServerConnection, name: string): boolean {
    const entry = this.#names.get(name)
    const { names } = server.content
    return entry === undefined ? names.mayHave(name) : !names.has(name, entry)
  }

  /** Have the server's statements of these names be the client's. */
  #lend(server: ServerConnection, spoken: readonly SpokenName[], silent: boolean, batch: number): Buffer[] {
    const parts: Buffer[] = []
    const { names } = server.content
    // PostgreSQL prepares nothing, nor will it run the text; and the error would take a Query along that is in a batch.
    const refused = server.txStatus === TX_FAILED && server.plan.readies === 0
    for (const { name, does } of spoken) {
      if (does === 'prepare') server.content.ranPrepare()
      const entry = this.#names.get(name)
      if (entry === undefined && !names.mayHave(name)) continue
      const terminated = Buffer.from(`${name}\0`, 'latin1')
      if (this.#differs(server, name)) {
        // Nobody knows whether it is there still, and nothing is lost by closing what is not.
        const before = names.mayHave(name) ? new ClosedName(server, name, this.#sent(batch)) : undefined
        if (before !== undefined) parts.push(close(server, before, terminated))
        if (entry === undefined || refused) continue
        names.lend(name, entry)
        server.plan.expect(PARSE, SKIP, new LentName(server, name, silent, before, this.#sent(batch)))
        const body = entry.description === undefined ? entry.body : typedBody(entry.body, entry.description)
        parts.push(message(FRONTEND.Parse, Buffer.concat([terminated, body])))
      } else server.statements.unretire(terminated)
      names.keep(name)
    }
    return parts
  }

  /** A message that has the server's statement be the client's is sent in `batch`; call what is returned at its end. */
  #sent(batch: number): () => void {
    this.#lending++
    this.#lendingBatch = batch
    return this.#answered
  }

  readonly #answered = (): void => {
    this.#lending--
  }

  /**
   * A Parse of a name the client does not have is sent next, as `bytes`; returns what must be sent before it. Where SQL
   * has prepared one of that name, PostgreSQL refuses the Parse: it is given it under that very name, too.
   */
  beforeParse(server: ServerConnection, bytes: Buffer, batch: number): Buffer | undefined {
    if (!server.content.sqlPrepared) return undefined
    const end = bytes.indexOf(0, 5)
    // As much of it as counts: a Close must not be as long as a Parse may be.
    const name = statementName(bytes, 5, end)
    if (this.#names.get(name) !== undefined) return undefined
    const terminated = Buffer.from(`${name}\0`, 'latin1')
    const left = server.content.names.mayHave(name)
    const before = left ? close(server, new ClosedName(server, name, this.#sent(batch)), terminated) : EMPTY
    let there = false
    const answered = (): void => {
      there = true
    }
    const dropped = (): void => {
      // Had SQL prepared it, the Parse would have failed.
      if (there) server.content.names.leave(name)
    }
    server.plan.expect(PARSE, SKIP, { answered, dropped() {} })
    server.plan.expect(CLOSE, SKIP, { answered() {}, dropped })
    return Buffer.concat([before, bytes, closeMessage(terminated)])
  }

  /** A portal is bound to a text; `body` is that of the Bind. */
  onBind(body: Buffer, facts: SqlFacts): void {
    if (facts.statements.deallocates) {
      if (this.#portals.size < PORTAL_LIMIT) this.#portals.set(portalOf(body), facts)
    } else if (this.bound) this.#portals.delete(portalOf(body))
  }

  /** An Execute is sent; returns true where it deallocates. `over` is called at its end, before that is handed over. */
  onExecute(server: ServerConnection, body: Buffer, over: () => void): boolean {
    const portal = portalOf(body)
    const facts = this.#portals.get(portal)
    if (facts === undefined) {
      server.plan.expect(EXECUTE)
      return false
    }
    // It runs once.
    this.#portals.delete(portal)
    const { names, hidden } = facts.statements
    const answered = (): void => {
      this.#executed = names.find(({ does }) => does === 'deallocate')?.name
      if (hidden) server.content.deallocatedUnseen()
      over()
    }
    const dropped = (failed: boolean): void => {
      // What code has deallocated before it failed is gone all the same.
      if (failed && hidden) server.content.deallocatedUnseen()
      over()
    }
    server.plan.expect(EXECUTE, FORWARD, { answered, dropped })
    return true
  }

  /** What a Query that deallocates is to be known by. */
  refOf(server: ServerConnection, { statements }: SqlFacts): DeallocatingQuery {
    const names = statements.names.filter(({ does }) => does === 'deallocate').map(({ name }) => name)
    return new DeallocatingQuery(names, statements.last, {
      one: (name) => this.#forget(server, name),
      all: () => {
        server.content.deallocatedAll(server.plan.parsing)
        this.#names.clear()
      },
      unseen: statements.hidden ? () => server.content.deallocatedUnseen() : undefined,
    })
  }

  /** The server did one DEALLOCATE. */
  onDeallocated(server: ServerConnection): void {
    const { ref } = server.plan
    const name = ref instanceof DeallocatingQuery ? ref.next() : this.#executed
    this.#executed = undefined
    // In a text too long to be looked at.
    if (name === undefined) server.content.deallocatedUnseen()
    else this.#forget(server, name)
  }

  #forget(server: ServerConnection, name: string): void {
    server.content.names.forget(name)
    server.statements.deallocated(name)
    this.#names.remove(name)
  }

  /** All is answered. Portals end with a transaction. */
  settled(server: ServerConnection): void {
    if (server.txStatus !== TX_IDLE) return
    if (this.bound) this.#portals.clear()
    if (server.content.names.keeps) server.content.names.retireLent()
  }
}

/** More portals than this that deallocate and were not run in one transaction are not known. */
const PORTAL_LIMIT = 1000

/** The portal's name in the body of a Bind or Execute, as far as it tells portals apart. */
function portalOf(body: Buffer): string {
  return statementName(body, 0, body.indexOf(0))
}

const EMPTY = Buffer.alloc(0)

function closeMessage(terminated: Buffer): Buffer {
  return message(FRONTEND.Close, Buffer.concat([Buffer.from([STATEMENT]), terminated]))
}

/** Close what the client of `closed` knows by that name, and nobody else. */
function close(server: ServerConnection, closed: ClosedName, terminated: Buffer): Buffer {
  server.content.names.forget(closed.name)
  server.plan.expect(CLOSE, SKIP, closed)
  return closeMessage(terminated)
}

/** A Close of a name of the client's: where it was discarded, that may be there still. */
class ClosedName implements PlanRef {
  readonly name: string
  discarded = false
  readonly #server: ServerConnection
  readonly #over: () => void

  constructor(server: ServerConnection, name: string, over: () => void) {
    this.#server = server
    this.name = name
    this.#over = over
  }

  answered(): void {
    this.#over()
  }

  dropped(): void {
    this.#over()
    this.discarded = true
    this.#server.content.names.leave(this.name)
  }
}

/** A statement of the client's prepared under its own name: not there if that failed or was discarded. */
class LentName implements PlanRef {
  /** The text that needs it fails by itself. */
  readonly silent: boolean
  readonly #server: ServerConnection
  readonly #name: string
  /** What was sent to make room for it. */
  readonly #before: ClosedName | undefined
  readonly #over: () => void

  constructor(
    server: ServerConnection,
    name: string,
    silent: boolean,
    before: ClosedName | undefined,
    over: () => void,
  ) {
    this.#server = server
    this.#name = name
    this.silent = silent
    this.#before = before
    this.#over = over
  }

  answered(): void {
    this.#over()
  }

  dropped(): void {
    this.#over()
    // If there is one now, SQL has prepared it, and it must stay.
    const { names } = this.#server.content
    if (this.#before?.discarded) names.doubt(this.#name)
    else names.forget(this.#name)
  }
}
