/** Numbers as people read them. Pure. */

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'] as const

/** What stands where nothing was measured. */
export const NOTHING = '–'

/** A count or a rate: `12,345`, `3.4`. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return NOTHING
  const digits = Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0
  return value.toLocaleString('en', { maximumFractionDigits: digits })
}

/** Milliseconds: `0.42 ms`, `3.5 s`, `12 min`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NOTHING
  if (ms === 0) return '0 ms'
  if (ms < 9.995) return `${ms.toFixed(2)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  if (seconds < 119.5) return `${Math.round(seconds)} s`
  const minutes = seconds / 60
  if (minutes < 119.5) return `${Math.round(minutes)} min`
  const hours = minutes / 60
  return hours < 47.5 ? `${Math.round(hours)} h` : `${Math.round(hours / 24)} d`
}

/** Bytes: `640 kB`. */
export function bytes(value: number): string {
  let unit = 0
  let left = value
  while (left >= 999.5 && unit < UNITS.length - 1) {
    left /= 1000
    unit++
  }
  return `${left < 9.95 && unit > 0 ? left.toFixed(1) : Math.round(left)} ${UNITS[unit]}`
}
