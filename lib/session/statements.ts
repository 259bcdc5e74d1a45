/**
 * Named prepared statements across servers. A client's names are its own; what is prepared on the servers is shared:
 * one entry per query text and parameter types, prepared on a server when a client first needs it there, under a name
 * no client can know. Three small stores, all pure:
 *
 *   StatementStore    the entries of the process
 *   ClientStatements  one client's names
 *   ServerStatements  what one server has prepared, least recently used first
 *
 * An entry's key also holds the client's settings: PostgreSQL evaluates literals while it parses (`'01/02/2026'::date`),
 * so the same text means different things under another DateStyle, TimeZone or client_encoding.
 */

import { randomBytes } from 'node:crypto'
import { effectsOf } from './state-effects.ts'

/** One query text with its parameter types, under the same settings. */
export interface StatementEntry {
  readonly key: string
  /** The Parse message behind the statement's name, byte for byte. */
  readonly body: Buffer
  /** What running it may leave behind in a session (state-effects). */
  readonly effects: number
  /** Clients' names and servers that have it. */
  refs: number
}

/** A statement as it is prepared on one server. */
export interface Slot {
  readonly entry: StatementEntry
  /** Name on the server, with its terminator. */
  readonly name: Buffer
  /** The server confirmed it. */
  ready: boolean
}

/** Names on servers begin with this: no client can guess one, so none can reach another's statement by its name. */
const PREFIX = `pgbun_${randomBytes(6).toString('hex')}_`
let nextSlot = 1

/** All entries of the process. */
export class StatementStore {
  readonly #entries = new Map<string, StatementEntry>()
  #bytes = 0

  /** Number of entries. */
  get size(): number {
    return this.#entries.size
  }

  /** Bytes of all bodies together. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * The entry of a Parse message's `body` behind the name. It is held until `release`.
   * @param settings fingerprint of the settings it is parsed under
   */
  hold(settings: string, body: Buffer): StatementEntry {
    const key = `${settings}\0${body.toString('latin1')}`
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      // Copied: the message is a view of a chunk (R7).
      entry = { key, body: Buffer.from(body), effects: effectsOf(textOf(body)), refs: 0 }
      this.#entries.set(key, entry)
      this.#bytes += body.length
    }
    entry.refs++
    return entry
  }

  /** One holder less; the last one takes the entry with it. */
  release(entry: StatementEntry): void {
    if (--entry.refs > 0) return
    this.#entries.delete(entry.key)
    this.#bytes -= entry.body.length
  }
}

/** The query text of a Parse body. */
export function textOf(body: Buffer): string {
  return body.toString('latin1', 0, body.indexOf(0))
}

/** The statements one client has named. */
export class ClientStatements {
  readonly #store: StatementStore
  readonly #named = new Map<string, StatementEntry>()

  constructor(store: StatementStore) {
    this.#store = store
  }

  get size(): number {
    return this.#named.size
  }

  /** What `name` stands for. */
  get(name: string): StatementEntry | undefined {
    return this.#named.get(name)
  }

  /** `name` stands for `entry` (already held for it) from now on. */
  set(name: string, entry: StatementEntry): void {
    this.delete(name)
    this.#named.set(name, entry)
  }

  /** Forget `name`. */
  delete(name: string): void {
    const entry = this.#named.get(name)
    if (entry === undefined) return
    this.#named.delete(name)
    this.#store.release(entry)
  }

  /** Forget all names (DEALLOCATE ALL, DISCARD ALL, the end of the session). */
  clear(): void {
    for (const entry of this.#named.values()) this.#store.release(entry)
    this.#named.clear()
  }
}

/** What one server has prepared. */
export class ServerStatements {
  readonly #store: StatementStore
  /** In the order of last use. */
  readonly #slots = new Map<StatementEntry, Slot>()
  /** Names to be closed on the server when something is sent there next. */
  #retired: Buffer[] = []

  constructor(store: StatementStore) {
    this.#store = store
  }

  get size(): number {
    return this.#slots.size
  }

  /** The slot of `entry`, if it is prepared or being prepared here; it counts as used now. */
  use(entry: StatementEntry): Slot | undefined {
    const slot = this.#slots.get(entry)
    if (slot !== undefined) {
      this.#slots.delete(entry)
      this.#slots.set(entry, slot)
    }
    return slot
  }

  /** A new slot for `entry`; it is prepared when the server has confirmed it (`ready`). */
  add(entry: StatementEntry): Slot {
    this.drop(entry)
    const slot = { entry, name: Buffer.from(`${PREFIX}${nextSlot++}\0`), ready: false }
    entry.refs++
    this.#slots.set(entry, slot)
    return slot
  }

  /** The least recently used slot that may be closed to stay within `limit`, if there are more than that. */
  overflow(limit: number): Slot | undefined {
    if (this.#slots.size <= limit) return undefined
    for (const slot of this.#slots.values()) if (slot.ready) return slot
    return undefined
  }

  /** The slot is gone from the server, or was never prepared. */
  remove(slot: Slot): void {
    if (this.#slots.get(slot.entry) !== slot) return
    this.#slots.delete(slot.entry)
    this.#store.release(slot.entry)
  }

  /** Use `entry`'s slot no more (its plan is stale): it is closed at the next opportunity. */
  drop(entry: StatementEntry): void {
    const slot = this.#slots.get(entry)
    if (slot === undefined) return
    this.remove(slot)
    this.#retired.push(slot.name)
  }

  /** Close `name` (with its terminator) at the next opportunity. */
  retire(name: Buffer): void {
    this.#retired.push(name)
  }

  /** Take the names that are to be closed. */
  takeRetired(): Buffer[] {
    if (this.#retired.length === 0) return NONE
    const retired = this.#retired
    this.#retired = []
    return retired
  }

  /** The server deallocated everything it had confirmed (DEALLOCATE ALL, DISCARD ALL). */
  clear(): void {
    for (const slot of [...this.#slots.values()]) if (slot.ready) this.remove(slot)
    this.#retired = []
  }

  /** The connection is gone. */
  destroy(): void {
    for (const slot of [...this.#slots.values()]) this.remove(slot)
  }
}

const NONE: Buffer[] = []
