/**
 * The one clock and the one place that owns timers outside of net/ (R14). Everything with a deadline stores a
 * timestamp of `now()` and is compared in the janitor's sweep; nothing has a timer of its own.
 */

/** The time while it is held, otherwise 0. */
let held = 0

/**
 * Milliseconds of a monotonic clock, with fractions; never jumps with the wall clock. Within a turn of the event loop
 * (net/turn) it stands still: a query asks for it half a dozen times.
 */
export function now(): number {
  return held === 0 ? performance.now() : held
}

/** Have `now` stand still until `releaseClock`. */
export function holdClock(): void {
  held = performance.now()
}

/** Let `now` go on. */
export function releaseClock(): void {
  held = 0
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
