/** Whether a curve of resident memory grows. Pure. */
import { median } from '../statistics.ts'

/** Resident memory at a moment. */
export interface Sample {
  /** Seconds since the beginning. */
  at: number
  bytes: number
}

export interface Growth {
  /** Medians of the second and of the last quarter of the time, in bytes. */
  early: number
  late: number
  /** Bytes per hour at which it grew from the second quarter on (least squares). */
  perHour: number
  /** By how much the later one exceeds the earlier one, as a share of it. */
  share: number
}

/** The first quarter is left out: caches fill, code is compiled. @throws Error of fewer than eight samples */
export function growthOf(samples: readonly Sample[]): Growth {
  if (samples.length < 8) throw new Error(`${samples.length} samples are too few to tell growth`)
  const quarter = Math.floor(samples.length / 4)
  const bytes = (list: readonly Sample[]): number[] => list.map((sample) => sample.bytes)
  const early = median(bytes(samples.slice(quarter, 2 * quarter)))
  const late = median(bytes(samples.slice(-quarter)))
  return { early, late, perHour: slope(samples.slice(quarter)) * 3600, share: (late - early) / early }
}

function slope(samples: readonly Sample[]): number {
  const count = samples.length
  const meanAt = samples.reduce((sum, { at }) => sum + at, 0) / count
  const meanBytes = samples.reduce((sum, { bytes }) => sum + bytes, 0) / count
  let above = 0
  let below = 0
  for (const { at, bytes } of samples) {
    above += (at - meanAt) * (bytes - meanBytes)
    below += (at - meanAt) ** 2
  }
  return below === 0 ? 0 : above / below
}

/** The curve as text: a line for each of `lines` equal stretches of the time, with the median in it as a bar. */
export function renderCurve(samples: readonly Sample[], lines: number): string {
  const most = Math.max(...samples.map(({ bytes }) => bytes))
  const size = Math.ceil(samples.length / lines)
  let text = ''
  for (let from = 0; from < samples.length; from += size) {
    const part = samples.slice(from, from + size)
    const bytes = median(part.map((sample) => sample.bytes))
    const megabytes = `${(bytes / 1e6).toFixed(0)} MB`
    text += `  ${(part[0]!.at / 60).toFixed(1).padStart(6)} min  ${megabytes.padStart(8)}  ${'#'.repeat(Math.round((50 * bytes) / most))}\n`
  }
  return text
}
