/**
 * The prepared statements of the process: a store for each database as clients call it, because a text means something else
 * in each. What they take in memory is one, and so is the time at which tables were altered: two may be the same database
 * of a server. Pure.
 */

import { Schema, type StatementEntry, StatementStore } from './shared-statements.ts'
import { StatementMemory } from './statement-memory.ts'

export class StatementStores {
  readonly #memory = new StatementMemory()
  readonly #schema = new Schema()
  readonly #stores = new Map<string, StatementStore>()

  /** Those of `database`, as clients call it. There are some as long as it has clients or servers that prepare any. */
  of(database: string): StatementStore {
    let store = this.#stores.get(database)
    if (store === undefined) {
      store = new StatementStore(this.#memory, this.#schema, () => this.#stores.delete(database))
      this.#stores.set(database, store)
    }
    return store
  }

  /** Statements that clients may share, and have a name for. */
  *all(): Generator<{ database: string; entry: StatementEntry }> {
    for (const [database, store] of this.#stores) {
      for (const entry of store.shared()) if (entry.names > 0) yield { database, entry }
    }
  }

  /** Bytes that all of them take. */
  get bytes(): number {
    return this.#memory.bytes
  }

  /** Number of databases that have some. */
  get databases(): number {
    return this.#stores.size
  }
}
