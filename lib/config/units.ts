/**
 * Durations and sizes as people write them, in both directions.
 *
 * A plain number is milliseconds or bytes; a unit may follow it. The units are those of PostgreSQL's configuration
 * ("min", "kB" of 1024 bytes), plus KiB, MiB and GiB. Called by the conversion of option values; pure.
 */

const DURATION_UNITS = { ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const
const BYTE_UNITS: Record<string, number> = {
  b: 1,
  kb: 2 ** 10,
  kib: 2 ** 10,
  mb: 2 ** 20,
  mib: 2 ** 20,
  gb: 2 ** 30,
  gib: 2 ** 30,
}

/** Longest duration, in milliseconds: timers of Node and Bun overflow beyond it and would fire at once. */
export const MAX_DURATION = 2 ** 31 - 1

/** How durations may be written, for error messages. */
export const DURATION_FORMS = 'milliseconds as a whole number, or a number with a unit: ms, s, min, h, d'

/** How sizes may be written, for error messages. */
export const BYTES_FORMS = 'bytes as a whole number, or a number with a unit: B, kB, MB, GB'

/** Milliseconds, or undefined where `value` is not a duration. Negative and unbounded values are not judged here. */
export function parseDuration(value: unknown): number | undefined {
  return parseQuantity(value, (unit) =>
    Object.hasOwn(DURATION_UNITS, unit) ? DURATION_UNITS[unit as 'ms'] : undefined,
  )
}

/** Bytes, or undefined where `value` is not a size. */
export function parseBytes(value: unknown): number | undefined {
  return parseQuantity(value, (unit) => {
    const name = unit.toLowerCase()
    return Object.hasOwn(BYTE_UNITS, name) ? BYTE_UNITS[name] : undefined
  })
}

/** The shortest exact form: 15000 -> '15s', 0 -> '0', 1500 -> '1500ms'. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0'
  for (const unit of ['d', 'h', 'min', 's'] as const) {
    if (ms % DURATION_UNITS[unit] === 0) return `${ms / DURATION_UNITS[unit]}${unit}`
  }
  return `${ms}ms`
}

/** A measured duration for people, rounded: 1999.92 -> '2 s', 250.4 -> '250 ms', 90100 -> '90.1 s'. */
export function roundedDuration(ms: number): string {
  return ms < 999.5 ? `${Math.round(ms)} ms` : `${Number((ms / 1000).toFixed(1))} s`
}

function parseQuantity(value: unknown, factorOf: (unit: string) => number | undefined): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : undefined
  if (typeof value !== 'string') return undefined
  const match = /^\s*(-?\d{1,15}(?:\.\d{1,9})?)\s*([a-zA-Z]*)\s*$/.exec(value)
  if (!match) return undefined
  const [, digits = '', unit = ''] = match
  const factor = unit === '' ? 1 : factorOf(unit)
  if (factor === undefined) return undefined
  const amount = Number(digits) * factor
  // 1.5s is 1500 ms; half a millisecond or half a byte is a mistake. 1.1s must not fail for a rounding error.
  const whole = Math.round(amount)
  return Math.abs(amount - whole) < 1e-6 && Number.isSafeInteger(whole) ? whole : undefined
}
