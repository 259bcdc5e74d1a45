/**
 * Long work in small steps: all at once where nobody waits for anything else, or in turn with the rest of the process, so that
 * the longest pause is one step and a slice of time.
 */

import { nextTurn } from './clock.ts'

/** Work that can be interrupted at each `yield`. */
export type Steps<T> = Generator<void, T, void>

/** Others wait no longer for a slice than this, in ms; a query and its answer meet two or three of them. */
const SLICE_MS = 1

/** Do all of it now. */
export function atOnce<T>(steps: Steps<T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

/** Do it in slices between which others have their turn. Rejects with what a step throws. */
export async function inTurns<T>(steps: Steps<T>): Promise<T> {
  for (let since = performance.now(); ; ) {
    const { done, value } = steps.next()
    if (done) return value
    if (performance.now() - since < SLICE_MS) continue
    await nextTurn()
    since = performance.now()
  }
}
