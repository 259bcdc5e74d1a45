/**
 * What prepared statements take in memory, in all and by database user (`max_prepared_statement_memory`). Nobody may have
 * more than is left free: one user alone gets half of it, however many clients it has, and what is left is enough for
 * the next. Pure.
 *
 * A statement that clients of several users have is counted once in all, and in full with each of them.
 */

/** What a statement takes beside its bytes, and what a client's name for one does, with its twin (shared-statements.ts). */
const STATEMENT_BYTES = 1200
const NAME_BYTES = 800

/** What of a statement is counted. */
export interface Counted {
  /** Bytes it takes, as given by `bytesOf`. */
  readonly bytes: number
  /** Names of clients, by the users these belong to. */
  readonly holders: Map<StatementAccount, number>
}

/** What one database user has prepared. */
export class StatementAccount {
  readonly user: string
  bytes = 0
  /** Clients that may prepare something. */
  clients = 0

  constructor(user: string) {
    this.user = user
  }
}

/** A server's prepared statements, as far as they are there only to save preparing them again. */
export interface StatementCache {
  dropUnnamed(): void
}

/** How much there is. */
export class StatementMemory {
  bytes = 0
  /** Of these, bytes of statements that only servers keep. */
  #unnamed = 0
  readonly #accounts = new Map<string, StatementAccount>()
  readonly #caches = new Set<StatementCache>()

  /** A client of the database user `user` begins to prepare statements: what they are counted with, until `leave`. */
  join(user: string): StatementAccount {
    let account = this.#accounts.get(user)
    if (account === undefined) this.#accounts.set(user, (account = new StatementAccount(user)))
    account.clients++
    return account
  }

  /** That client is gone, with its names. */
  leave(account: StatementAccount): void {
    if (--account.clients === 0) this.#accounts.delete(account.user)
  }

  /** There is one server more, or one less, that keeps statements. */
  attach(cache: StatementCache): void {
    this.#caches.add(cache)
  }

  detach(cache: StatementCache): void {
    this.#caches.delete(cache)
  }

  /** Drop what only servers keep. */
  makeRoom(): void {
    if (this.#unnamed > 0) for (const cache of this.#caches) cache.dropUnnamed()
  }

  /** Whether a name for `statement` (for one of `bytes` bytes, where there is none) fits within `limit` in all. */
  judge(
    account: StatementAccount,
    statement: Counted | undefined,
    bytes: number,
    limit: number,
  ): 'fits' | 'all' | 'user' {
    const total = this.bytes + NAME_BYTES + (statement === undefined ? bytes : 0)
    const own = account.bytes + NAME_BYTES + (statement?.holders.has(account) ? 0 : bytes)
    if (total > limit) return 'all'
    return own > limit - total ? 'user' : 'fits'
  }

  /** There is a new statement, which has no name yet. */
  added({ bytes }: Counted): void {
    this.bytes += bytes
    this.#unnamed += bytes
  }

  removed({ bytes }: Counted): void {
    this.bytes -= bytes
    this.#unnamed -= bytes
  }

  /** A client of `account` has one name more for `statement`. */
  named(account: StatementAccount, { bytes, holders }: Counted): void {
    const names = holders.get(account) ?? 0
    if (holders.size === 0) this.#unnamed -= bytes
    holders.set(account, names + 1)
    account.bytes += NAME_BYTES + (names === 0 ? bytes : 0)
    this.bytes += NAME_BYTES
  }

  /** A client of `account` has one name less for `statement`. */
  unnamedBy(account: StatementAccount, { bytes, holders }: Counted): void {
    const names = holders.get(account)! - 1
    if (names > 0) holders.set(account, names)
    else holders.delete(account)
    if (holders.size === 0) this.#unnamed += bytes
    account.bytes -= NAME_BYTES + (names === 0 ? bytes : 0)
    this.bytes -= NAME_BYTES
  }
}

/** What a statement takes whose key and body have these lengths. Letters of a key may take two bytes each. */
export function bytesOf(key: number, body: number): number {
  return STATEMENT_BYTES + 2 * key + body
}
