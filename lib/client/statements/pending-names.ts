/**
 * The one rule by which a client's message waits for an answer of the server: what a name in it stands for is not known yet.
 * Either something sent before deallocates statements, and its answer says which (`barrier`); or the name was given by a batch
 * that was sent and has not been answered, which may fail (waits-for-names.ts).
 *
 * Called by requests/upstream.ts for each message, and by whoever sends what others wait for.
 */

import { passesBarrier } from './message-kinds.ts'

/** What the messages of one client wait for. */
export class PendingNames {
  /** Number of the batch under way: the messages between two Syncs, of which an error takes all that follow. */
  batch = 0
  /** What was sent decides what names stand for: what may name a statement waits for the answer. */
  #barrier = false
  /** The server is to be asked for that answer (Flush) as soon as something waits: it would keep it until a Sync. */
  #flush = false
  readonly #pump: () => void

  /** @param pump has the client's messages looked at again */
  constructor(pump: () => void) {
    this.#pump = pump
  }

  /** Something waits, or would. */
  get waiting(): boolean {
    return this.#barrier
  }

  /** What is sent next decides what names stand for. */
  wait(): void {
    this.#barrier = true
  }

  /** The same for an Execute, whose answer the server keeps back until it is asked. */
  waitForExecute(): void {
    this.#barrier = true
    this.#flush = true
  }

  /** The answer is here, or will not come. */
  over(): void {
    this.#barrier = false
  }

  /** The same outside of the client's turn: what waits is looked at again. */
  readonly lift = (): void => {
    this.#barrier = false
    queueMicrotask(this.#pump)
  }

  /** A message waits. Returns true where the server must be asked for what it waits for. */
  takeFlush(): boolean {
    const wanted = this.#barrier && this.#flush
    this.#flush = false
    return wanted
  }

  /** True where a message of `type` waits for what was sent before it. */
  holds(type: number): boolean {
    return this.#barrier && !passesBarrier(type)
  }
}
