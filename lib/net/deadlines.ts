/**
 * Deadlines of connections that have not come as far as the janitor: one timer for all of them, because nearly every
 * connection is over this long before its time, and a timer for each costs a login more than its parsing.
 */

import { List, type ListNode } from '../util/list.ts'

/** Something with a deadline. */
export interface Deadline extends ListNode<Deadline> {
  /** Milliseconds of `performance.now()`. */
  readonly deadline: number
  /** It has passed; the member is off the list. */
  onDeadline(): void
}

/** Members in any order: a reload may give later ones less time. */
const members = new List<Deadline>('deadlines')
let timer: NodeJS.Timeout | undefined
/** When the timer fires; members that are gone by then do not move it. */
let due = Number.POSITIVE_INFINITY

/** Call `onDeadline` of `member` in its time, unless it is removed before. */
export function addDeadline(member: Deadline): void {
  members.push(member)
  if (member.deadline < due) arm(member.deadline)
}

/** It has happened in time. Does nothing where it has been removed. */
export function removeDeadline(member: Deadline): void {
  if (member.list === members) members.remove(member)
}

function arm(at: number): void {
  clearTimeout(timer)
  due = at
  // setTimeout takes no more than 2^31 - 1, and fires up to a millisecond early.
  timer = setTimeout(fire, Math.min(Math.max(at - performance.now(), 0) + 1, 0x7fffffff))
  timer.unref()
}

function fire(): void {
  due = Number.POSITIVE_INFINITY
  const now = performance.now()
  const passed: Deadline[] = []
  let next = Number.POSITIVE_INFINITY
  for (const member of members) {
    if (member.deadline <= now) passed.push(member)
    else next = Math.min(next, member.deadline)
  }
  if (next < due) arm(next)
  for (const member of passed) {
    // One may have seen to another.
    if (member.list !== members) continue
    members.remove(member)
    member.onDeadline()
  }
}
