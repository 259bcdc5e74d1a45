/** Whoever waits for a server of a pool: all that a pool knows of its clients. */

import { type ErrorFields, errorFields } from '../errors.ts'
import type { ServerConnection } from '../server/connection.ts'
import type { Consumer, ServerEnd } from '../server/ports.ts'
import type { List, ListNode } from '../util/list.ts'
import type { Lease } from './lease.ts'
import type { PoolMode } from './settings.ts'
import type { ShortText } from './short-texts.ts'

/** A place in a pool's queue, and the consumer of the server that is got there. */
export interface Waiter extends ListNode<Waiter>, Consumer {
  /** Number of the client. */
  readonly id: number
  /** In which mode it is served. */
  readonly mode: PoolMode
  /** When it began to wait (ms of the clock). The pool sets it. */
  waitingSince: number
  /** Id of the server it used last: that one has its settings and statements. */
  readonly lastServer: number
  /** What it is about to send, where others may be sent behind that, and it behind others (pipeline.ts). */
  readonly short?: ShortText
  /** True where `server` is known to be set as it wants: no settings need be applied. */
  suits(server: ServerConnection): boolean
  /** Its turn came: the server is lent to it. */
  onLease(lease: Lease): void
  /** It has waited for `query_wait_notify`, and goes on waiting. */
  onLongWait(): void
  /** It will not get one: the queue was too long for too long, or there is no server to be had. */
  onLeaseRefused(fields: ErrorFields): void
  onServerClosed(end: ServerEnd): void
  /** All that was sent ahead of its request is answered: that runs from now on. */
  onTurn?(): void
  /** Its request was certainly not run, or has left nothing: it is to be sent again, alone, to a server that it gets. */
  onNotRun?(): void
}

/** Whether `waiter` has waited for `limitMs` at `at`; 0 is no limit. */
export function hasWaited({ waitingSince }: Waiter, limitMs: number, at: number): boolean {
  return limitMs > 0 && at - waitingSince >= limitMs
}

/** Refuse those of `waiters`, which stand in the order of their coming, that have waited for `limitMs`; 0 is no limit. */
export function refuseOverdue(waiters: List<Waiter>, at: number, limitMs: number, why: () => string): void {
  for (const waiter of waiters) {
    if (!hasWaited(waiter, limitMs, at)) return
    waiters.remove(waiter)
    waiter.onLeaseRefused(errorFields('query_wait_timeout', { detail: why() }))
  }
}

/** Tell those of `waiters` that have waited for `limitMs` since the last look, at `before`; 0 is no limit. */
export function notifyWaiting(waiters: Iterable<Waiter>, before: number, at: number, limitMs: number): void {
  if (limitMs === 0) return
  for (const waiter of waiters) {
    const since = waiter.waitingSince + limitMs
    if (since > at) return
    if (since > before) waiter.onLongWait()
  }
}
