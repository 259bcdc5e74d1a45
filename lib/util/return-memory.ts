/**
 * Has the runtime collect garbage now and give free memory back to the operating system. V8 does neither by itself while
 * next to nothing is allocated: it would keep what thousands of clients took for as long as few follow them.
 *
 * Stops the process for the time of three full collections, about 25 ms each for a heap that holds little. For processes
 * of pgbun's own alone: the heap of a program that embeds it may take seconds.
 */

import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** `flavor` is V8's word for what also gives back the pages it holds in reserve; one that does not know it collects. */
type Collect = (options?: { type: 'major'; execution: 'sync'; flavor: 'last-resort' }) => void

let collect: Collect | undefined

/** Collect garbage and give memory back. */
export function returnMemory(): void {
  const { Bun: bun } = globalThis as { Bun?: { gc(synchronous: boolean): void } }
  if (bun) {
    bun.gc(true)
    return
  }
  collect ??= findCollect()
  // Node 20 collects in full only without options.
  collect()
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' })
}

/** What --expose-gc would put into the global object, where it is nobody's business. */
function findCollect(): Collect {
  setFlagsFromString('--expose-gc')
  const found = runInNewContext('gc') as Collect
  setFlagsFromString('--no-expose-gc')
  return found
}
