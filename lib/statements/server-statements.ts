/** What one server has prepared of the statements all clients share. Pure. */

import { randomBytes } from 'node:crypto'
import type { StatementEntry, StatementStore } from './shared-statements.ts'

/** Names on servers begin with this. To clients there is nothing under such a name, though SQL shows them. */
export const STATEMENT_PREFIX = `pgbun_${randomBytes(6).toString('hex')}_`
let nextSlot = 1

/** A statement as it is prepared on one server; also what the reply plan knows a message by that names it. */
export class Slot {
  /** What it is prepared for; another where the server says that it is something else. */
  entry: StatementEntry
  /** Name on the server, with its terminator. */
  readonly name: Buffer
  /** The server confirmed it, and that it is what clients were told. */
  ready = false
  /** The client's name that becomes what the server says, whatever was known of its entry before. */
  adopter: string | undefined
  /** It was used since it was last looked at for room. */
  used = false
  /** In which batch of its client it was prepared: until it is confirmed, that one alone can rely on it. */
  readonly batch: number

  constructor(entry: StatementEntry, batch: number) {
    this.entry = entry
    this.name = Buffer.from(`${STATEMENT_PREFIX}${nextSlot++}\0`)
    this.batch = batch
  }

  answered(): void {}

  dropped(): void {}
}

/** What one server has prepared. */
export class ServerStatements {
  readonly #store: StatementStore
  /** In the order in which room is looked for. */
  readonly #slots = new Map<StatementEntry, Slot>()
  /** Names to be closed on the server when something is sent there next. */
  readonly #retired = new Map<string, Buffer>()
  /** The batches of the Closes under way, oldest first. */
  readonly #closing: number[] = []
  /** The transaction under way changed what texts mean. */
  altering = false
  /** How many named statements of clients were prepared here. */
  parsed = 0

  constructor(store: StatementStore) {
    this.#store = store
    store.attach(this)
  }

  get size(): number {
    return this.#slots.size
  }

  /** The slot of `entry`, if it is prepared or being prepared here; it counts as used now. */
  use(entry: StatementEntry): Slot | undefined {
    const slot = this.#slots.get(entry)
    if (slot !== undefined) slot.used = true
    return slot
  }

  /** True where `entry` is prepared or being prepared here. */
  has(entry: StatementEntry): boolean {
    return this.#slots.has(entry)
  }

  /** True where `entry` is prepared here, and confirmed. */
  isReady(entry: StatementEntry): boolean {
    return this.#slots.get(entry)?.ready ?? false
  }

  /** False while the server has been sent `entry` in another batch than `batch` and has not confirmed it. */
  certain(entry: StatementEntry, batch: number): boolean {
    const slot = this.#slots.get(entry)
    return slot === undefined || slot.ready || slot.batch === batch
  }

  /** A new slot for `entry`, sent in `batch`; it is prepared when the server has confirmed it (`ready`). */
  add(entry: StatementEntry, batch = 0): Slot {
    this.drop(entry)
    const slot = new Slot(entry, batch)
    entry.refs++
    this.#slots.set(entry, slot)
    return slot
  }

  /**
   * A slot that may be closed to stay within `limit`, if there are more than that: the first that was not used since it
   * was looked at last, but for `wanted`. That is nearly the least recently used one, and costs a use nothing but a mark.
   */
  overflow(limit: number, wanted?: Slot): Slot | undefined {
    if (this.#slots.size <= limit) return undefined
    for (const slot of this.#slots.values()) {
      if (!slot.ready || slot === wanted) continue
      if (!slot.used) return slot
      // Once more at the end of the row: the loop comes to it again where all were used.
      slot.used = false
      this.#slots.delete(slot.entry)
      this.#slots.set(slot.entry, slot)
    }
    return undefined
  }

  /** Close, at the next opportunity, what no client has a name for any more. */
  dropUnnamed(): void {
    for (const slot of [...this.#slots.values()]) if (slot.ready && slot.entry.names === 0) this.drop(slot.entry)
  }

  /** The slot is gone from the server, or was never prepared. */
  remove(slot: Slot): void {
    if (this.#slots.get(slot.entry) !== slot) return
    this.#slots.delete(slot.entry)
    this.#store.release(slot.entry)
  }

  /** What is prepared in `slot` is not what its entry stands for: it is closed at the next opportunity. */
  discard(slot: Slot): void {
    if (this.#slots.get(slot.entry) === slot) this.drop(slot.entry)
  }

  /** What is prepared in `slot` is `entry`. */
  rehome(slot: Slot, entry: StatementEntry): void {
    const before = slot.entry
    if (this.#slots.get(before) !== slot) return
    this.drop(entry)
    this.#slots.delete(before)
    slot.entry = entry
    entry.refs++
    this.#slots.set(entry, slot)
    this.#store.release(before)
  }

  /** Use `entry`'s slot no more: it is closed at the next opportunity. */
  drop(entry: StatementEntry): void {
    const slot = this.#slots.get(entry)
    if (slot === undefined) return
    this.remove(slot)
    this.retire(slot.name)
  }

  /** Each may be gone from the server: none is used again, and what is left of them is closed. */
  doubt(): void {
    for (const slot of [...this.#slots.values()]) if (slot.ready) this.drop(slot.entry)
  }

  /** The statement called `name` on the server (latin1, without terminator) was deallocated, if it is one of these. */
  deallocated(name: string): void {
    if (!name.startsWith(STATEMENT_PREFIX)) return
    for (const slot of this.#slots.values()) {
      if (slot.name.toString('latin1', 0, slot.name.length - 1) !== name) continue
      this.remove(slot)
      return
    }
  }

  /** `name` (with its terminator) is closed now, or needed after all. */
  unretire(name: Buffer): void {
    if (this.#retired.size > 0) this.#retired.delete(name.toString('latin1'))
  }

  /** Close `name` (with its terminator) at the next opportunity. */
  retire(name: Buffer): void {
    this.#retired.set(name.toString('latin1'), name)
  }

  /** Take the names that are to be closed. */
  takeRetired(): Buffer[] {
    if (this.#retired.size === 0) return []
    const retired = [...this.#retired.values()]
    this.#retired.clear()
    return retired
  }

  /** No change of what texts mean was seen since there is `entry`. */
  unaltered(entry: StatementEntry): boolean {
    return this.#store.unaltered(entry)
  }

  /** What texts mean was changed: for its own client from now on, for the others from the end of its transaction on. */
  alter(): void {
    this.altering = true
    this.#store.alter()
  }

  /** A transaction that did so is over. */
  altered(): void {
    this.altering = false
    this.#store.alter()
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
    this.#retired.clear()
  }

  /** The connection is gone. */
  destroy(): void {
    if (this.altering) this.altered()
    for (const slot of [...this.#slots.values()]) this.remove(slot)
    this.#store.detach(this)
  }
}
