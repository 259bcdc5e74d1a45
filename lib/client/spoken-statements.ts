/**
 * SQL that speaks of a client's named statements (DEALLOCATE, EXECUTE, PREPARE): on the server they have other names,
 * or are not there. A DEALLOCATE on its own, which drivers send for every statement they are done with (PDO, psycopg,
 * Active Record), is answered here. Before any other text the statements it names are prepared under the client's own
 * names, so that PostgreSQL does what it would do; what is left of them is closed before anybody else gets the server.
 *
 * What follows an Execute that deallocates waits for its end, as it does behind such a Query (upstream.ts): what a name
 * stands for then depends on it. For this, portals that deallocate are known by their names.
 */

import { type Batch, LAST } from '../protocol/batch.ts'
import { commandComplete, message, readyForQuery, SYNC as SYNC_MESSAGE } from '../protocol/build.ts'
import { FRONTEND, TX_FAILED, TX_IDLE } from '../protocol/types.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { PlanRef } from '../server/ports.ts'
import type { ClientStatements } from '../session/client-statements.ts'
import { CLOSE, EXECUTE, FORWARD, PARSE, SKIP, SYNC } from '../session/reply-kinds.ts'
import { EXECUTES, PREPARED } from '../session/state-effects.ts'
import { lastDeallocation, soleDeallocated, spokenNames } from '../session/statement-names.ts'
import { deallocates, STATEMENT, sqlOf } from './message-kinds.ts'
import type { SharedRef } from './unnamed-statement.ts'

/** Effects (session/state-effects) of texts that name prepared statements. */
export const SPEAKS = PREPARED | EXECUTES

/** The answer to a DEALLOCATE. */
export function deallocateAnswer(status: number): Buffer {
  return Buffer.concat([DEALLOCATED, readyForQuery(status)])
}

const DEALLOCATED = commandComplete('DEALLOCATE')

/** What SQL does to the named statements of one client. */
export class SpokenStatements {
  readonly #names: ClientStatements
  /** Names whose DEALLOCATE is under way, in the order of their command tags. */
  #deallocating: string[] = []
  /** Statements prepared under their own names for portals, which may be run any time before the transaction ends. */
  #lent: Buffer[] = []
  /** Portals that deallocate and have not been run, with the statement's name; undefined for all statements. */
  readonly #portals = new Map<string, string | undefined>()

  constructor(names: ClientStatements) {
    this.#names = names
  }

