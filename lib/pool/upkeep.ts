/**
 * Carries out what cleanup.ts decides: servers that come back are drained, reset or closed, and others are checked before
 * they are lent. Owned by pool.ts, which is offered each of them when it is ready.
 */

import type { ServerConnection } from '../server/connection.ts'
import { Drain } from '../server/drain.ts'
import { now } from '../util/clock.ts'
import { cleanServer } from './clean-server.ts'
import { type Cleanup, type CleanupPool, cleanup } from './cleanup.ts'
import type { FunctionCatalog } from './function-catalog.ts'
import type { LeaseOutcome } from './lease.ts'
import type { PoolPorts } from './ports.ts'
import type { PoolMode } from './settings.ts'

/** How a server comes back: from a lease, or from what that had left. */
type Return = Exclude<LeaseOutcome, 'broken'> | 'drained'

/** The pool whose servers these are. */
export interface KeptPool extends CleanupPool {
  readonly functions: FunctionCatalog
  /** `server` is ready for whoever is next. */
  offer(server: ServerConnection): void
  onServerGone(server: ServerConnection): void
}

/** The upkeep of one pool's servers. */
export class Upkeep {
  /** Servers being reset or checked: they come free in a moment. */
  preparing = 0
  readonly #pool: KeptPool
  readonly #ports: Pick<PoolPorts, 'cancel' | 'log'>

  constructor(pool: KeptPool, ports: Pick<PoolPorts, 'cancel' | 'log'>) {
    this.#pool = pool
    this.#ports = ports
  }

  /** A lease of `mode` is over, or what it left has come to its end: reset the server where that is needed, then offer it. */
  cameBack(server: ServerConnection, mode: PoolMode, moment: Return): void {
    const pool = this.#pool
    if (server.state === 'closed') return
    // Behind a transaction only: one that is rolled back may change something yet.
    if (moment === 'done' || server.settled) pool.functions.note(server.content)
    const at = now()
    const needed = cleanup(moment, server, pool, at, mode)
    server.usedAt = at
    if (needed.kind === 'drain') {
      if (moment !== 'done') server.content.leftState()
      this.#drain(server, mode, needed.cancel)
    } else if (this.#carryOut(server, needed)) {
      if (mode === 'session') server.content.vouchedFor()
      pool.offer(server)
    }
  }

  /** Have `server` come to an end of what its lease has left. */
  #drain(server: ServerConnection, mode: PoolMode, cancels: boolean): void {
    const cancel = cancels ? (target: ServerConnection): void => void this.#ports.cancel(target) : undefined
    new Drain(server, cancel, this.#pool.settings.drainTimeoutMs, () => this.cameBack(server, mode, 'drained'))
  }

  /** Do with `server` what is `needed`; true where that is nothing. */
  #carryOut(server: ServerConnection, needed: Cleanup): boolean {
    if (needed.kind === 'nothing') return true
    if (needed.kind === 'close') server.close(needed.reason)
    else if (needed.kind !== 'drain') {
      const pool = this.#pool
      this.preparing++
      cleanServer(server, needed, pool.functions, this.#ports.log, (well) => {
        this.preparing--
        if (well) pool.offer(server)
        else pool.onServerGone(server)
      })
    }
    return false
  }

  /** The same for a server that is to be lent, or idles: it was looked at whether to ask for the functions of the database. */
  attend(server: ServerConnection, needed: Cleanup): boolean {
    if (needed.kind === 'nothing' || needed.kind === 'check') this.#pool.functions.passed(server.content)
    return this.#carryOut(server, needed)
  }
}
