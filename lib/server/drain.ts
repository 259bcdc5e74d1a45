/**
 * What becomes of a server whose client left while something was outstanding (a killed program, a closed laptop):
 * PostgreSQL would go on with the query to its end. Here it is canceled, what it still sends is read and dropped, an
 * open COPY is failed, an open batch failed and synced, an open transaction rolled back; then the server is as good as
 * before. A client that took its leave in an orderly way may rely on what it sent: that is not canceled.
 * Whatever takes longer than the deadline, or surprises, ends the connection instead.
 */

import { copyFail, executePortal, query, SYNC as SYNC_MESSAGE } from '../protocol/build.ts'
import { TX_IDLE } from '../protocol/types.ts'
import { COPY_END, EXECUTE, QUERY, SYNC } from '../replies/reply-kinds.ts'
import { now } from '../util/clock.ts'
import type { ServerConnection } from './connection.ts'
import type { Consumer } from './ports.ts'

/**
 * Sent ahead of the Sync that ends a batch: it fails, as there is no such portal, and so the batch does. A Sync alone
 * would commit what the client did in it, and only the client can ask for that.
 */
const FAIL_BATCH = executePortal('pgbun: the client is gone')

/** Empties one server of what an absent client left behind. */
export class Drain implements Consumer {
  /** When it must be over (ms of the clock); the janitor closes what is later. */
  readonly deadline: number
  readonly #server: ServerConnection
  readonly #cancel: ((server: ServerConnection) => void) | undefined
  readonly #done: () => void
  #rollbackSent = false
  /** All is answered, but a message that nobody asked for (a notice) has not come to its end. */
  #midNotice = false

  /**
   * Begin. `done` is called when the server is settled and in no transaction; if the connection ends first, it is not.
   * @param cancel sends a cancel request for what runs; undefined where that is to come to its end
   * @param timeoutMs how long it may take; 0 for as long as it takes
   */
  constructor(
    server: ServerConnection,
    cancel: ((server: ServerConnection) => void) | undefined,
    timeoutMs: number,
    done: () => void,
  ) {
    this.#server = server
    this.#cancel = cancel
    this.#done = done
    this.deadline = timeoutMs === 0 ? Number.POSITIVE_INFINITY : now() + timeoutMs
    server.lend(this, 'draining')
    this.cancel()
    this.#push()
    this.#next()
  }

  /**
   * Have what runs canceled, unless a request is under way. Called again by the janitor, because a request that arrives
   * before the query has begun does nothing.
   */
  cancel(): void {
    const { plan, cancels } = this.#server
    if (plan.size > 0 && cancels === 0 && !this.#rollbackSent) this.#cancel?.(this.#server)
  }

  onServerBytes(): void {
    // A COPY that was queued behind what ran asks for its data only now.
    this.#push()
    if (this.#midNotice) this.#next()
  }

  onServerError(): void {
    this.#push()
  }

  onServerReady(): void {
    // What was queued behind it runs now.
    this.cancel()
    this.#next()
  }

  onServerCancelOver(): void {
    this.#next()
  }

  onServerDeallocated(all: boolean): void {
    // Whose statement it was is not known any more.
    if (!all) this.#server.content.deallocatedUnseen()
  }

  onServerFull(): void {}

  onServerDrain(): void {}

  onServerClosed(): void {}

  /** Send what the server waits for: the end of a COPY, the Sync behind a batch. */
  #push(): void {
    const { plan } = this.#server
    const copying = plan.copyIn
    if (copying) {
      plan.expect(COPY_END)
      this.#server.send(copyFail('the client is gone'))
    }
    if (plan.needsSync) {
      // A COPY that fails takes its batch along.
      if (!plan.skipping && !copying) {
        plan.expect(EXECUTE)
        this.#server.send(FAIL_BATCH)
      }
      plan.expect(SYNC)
      this.#server.send(SYNC_MESSAGE)
    }
  }

  #next(): void {
    const server = this.#server
    // A cancel request that arrives late would hit the rollback.
    if (server.cancels > 0) return
    server.resolveDoubt()
    if (!server.plan.settled) return
    this.#midNotice = server.midReply
    if (this.#midNotice) return
    if (server.txStatus === TX_IDLE && (this.#rollbackSent || !server.plan.mixed)) {
      this.#done()
      return
    }
    if (this.#rollbackSent) {
      server.close('transaction could not be rolled back')
      return
    }
    this.#rollbackSent = true
    server.plan.expect(QUERY)
    server.content.unnamedGone()
    server.send(query('ROLLBACK'))
  }
}
