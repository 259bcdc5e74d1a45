/**
 * Statements that one server has under the very names their client gave them: SQL that speaks of them finds them there,
 * and so would whoever gets the server next. Everything else on it is under a name of pgbun's own
 * (server-statements.ts). Pure.
 *
 * Holds: a name that may be there stands here until the server has confirmed that it is gone, so that the server is reset
 * before another client gets it.
 */

import type { ServerStatements } from './server-statements.ts'
import type { StatementEntry } from './shared-statements.ts'

/** The clients' names on one server. */
export class LentNames {
  readonly #statements: ServerStatements
  /** What may be there; with its statement where that is there for certain, as of what was sent last. */
  readonly #names = new Map<string, StatementEntry | undefined>()
  /** Something is there under a name that nobody has kept. */
  #nameless = false
  /** Names lent for portals, which may be run any time before the transaction ends. */
  #lent: string[] = []

  constructor(statements: ServerStatements) {
    this.#statements = statements
  }

  /** Nothing is there, nor may be. */
  get none(): boolean {
    return this.#names.size === 0 && !this.#nameless
  }

  /** Something may be there under `name`. */
  mayHave(name: string): boolean {
    return this.#names.has(name)
  }

  /** `entry` is there under `name` for certain. */
  has(name: string, entry: StatementEntry): boolean {
    return this.#names.get(name) === entry
  }

  /** A Parse of `entry` under `name` is sent next. */
  lend(name: string, entry: StatementEntry): void {
    this.#names.set(name, entry)
  }

  /** What is there under `name` is to stay until `retireLent`. */
  keep(name: string): void {
    this.#lent.push(name)
  }

  /** Names are to stay until `retireLent`. */
  get keeps(): boolean {
    return this.#lent.length > 0
  }

  /** What was to stay is not needed any more: it is closed when something is sent next that makes room. */
  retireLent(): void {
    for (const name of this.#lent) if (this.#names.has(name)) this.leave(name)
    this.#lent = []
  }

  /** What is called `name` is closed when something is sent next that makes room. */
  leave(name: string): void {
    if (!this.#names.has(name)) this.#names.set(name, undefined)
    this.#statements.retire(terminated(name))
  }

  /** A statement is prepared under a name that nobody keeps: only DISCARD ALL takes it away. */
  leaveNameless(): void {
    this.#nameless = true
  }

  /** A Close of the retired `name` is sent next; returns true where that is one of a client's. */
  closing(name: string): boolean {
    return this.#names.delete(name)
  }

  /** A Close of `name` of the client's own is sent next, if that is there for certain; returns whether it is. */
  closingOwn(name: string): boolean {
    if (this.#names.get(name) === undefined) return false
    this.#names.set(name, undefined)
    return true
  }

  /** Whether `name` is there still is not known. */
  doubt(name: string): void {
    if (this.#names.has(name)) this.#names.set(name, undefined)
  }

  /** Code was run that may have deallocated any. */
  doubtAll(): void {
    for (const name of this.#names.keys()) this.#names.set(name, undefined)
  }

  /** Nothing of pgbun's is called `name`, nor need it be closed. */
  forget(name: string): void {
    this.#names.delete(name)
    this.#statements.unretire(terminated(name))
  }

  /**
   * The server has deallocated all it had.
   * @param parsing more is being prepared behind that, and is there all the same
   */
  deallocated(parsing: boolean): void {
    if (parsing) {
      this.doubtAll()
      return
    }
    this.#names.clear()
    this.#nameless = false
    this.#lent = []
  }
}

/** `name` as it stands in a message. */
function terminated(name: string): Buffer {
  return Buffer.from(`${name}\0`, 'latin1')
}
