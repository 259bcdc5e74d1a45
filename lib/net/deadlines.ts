/**
 * Deadlines of connections that have not come as far as the janitor: one timer for all of them, because nearly every
 * connection is over this long before its time, and a timer for each costs a login more than its parsing. Who shuts down
 * finds here who is not a client yet.
 */

import { List, type ListNode } from '../util/list.ts'

/** Something with a deadline. */
export interface Deadline extends ListNode<Deadline> {
  /** Milliseconds of `performance.now()`; infinite for none. */
  readonly deadline: number
  /** It has passed; the member is off the list. */
  onDeadline(): void
  /** pgbun shuts down; the member is off the list. */
  onShutdown(): void
}

/** Members in any order: a reload may give later ones less time. */
export class Deadlines {
  readonly #members = new List<Deadline>('deadlines')
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires; members that are gone by then do not move it. */
  #due = Number.POSITIVE_INFINITY
  readonly #fire = (): void => this.#passed()

  /** Tell `member` in its time, unless it is removed before. */
  add(member: Deadline): void {
    this.#members.push(member)
    if (member.deadline < this.#due) this.#arm(member.deadline)
  }

  /** It has happened in time. Does nothing where it has been removed. */
  remove(member: Deadline): void {
    if (member.list === this.#members) this.#members.remove(member)
  }

  /** Have all members end now. */
  shutDown(): void {
    clearTimeout(this.#timer)
    this.#due = Number.POSITIVE_INFINITY
    for (let member = this.#members.shift(); member !== null; member = this.#members.shift()) member.onShutdown()
  }

  #arm(at: number): void {
    clearTimeout(this.#timer)
    this.#due = at
    // setTimeout takes no more than 2^31 - 1, and fires up to a millisecond early.
    this.#timer = setTimeout(this.#fire, Math.min(Math.max(at - performance.now(), 0) + 1, 0x7fffffff))
    this.#timer.unref()
  }

  #passed(): void {
    this.#due = Number.POSITIVE_INFINITY
    const now = performance.now()
    const passed: Deadline[] = []
    let next = Number.POSITIVE_INFINITY
    for (const member of this.#members) {
      if (member.deadline <= now) passed.push(member)
      else next = Math.min(next, member.deadline)
    }
    if (next < this.#due) this.#arm(next)
    for (const member of passed) {
      // One may have seen to another.
      if (member.list !== this.#members) continue
      this.#members.remove(member)
      member.onDeadline()
    }
  }
}