  /** Deallocate what `sql` deallocates if it does nothing else and the client has it; false otherwise. */
  deallocate(sql: string): boolean {
    const name = soleDeallocated(sql)
    if (name === undefined || this.#names.get(name) === undefined) return false
    this.#names.remove(name)
    return true
  }

  /** Message `i`, a Query, is a DEALLOCATE that needs no server; in a transaction that failed PostgreSQL refuses it. */
  deallocatesHere({ plan, txStatus }: ServerConnection, batch: Batch, i: number): boolean {
    const body = batch.bodyOf(i)
    if (!deallocates(body) || (batch.flags(i) & LAST) === 0) return false
    if (plan.needsSync || plan.copyIn || (plan.settled && txStatus === TX_FAILED)) return false
    const name = soleDeallocated(sqlOf(body))
    return name !== undefined && this.#names.get(name) !== undefined
  }

  /** False while what a name in `sql` stands for depends on the answer to another batch than `batch`. */
  certain(sql: string, batch: number): boolean {
    return spokenNames(sql).every(({ name }) => this.#names.certain(name, batch))
  }

  /** True where `server` has to be sent something before `sql`. */
  lends(server: ServerConnection, sql: string): boolean {
    return spokenNames(sql).some(({ name }) => this.#names.get(name) !== undefined && !server.namesThere.has(name))
  }

  /** `sql` is sent next, as a Query; returns what must be sent before it. */
  onQuery(server: ServerConnection, sql: string): Buffer | undefined {
    for (const { name, does } of spokenNames(sql)) if (does === 'deallocate') this.#deallocating.push(name)
    // An error of ours must not keep the server from seeing it.
    const synced = !server.plan.needsSync
    const parts = this.#lend(server, sql, synced)
    this.retireLent(server)
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

  /** A portal is bound to `sql` next; returns what must be sent before it. */
  beforeBind(server: ServerConnection, sql: string): Buffer | undefined {
    const parts = this.#lend(server, sql, false)
    return parts.length === 0 ? undefined : Buffer.concat(parts)
  }

  /** Prepare the statements `sql` names under their own names. */
  #lend(server: ServerConnection, sql: string, silent: boolean): Buffer[] {
    const parts: Buffer[] = []
    for (const { name } of spokenNames(sql)) {
      const entry = this.#names.get(name)
      if (entry === undefined || server.namesThere.has(name)) continue
      const terminated = Buffer.from(`${name}\0`, 'latin1')
      if (server.namesLeft.has(name)) {
        // Nobody knows whether it is there still, and nothing is lost by closing what is not.
        server.plan.expect(CLOSE, SKIP)
        parts.push(message(FRONTEND.Close, Buffer.concat([Buffer.from([STATEMENT]), terminated])))
      }
      server.namesLeft.add(name)
      server.namesThere.add(name)
      server.plan.expect(PARSE, SKIP, new LentName(server, name, silent))
      this.#lent.push(terminated)
      parts.push(message(FRONTEND.Parse, Buffer.concat([terminated, entry.body])))
    }
    return parts
  }

  /** What was lent is not needed any more: it is closed when something is sent next that makes room. */
  retireLent(server: ServerConnection): void {
    for (const name of this.#lent) server.statements.retire(name)
    this.#lent = []
  }

  /** A portal is bound to `text`, '' where that leaves nothing behind; `body` is that of the Bind. */
  onBind(body: Buffer, text: string): void {
    if (text !== '' && deallocates(Buffer.from(text, 'latin1'))) {
      if (this.#portals.size < PORTAL_LIMIT) this.#portals.set(portalOf(body), soleDeallocated(text))
    } else if (this.bound) this.#portals.delete(portalOf(body))
  }

  /** An Execute is sent; returns true where it deallocates. `over` is called at its end, before that is handed over. */
  onExecute(server: ServerConnection, body: Buffer, over: () => void): boolean {
    const portal = portalOf(body)
    const name = this.#portals.get(portal)
    // It runs once.
    const deallocating = this.#portals.delete(portal)
    const answered = (): void => {
      this.#deallocating = name === undefined ? [] : [name]
      over()
    }
    server.plan.expect(EXECUTE, FORWARD, deallocating ? { answered, dropped: over } : undefined)
    return deallocating
  }

  /** What a Query is to be known by where its last statement deallocates: see LastStatement. */
  lastOf(server: ServerConnection, sql: string): LastStatement | undefined {
    const last = lastDeallocation(sql)
    if (last === undefined) return undefined
    return new LastStatement(last.before, () => {
      if (last.name === undefined) {
        server.deallocatedAll()
        this.#names.clear()
      } else this.#forget(server, last.name)
    })
  }

  /** The server did one DEALLOCATE. */
  onDeallocated(server: ServerConnection): void {
    const name = this.#deallocating.shift()
    if (name !== undefined) this.#forget(server, name)
  }

  #forget(server: ServerConnection, name: string): void {
    server.namesLeft.delete(name)
    server.namesThere.delete(name)
    this.#names.remove(name)
  }

  /** All is answered: what has not been deallocated will not be. Portals end with a transaction. */
  settled(server: ServerConnection): void {
    if (this.#deallocating.length > 0) this.#deallocating = []
    if (server.txStatus !== TX_IDLE) return
    if (this.bound) this.#portals.clear()
    if (this.#lent.length > 0) this.retireLent(server)
  }
}

/** More portals than this that deallocate and were not run in one transaction are not known. */
const PORTAL_LIMIT = 1000

/** The portal's name in the body of a Bind or Execute. */
function portalOf(body: Buffer): string {
  return body.toString('latin1', 0, body.indexOf(0))
}

/**
 * A Query of several statements of which the last deallocates. PostgreSQL commits before it says that the last statement
 * is done: where that fails (a deferred constraint), an error comes in place of its tag, and the statement is gone.
 */
export class LastStatement implements SharedRef {
  other: PlanRef | undefined
  readonly #deallocated: () => void
  /** Statements before it that have not been completed. */
  #before: number

  constructor(before: number, deallocated: () => void) {
    this.#before = before
    this.#deallocated = deallocated
  }

  completed(): void {
    this.#before--
  }

  /** The Query failed. */
  onRefused(): void {
    if (this.#before === 0) this.#deallocated()
  }

  answered(): void {
    this.other?.answered()
  }

  dropped(failed: boolean): void {
    this.other?.dropped(failed)
  }
}

/** A statement of the client's prepared under its own name: not there if that failed or was discarded. */
class LentName implements PlanRef {
  /** The text that needs it fails by itself. */
  readonly silent: boolean
  readonly #server: ServerConnection
  readonly #name: string

  constructor(server: ServerConnection, name: string, silent: boolean) {
    this.#server = server
    this.#name = name
    this.silent = silent
  }

  answered(): void {}

  dropped(): void {
    this.#server.namesThere.delete(this.#name)
  }
}
