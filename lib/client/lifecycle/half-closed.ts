/**
 * A client that has closed its side of the connection behind its last request: as with PostgreSQL, all that it has sent
 * is answered before it is taken to have left. A client that is gone altogether looks the same until something is
 * written to it; so a reported parameter is told to it again, which drivers ignore, and a connection of which nobody
 * reads fails by that.
 *
 * Made by session.ts at the end of the client's input. Called at the end of each pump.
 */

import type { Wire } from '../../net/wire.ts'
import { parameterStatus } from '../../protocol/build.ts'
import { after } from '../../util/clock.ts'
import type { EndReason } from './ending.ts'

/** Most requests are answered before that: nothing need be asked. */
const FIRST_MS = 100
/** The first write has a dead connection reset; the next one fails. */
const SECOND_MS = 50
/** Between any two of the others. */
const LATER_MS = 5000

/** The session of a client that sends no more. */
interface OwedSession {
  readonly wire: Wire
  readonly link:
    | { readonly told: { readonly serverVersion: string | undefined }; readonly lease: Replying | undefined }
    | undefined
  /** Something the client has sent will be answered. */
  readonly isOwed: boolean
  end(reason: EndReason): void
  onFault(error: unknown): void
}

/** The client's lease of a server. */
interface Replying {
  /** The client got the first part of a message whose rest has not come yet. */
  readonly midReply: boolean
}

/** Waits for the answers to the last requests of one client. */
export class HalfClosed {
  readonly #session: OwedSession
  #probes = 0
  /** What had been written when a row was found unfinished. */
  #stuckAt = -1
  #stop: () => void

  constructor(session: OwedSession) {
    this.#session = session
    this.#stop = after(FIRST_MS, this.#probe)
  }

  /** End the session where nothing is owed any more. */
  look(): void {
    if (!this.#session.isOwed) this.#session.end({ kind: 'disconnected', error: undefined, answered: true })
  }

  /** The session is over. */
  end(): void {
    this.#stop()
  }

  readonly #probe = (): void => {
    try {
      this.#ask()
    } catch (error) {
      // Nobody else catches what a timer throws.
      this.#session.onFault(error)
    }
  }

  #ask(): void {
    const session = this.#session
    this.#stop = after(this.#probes++ === 0 ? SECOND_MS : LATER_MS, this.#probe)
    // No client can set it: what it is told is what it was told before.
    const version = session.link?.told.serverVersion
    if (session.link?.lease?.midReply) {
      // Its rest will tell. Where that does not come, nothing can be written in between.
      const stuck = this.#probes > 2 && this.#stuckAt === session.wire.bytesOut
      if (stuck) session.end({ kind: 'disconnected', error: undefined, answered: true })
      this.#stuckAt = session.wire.bytesOut
    } else if (version !== undefined) session.wire.write(parameterStatus('server_version', version))
    this.look()
  }
}
