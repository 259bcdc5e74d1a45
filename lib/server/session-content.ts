/**
 * What the session of one server connection holds at the moment: of whom, and whether another client may find it. The
 * connection, its pool and the client that has it say what happened; the pool decides by it what must be done before
 * another client gets the server (pool/cleanup.ts).
 *
 * Holds: on doubt something is there.
 */

import { LentNames } from '../statements/lent-names.ts'
import type { ServerStatements } from '../statements/server-statements.ts'
import {
  CHANGES_DEFAULTS,
  CHANGES_LOGINS,
  DISCARDS,
  LOADS,
  MAKES,
  MAKES_CODE,
  PREPARES,
  REPLACES_ROLES,
} from './command-tags.ts'
import type { RoleChange } from './ports.ts'

/** Nobody's number: no client has it. */
const NOBODY = 0
/** In the place of a number: several clients. */
const SEVERAL = -1

/** The content of one session. */
export class SessionContent {
  /** The clients' own names of statements that are there. */
  readonly names: LentNames
  readonly #statements: ServerStatements
  #dirty = false
  #loaded = false
  #sqlPrepared = false
  #lastUser = NOBODY
  #sequenceOwner = NOBODY
  #unnamedOwner: object | undefined
  #functionsChanged = false
  #defaultsChanged = false
  #rolesChanged: RoleChange | undefined
  #roleDoubted = false
  #orderDoubted = false
  #functionsAsked = false
  #functionsStamp = 0
  #defaultsStamp = 0

  constructor(statements: ServerStatements) {
    this.#statements = statements
    this.names = new LentNames(statements)
  }

  // ---- whose it is ----

  /** The client that used the server last may have it back without a reset; 0 for nobody. */
  get lastUser(): number {
    return this.#lastUser
  }

  /** Client `id` gets the server: values it draws from sequences from now on are its own. */
  usedBy(id: number): void {
    this.#lastUser = id
    const owner = this.#sequenceOwner
    this.#sequenceOwner = owner === NOBODY || owner === id ? id : SEVERAL
  }

  /** Not even the client that used the server last gets it before it is reset. */
  disown(): void {
    this.#lastUser = NOBODY
  }

  // ---- state nobody keeps track of ----

  /** There may be session state of which nobody keeps track: the server is reset before another client gets it. */
  get dirty(): boolean {
    return this.#dirty
  }

  /** There is something that another client must not find. */
  get needsReset(): boolean {
    return this.#dirty || !this.names.none
  }

  /** A client may have left state that nobody keeps track of. */
  leftState(): void {
    this.#dirty = true
  }

  /** Code was run that may have done anything. */
  ranCode(): void {
    this.#dirty = true
    this.#sqlPrepared = true
  }

  /** A library was loaded: it stays in the process, and no reset takes it away. */
  get loaded(): boolean {
    return this.#loaded
  }

  /** LOAD was run. */
  ranLoad(): void {
    this.#loaded = true
  }

  /** There is no reset query: the operator vouches for what a session leaves behind. */
  vouchedFor(): void {
    this.#dirty = false
  }

  /** The session was reset; `wholly` where that was by a text of pgbun's own. */
  wasReset(wholly: boolean): void {
    this.#dirty = false
    this.#lastUser = NOBODY
    if (wholly) this.#sequenceOwner = NOBODY
  }

  // ---- what the server says ----

  /**
   * A command tag says `said` (command-tags.ts).
   * @param suspected a statement has named a function that may change the session unseen: what is made may be code
   */
  noteTag(said: number, suspected: boolean): void {
    if ((said & PREPARES) !== 0) this.#sqlPrepared = true
    if ((said & LOADS) !== 0) this.#loaded = true
    if ((said & DISCARDS) !== 0) this.#dirty = false
    if ((said & MAKES_CODE) !== 0 || (suspected && (said & MAKES) !== 0)) this.#functionsChanged = true
    if ((said & CHANGES_DEFAULTS) !== 0) this.#defaultsChanged = true
    // That roles may be others under the same names counts most.
    if ((said & REPLACES_ROLES) !== 0) this.#rolesChanged = 'replaced'
    else if ((said & CHANGES_LOGINS) !== 0) this.#rolesChanged ??= 'logins'
  }

  // ---- statements ----

