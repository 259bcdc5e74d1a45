/**
 * Where reads of the clients of one pool go: to the standbys of its hosts, by a pool of their own. Made and looked after by
 * router.ts; asked by client/link/read-routing.ts.
 */

import type { DialTarget } from '../net/dial-error.ts'
import type { Pool } from '../pool/pool.ts'
import type { ReplicaWatch } from './replica-watch.ts'

/** The way to the standbys. */
export class ReadRoute {
  /** Of the clients. */
  readonly #main: Pool
  /** Of connections to standbys. */
  readonly replicas: Pool
  readonly watch: ReplicaWatch
  #defaultsStamp: number
  /** When that changed last (ms of the clock). */
  #defaultsAt = Number.NEGATIVE_INFINITY

  constructor(main: Pool, replicas: Pool, watch: ReplicaWatch) {
    this.#main = main
    this.replicas = replicas
    this.watch = watch
    this.#defaultsStamp = main.functions.defaultsStamp
  }

  /** Whether `text` (latin1) is certainly a read. */
  isRead(text: string): boolean {
    return this.watch.isRead(text, this.#main.functions)
  }

  /** Whether a client that has written at `wroteAt` last may read on any standby at `at` (ms of the clock). */
  mayRead(wroteAt: number, at: number): boolean {
    return this.#isFresh(this.watch.best, wroteAt, at)
  }

  /** The same of the standby at `target`. */
  mayReadAt(target: DialTarget, wroteAt: number, at: number): boolean {
    return this.#isFresh(this.watch.upToAt(target), wroteAt, at)
  }

  /** Whether connections to the host with `key` are of use: it is not too far behind, and has what new sessions begin with. */
  isCurrent(key: string, at: number): boolean {
    return this.#isFresh(this.watch.upTo(key), Number.NEGATIVE_INFINITY, at)
  }

  /** What new sessions begin with has changed (ALTER ROLE … SET): standbys that have not replayed that are of no use. */
  noteDefaults(at: number): void {
    const { defaultsStamp } = this.#main.functions
    if (defaultsStamp === this.#defaultsStamp) return
    this.#defaultsStamp = defaultsStamp
    this.#defaultsAt = at
    this.replicas.clear('new sessions begin with other settings')
  }

  /** Whether what was acknowledged before `upTo`, and maybe nothing else, is good enough. */
  #isFresh(upTo: number, wroteAt: number, at: number): boolean {
    const { readAfterWriteMs, maxReplicaLagMs } = this.#main.settings
    if (upTo <= wroteAt || upTo <= this.#defaultsAt) return false
    return at - wroteAt >= readAfterWriteMs && at - upTo <= maxReplicaLagMs
  }
}
