/**
 * Server-sent events: whoever follows gets the whole picture first, then once a second what has changed. All followers get the
 * same events, which are made once; while nobody follows, nothing is looked at.
 *
 * Holds: what a slow follower has not taken yet is bounded. It misses events, and gets the whole picture again when it has
 * caught up; one that takes nothing for half a minute is cut.
 */

import type { ServerResponse } from 'node:http'
import { type Activity, activityOf, deltaEvent, wholeEvent } from '../observe/activity-delta.ts'
import { every, now } from '../util/clock.ts'
import { COMMON_HEADERS } from './answer.ts'
import type { HttpPorts } from './ports.ts'

/** Between two events, in ms. */
const PERIOD_MS = 1000
/** So many may follow. */
const MAX_FOLLOWERS = 20
/** A follower that takes nothing is cut after so long. */
const STALLED_MS = 30_000

/** One who follows. */
interface Follower {
  readonly response: ServerResponse
  /** The next event has to be the whole picture. */
  behind: boolean
  /** Since when it has not taken what was written; 0 where it has. */
  stalledSince: number
}

/** Sends events to all who follow. */
export class EventStream {
  readonly #ports: Pick<HttpPorts, 'counts'>
  readonly #followers = new Set<Follower>()
  #last: Activity | undefined
  #stop: (() => void) | undefined

  constructor(ports: Pick<HttpPorts, 'counts'>) {
    this.#ports = ports
  }

  /** Whether one more may follow. */
  get hasRoom(): boolean {
    return this.#followers.size < MAX_FOLLOWERS
  }

  /** Answer with events until the client leaves. */
  follow(response: ServerResponse): void {
    const follower: Follower = { response, behind: false, stalledSince: 0 }
    response.writeHead(200, { ...COMMON_HEADERS, 'Content-Type': 'text/event-stream; charset=utf-8' })
    response.on('drain', () => {
      follower.stalledSince = 0
    })
    response.once('close', () => this.#leave(follower))
    this.#followers.add(follower)
    if (this.#stop === undefined) {
      this.#last = this.#look()
      this.#stop = every(PERIOD_MS, () => this.#tick())
    }
    send(follower, 'snapshot', JSON.stringify(wholeEvent(this.#last!)))
  }

  /** An event of somebody else's, for those who are not behind. */
  tell(event: string, value: unknown): void {
    if (this.#followers.size === 0) return
    const data = JSON.stringify(value)
    for (const follower of this.#followers) {
      if (follower.stalledSince === 0 && !follower.behind) send(follower, event, data)
    }
  }

  #leave(follower: Follower): void {
    this.#followers.delete(follower)
    if (this.#followers.size > 0) return
    this.#stop?.()
    this.#stop = undefined
    this.#last = undefined
  }

  #look(): Activity {
    return activityOf(this.#ports.counts(), Date.now())
  }

  #tick(): void {
    const before = this.#last!
    const after = this.#look()
    this.#last = after
    const delta = JSON.stringify(deltaEvent(after, before))
    let whole: string | undefined
    for (const follower of [...this.#followers]) {
      const { stalledSince, response } = follower
      if (stalledSince > 0) {
        follower.behind = true
        if (now() - stalledSince > STALLED_MS) response.destroy()
      } else if (follower.behind) {
        follower.behind = false
        whole ??= JSON.stringify(wholeEvent(after))
        send(follower, 'snapshot', whole)
      } else send(follower, 'delta', delta)
    }
  }
}

/** JSON has no line breaks: an event is two lines and an empty one. */
function send(follower: Follower, event: string, data: string): void {
  if (!follower.response.write(`event: ${event}\ndata: ${data}\n\n`)) follower.stalledSince = now()
}