  /** SQL-level PREPARE was used: names of a client are in the server's list of statements. */
  get sqlPrepared(): boolean {
    return this.#sqlPrepared
  }

  /** PREPARE is run. */
  ranPrepare(): void {
    this.#sqlPrepared = true
  }

  /** PostgreSQL was asked what SQL has prepared; `found` where there is something. */
  lookedForPrepared(found: boolean): void {
    this.#sqlPrepared = found
  }

  /** Who owns the unnamed prepared statement, as a mark of its own; undefined for nobody. */
  get unnamedOwner(): object | undefined {
    return this.#unnamedOwner
  }

  /** The unnamed statement becomes the one of `owner` by what is sent next. */
  unnamedBecame(owner: object | undefined): void {
    this.#unnamedOwner = owner
  }

  /** The unnamed statement is gone by what is sent next, or whose it is is not known any more. */
  unnamedGone(): void {
    this.#unnamedOwner = undefined
  }

  /**
   * The server has no prepared statement any more.
   * @param parsing statements are being prepared behind the request that is answered: these are left
   */
  deallocatedAll(parsing: boolean): void {
    this.#sqlPrepared = false
    this.names.deallocated(parsing)
    this.#statements.clear()
  }

  /** Code was run that may have deallocated statements: which, nobody knows. */
  deallocatedUnseen(): void {
    this.names.doubtAll()
    this.#statements.doubt()
  }

  // ---- sequences ----

  /** Whose sequence values (currval, lastval) are there: one client's, nobody's (0), or of several (-1). */
  get sequenceOwner(): number {
    return this.#sequenceOwner
  }

  /** The values of others are taken away in front of what client `id` sends next. */
  sequencesForgotten(id: number): void {
    this.#sequenceOwner = id
  }

  // ---- what the transaction under way has changed in the database ----

  /** Functions may have been created or changed. */
  get functionsChanged(): boolean {
    return this.#functionsChanged
  }

  /** What is run may create or change functions. */
  changedFunctions(): void {
    this.#functionsChanged = true
  }

  /** The settings that new sessions begin with have changed. */
  get defaultsChanged(): boolean {
    return this.#defaultsChanged
  }

  /** The transaction is over, and the pool knows of what it has changed. */
  changesNoted(): void {
    this.#functionsChanged = false
    this.#defaultsChanged = false
  }

  /** What has become of roles. */
  get rolesChanged(): RoleChange | undefined {
    return this.#rolesChanged
  }

  /** The transaction is over, and the pool knows of its roles. */
  rolesNoted(): void {
    this.#rolesChanged = undefined
  }

  // ---- what the session was opened with, or is known to be ----

  /** An error came as it does where the role of the session is gone. */
  get roleDoubted(): boolean {
    return this.#roleDoubted
  }

  /** Such an error came. */
  doubtRole(): void {
    this.#roleDoubted = true
  }

  /** PostgreSQL is or was asked for the role. */
  askedForRole(): void {
    this.#roleDoubted = false
  }

  /** An error came that may not have been the answer to what was asked: that may still come. */
  get orderDoubted(): boolean {
    return this.#orderDoubted
  }

  /** Such an error came. */
  doubtOrder(): void {
    this.#orderDoubted = true
  }

  /** PostgreSQL has answered what was asked last. */
  orderProven(): void {
    this.#orderDoubted = false
  }

  /** The functions of the database were asked for here, or elsewhere a moment before. */
  get functionsAsked(): boolean {
    return this.#functionsAsked
  }

  /** No question for the functions is needed here any more. */
  askedForFunctions(): void {
    this.#functionsAsked = true
  }

  /** The functions of the database are known as of `stamp`: what ran before was looked at with less knowledge. */
  functionsKnown(stamp: number): void {
    if (this.#functionsStamp === stamp) return
    if (this.#lastUser !== NOBODY) this.ranCode()
    this.#functionsStamp = stamp
  }

  /** After which ALTER ROLE … SET the session began, as counted by pool/function-catalog. */
  get defaultsStamp(): number {
    return this.#defaultsStamp
  }

  /** The session has begun after the ALTER ROLE … SET of that number. */
  openedAfter(defaultsStamp: number): void {
    this.#defaultsStamp = defaultsStamp
  }
}
