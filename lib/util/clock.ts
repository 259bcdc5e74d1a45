/**
 * The one clock and the one place that owns timers outside of net/ (R14). Everything with a deadline stores a
 * timestamp of `now()` and is compared in the janitor's sweep; nothing has a timer of its own.
 */

/** The time while it is held, otherwise 0. */
let held = 0

/** Of a runtime that tells how long its event loop has waited. */
type Timed = typeof performance & { readonly nodeTiming: { readonly idleTime: number } }

const TELLS_IDLE = process.versions.bun === undefined
/** The runtime itself takes less between two turns (ms). */
const RUNTIME_MS = 0.1
/** When the last turn was over, and the time between turns so far. */
let overAt = 0
let between = 0

/**
 * Milliseconds of a monotonic clock, with fractions; never jumps with the wall clock. Within a turn of the event loop
 * (net/turn) it stands still: a query asks for it half a dozen times.
 */
export function now(): number {
  return held === 0 ? performance.now() : held
}

/**
 * How long the event loop has waited for something to happen since the process began (ms). Where the runtime does not tell
 * (Bun), a longer time between two turns is taken for that, as long as there are turns.
 */
export function idleTime(): number {
  return TELLS_IDLE ? (performance as Timed).nodeTiming.idleTime : between
}

/** Have `now` stand still until `releaseClock`. */
export function holdClock(): void {
  held = performance.now()
  if (!TELLS_IDLE && held - overAt > RUNTIME_MS) between += held - overAt
}

/** Let `now` go on. */
export function releaseClock(): void {
  held = 0
  if (!TELLS_IDLE) overAt = performance.now()
}

/** Resolves after `ms` milliseconds. The timer does not keep the process alive unless `ref` is set. */
export function delay(ms: number, { ref = false }: { ref?: boolean } = {}): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    if (!ref) timer.unref()
  })
}

/** Calls `tick` every `ms` milliseconds until the returned function is called. Does not keep the process alive. */
export function every(ms: number, tick: () => void): () => void {
  const timer = setInterval(tick, ms)
  timer.unref()
  return () => clearInterval(timer)
}

/** Calls `action` once, after `ms` milliseconds, unless the returned function is called before. */
export function after(ms: number, action: () => void): () => void {
  const timer = setTimeout(action, ms)
  return () => clearTimeout(timer)
}

/** Calls `action` when what this turn of the event loop has to do is done. */
export function afterTurn(action: () => void): void {
  setImmediate(action)
}

/** Resolves then: what takes long lets others have their turn. */
export function nextTurn(): Promise<void> {
  return new Promise(afterTurn)
}
