/**
 * A client that has closed its side of the connection behind its last request: as with PostgreSQL, all that it has sent
 * is answered before it is taken to have left. A client that is gone altogether looks the same until something is
 * written to it; so a reported parameter is told to it again, which drivers ignore, and a connection of which nobody
 * reads fails by that.
 *
 * Made by session.ts at the end of the client's input. Called at the end of each pump.
 */

import { parameterStatus } from '../protocol/build.ts'
import { after } from '../util/clock.ts'
import type { ClientSession } from './session.ts'

/** Most requests are answered before that: nothing need be asked. */
const FIRST_MS = 100
/** The first write has a dead connection reset; the next one fails. */
const SECOND_MS = 50
/** Between any two of the others. */
const LATER_MS = 5000

/** Waits for the answers to the last requests of one client. */
export class HalfClosed {
  readonly #session: ClientSession
  #probes = 0
  /** What had been written when a row was found unfinished. */
  #stuckAt = -1
  #stop: () => void

  constructor(session: ClientSession) {
    this.#session = session
    this.#stop = after(FIRST_MS, this.#probe)
  }

  /** End the session where nothing is owed any more. */
  look(): void {
    if (!isOwed(this.#session)) this.#session.end({ kind: 'disconnected', error: undefined })
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
    const version = session.told?.get('server_version')
    if (session.lease?.server.midReply) {
      // Its rest will tell. Where that does not come, nothing can be written in between.
      const stuck = this.#probes > 2 && this.#stuckAt === session.wire.bytesOut
      if (stuck) session.end({ kind: 'disconnected', error: undefined })
      this.#stuckAt = session.wire.bytesOut
    } else if (version !== undefined) session.wire.write(parameterStatus('server_version', version))
    this.look()
  }
}

/** True where something `session` has sent will be answered, though it sends no more. */
export function isOwed(session: ClientSession): boolean {
  switch (session.state) {
    case 'idle':
    case 'waiting':
    case 'linking':
    case 'inspecting':
      return session.hasInput
    case 'active': {
      const { plan } = session.lease!.server
      // A COPY waits for data, a message for its rest, and a stream has no end.
      const own = session.upstream.midMessage ? 1 : 0
      return !plan.copyBoth && (session.hasInput || (plan.size > own && !plan.copyIn))
    }
    // A login that goes on for a client that has left is what guessers want.
    default:
      return false
  }
}
