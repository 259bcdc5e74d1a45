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
  /** In which batch of its client it was prepared: until it is confirmed, that one alone can rely on it. */
  readonly batch: number
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

  /** The entry of a Parse message's `body` behind the name, if there is one. */
  find(settings: string, body: Buffer): StatementEntry | undefined {
    return this.#entries.get(keyOf(settings, body))
  }

  /**
   * The entry of a Parse message's `body` behind the name. It is held until `release`.
   * @param settings fingerprint of the settings it is parsed under
   */
  hold(settings: string, body: Buffer): StatementEntry {
    const key = keyOf(settings, body)
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

function keyOf(settings: string, body: Buffer): string {
  return `${settings}\0${body.toString('latin1')}`
}

/** The query text of a Parse body. */
export function textOf(body: Buffer): string {
  return body.toString('latin1', 0, body.indexOf(0))
}

/**
 * The statements one client has named. A Parse or Close changes what a name stands for when it is sent, which is before
 * anybody knows whether the server will discard it with a batch that fails. So changes wait here until they are
 * answered or dropped; until then, only messages of the same batch, which would be dropped as well, can rely on them.
 */
export class ClientStatements {
  readonly #store: StatementStore
  readonly #named = new Map<string, StatementEntry>()
  /** Names with unanswered changes, oldest first, all of one batch. */
  readonly #changes = new Map<string, { entries: (StatementEntry | undefined)[]; batch: number }>()

  constructor(store: StatementStore) {
    this.#store = store
  }

  /** Names with a statement, as far as the server has answered. */
  get size(): number {
    return this.#named.size
  }

  /** What `name` stands for if nothing fails that is under way. */
  get(name: string): StatementEntry | undefined {
    const changes = this.#changes.get(name)
    return changes === undefined ? this.#named.get(name) : changes.entries.at(-1)
  }

  /** False while what `name` stands for depends on the answer to another batch than `batch`. */
  certain(name: string, batch: number): boolean {
    const changes = this.#changes.get(name)
    return changes === undefined || changes.batch === batch
  }

  /** A message is sent in `batch` by which `name` stands for `entry` (held for it), or, closed, for nothing. */
  change(name: string, entry: StatementEntry | undefined, batch: number): void {
    const changes = this.#changes.get(name)
    if (changes === undefined) this.#changes.set(name, { entries: [entry], batch })
    else changes.entries.push(entry)
  }

  /** The oldest change of `name` was answered, or, where not `done`, has not happened. */
  settle(name: string, done: boolean): void {
    const changes = this.#changes.get(name)
    if (changes === undefined) return
    const entry = changes.entries.shift()
    if (changes.entries.length === 0) this.#changes.delete(name)
    if (!done) {
      if (entry !== undefined) this.#store.release(entry)
      return
    }
    const before = this.#named.get(name)
    if (before !== undefined) this.#store.release(before)
    if (entry === undefined) this.#named.delete(name)
    else this.#named.set(name, entry)
  }

  /** The server deallocated everything (DEALLOCATE ALL, DISCARD ALL): what is under way comes after that. */
  clear(): void {
    for (const entry of this.#named.values()) this.#store.release(entry)
    this.#named.clear()
  }

  /** The session is over. */
  destroy(): void {
    this.clear()
    for (const { entries } of this.#changes.values()) {
      for (const entry of entries) if (entry !== undefined) this.#store.release(entry)
    }
    this.#changes.clear()
  }
}

/** What one server has prepared. */
export class ServerStatements {
  readonly #store: StatementStore
  /** In the order of last use. */
  readonly #slots = new Map<StatementEntry, Slot>()
  /** Names to be closed on the server when something is sent there next. */
  #retired: Buffer[] = []
  /** The batches of the Closes under way, oldest first. */
  readonly #closing: number[] = []

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

  /** False while the server has been sent `entry` in another batch than `batch` and has not confirmed it. */
  certain(entry: StatementEntry, batch: number): boolean {
    const slot = this.#slots.get(entry)
    return slot === undefined || slot.ready || slot.batch === batch
  }

  /** A new slot for `entry`, sent in `batch`; it is prepared when the server has confirmed it (`ready`). */
  add(entry: StatementEntry, batch = 0): Slot {
    this.drop(entry)
    const slot = { entry, name: Buffer.from(`${PREFIX}${nextSlot++}\0`), ready: false, batch }
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

  /** A Close of a retired name is sent in `batch`. */
  closing(batch: number): void {
    this.#closing.push(batch)
  }

  /** A Close was answered or dropped. */
  closeSettled(): void {
    this.#closing.shift()
  }

  /** False while the server may have a name that was to be closed in another batch than `batch`. */
  closed(batch: number): boolean {
    return this.#closing.length === 0 || this.#closing[0] === batch
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
