/**
 * Connections that have not said yet who they are: no startup packet has come, or only a part of it. They count nowhere
 * else, and each takes a file descriptor. Beyond `max_silent_connections` the one that has been silent for longest goes:
 * who is in earnest sends its packet at once.
 */

import type { Socket } from 'node:net'
import { now } from '../util/clock.ts'
import type { Logger } from '../util/logger.ts'

/** The log says at most this often that connections were closed. */
const LOG_MS = 10_000

/** The silent connections of one process, the oldest first. */
export class Newcomers {
  readonly #sockets = new Set<Socket>()
  readonly #limit: () => number
  readonly #log: Logger
  #closed = 0
  #loggedAt = Number.NEGATIVE_INFINITY

  constructor(limit: () => number, log: Logger) {
    this.#limit = limit
    this.#log = log
  }

  /** `socket` was accepted. */
  add(socket: Socket): void {
    const limit = this.#limit()
    while (this.#sockets.size >= limit) this.#closeOldest(limit)
    this.#sockets.add(socket)
  }

  /** `socket` has told who it is, or is closed. */
  remove(socket: Socket): void {
    this.#sockets.delete(socket)
  }

  #closeOldest(limit: number): void {
    for (const oldest of this.#sockets) {
      this.#sockets.delete(oldest)
      oldest.destroy()
      break
    }
    this.#closed++
    const at = now()
    if (at - this.#loggedAt < LOG_MS) return
    this.#loggedAt = at
    const remedy = 'raise max_silent_connections, or shorten client_login_timeout'
    this.#log.warn('connections closed: too many have sent no startup packet', { closed: this.#closed, limit, remedy })
    this.#closed = 0
  }
}
