/**
 * One turn of the event loop: everything a chunk sets in motion, on however many connections, is handled first, and
 * then every wire that has something to say writes once. That is what keeps a query at one read and one write per
 * direction (the kernel's send is two thirds of a proxy's time).
 */

import { afterTurn, holdClock, releaseClock } from '../util/clock.ts'

/** A wire with bytes waiting to be written. */
export interface Flushable {
  flush(): void
}

/** Wires to be flushed, up to `count`. The array is kept: emptying it by its length costs a call into the runtime. */
const dirty: (Flushable | undefined)[] = []
let count = 0
let depth = 0
let scheduled = false
let unsent = false
/** Those that are flushed when all that has arrived is read. */
const late: Flushable[] = []

/** Called by a wire before it hands a chunk to its handler. */
export function beginTurn(): void {
  if (depth++ === 0) holdClock()
}

/** Called by a wire when its handler is done: the outermost one flushes all. */
export function endTurn(): void {
  if (--depth > 0) return
  flushAll()
  releaseClock()
}

/** Called by a wire on its first write of a turn. Outside of one (timers, promises) it is written in a microtask. */
export function markDirty(wire: Flushable): void {
  dirty[count++] = wire
  if (depth > 0 || scheduled) return
  scheduled = true
  queueMicrotask(flushAll)
}

/**
 * The same for a wire that several connections write to, none of which is in a hurry: it is flushed when all that has arrived
 * on any of them has been read. What is written must be valid until then.
 */
export function markLate(wire: Flushable): void {
  if (late.push(wire) === 1) afterTurn(flushLate)
}

function flushLate(): void {
  // A flush that makes another wire late has its own pass.
  for (const wire of late.splice(0)) wire.flush()
}

/** Called by a wire for which the kernel did not take all: its bytes are in use for longer than the turn. */
export function noteUnsent(): void {
  unsent = true
}

/** True where that happened since this was asked last. */
export function takeUnsent(): boolean {
  const was = unsent
  unsent = false
  return was
}

function flushAll(): void {
  scheduled = false
  // A flush may make another wire dirty (a socket that fails calls its handler): the loop sees those, too.
  for (let i = 0; i < count; i++) {
    dirty[i]!.flush()
    dirty[i] = undefined
  }
  count = 0
}
