/**
 * What one client is doing, and since when: time stamps (ms of the clock) that the sweep compares with the client's deadlines
 * (timeouts.ts), that log lines tell of and snapshots show.
 */

import type { Counters } from '../../pool/counters.ts'
import type { Durations } from '../../pool/durations.ts'
import { now } from '../../util/clock.ts'

/** Where what is over is counted: a pool. */
export interface Counted {
  readonly counters: Counters
  readonly durations: Durations
}

/** The time stamps of one client. */
export class Activity {
  /** When the client began what it does now: waiting for input, waiting for a server, running a request. */
  since = now()
  /** When its transaction began; 0 outside of one. */
  transactionSince = 0
  /** A request is running: something was sent that has not been answered. */
  running = false
  /** When the request that runs began, or the last one; 0 before the first. */
  requestSince = 0
  /** When the client stopped reading its results; 0 while it reads. */
  stalledSince = 0
  /** The client is to say who it is, or to prove it, and has not answered. */
  silent = true
  /** When it was first seen idle with its batch open; 0 where it is not. */
  openSince = 0
  /** How many bytes it had sent by then. */
  #openAt = 0

  /** Something else begins than what went on before. */
  turned(): void {
    this.since = now()
  }

  /** A request is sent to the server. */
  began(): void {
    this.since = now()
    if (!this.running) this.requestSince = this.since
    this.running = true
    if (this.transactionSince === 0) this.transactionSince = this.since
  }

  /** What others had sent ahead of it is answered: its request runs from now on. */
  turnCame(): void {
    this.since = now()
    this.requestSince = this.since
  }

  /** A request is answered, which is counted. What was sent behind it runs from now on. */
  requestOver({ counters, durations }: Counted): void {
    const at = now()
    counters.queries++
    counters.queryTime += durations.query.record(at - this.requestSince)
    this.requestSince = at
  }

  /**
   * A transaction is over, which is counted if it is the client's.
   * @param next something was sent behind it, and runs from now on
   */
  transactionOver(counted: Counted | undefined, next: boolean): void {
    const at = now()
    if (counted !== undefined) {
      const { counters, durations } = counted
      counters.transactions++
      if (this.transactionSince !== 0) {
        counters.transactionTime += durations.transaction.record(at - this.transactionSince)
      }
    }
    this.transactionSince = next ? at : 0
  }

  /** All that was sent is answered. */
  answered(): void {
    this.running = false
    this.since = now()
  }

  /** What is written to the client waits in memory. */
  stalled(): void {
    if (this.stalledSince === 0) this.stalledSince = now()
  }

  /**
   * A sweep at `at` finds a batch open: all that the client sent is answered, its Sync has not come. `bytes` is how much it
   * has sent: between two sweeps nothing is known.
   */
  idlesInBatch(at: number, bytes: number): void {
    if (this.openSince !== 0 && this.#openAt === bytes) return
    this.openSince = at
    this.#openAt = bytes
  }
}
