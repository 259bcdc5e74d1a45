/** Medians, quantiles and spreads of the benchmark's figures. Pure. */

/** The middle value; the mean of the two middle ones where the number is even; NaN of nothing. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * The smallest value that at least `share` (0 to 1) of all values do not exceed (nearest rank); NaN of nothing.
 * @param sorted ascending
 */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return Number.NaN
  const rank = Math.ceil(sorted.length * share)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1]!
}

/** Half the distance between the extremes as a share of the median: 0.05 is "plus or minus 5 %". 0 of one value. */
export function spread(values: readonly number[]): number {
  if (values.length < 2) return 0
  return (Math.max(...values) - Math.min(...values)) / 2 / median(values)
}

/** A ratio measured several times: its median and its extremes. */
export interface Ratio {
  value: number
  low: number
  high: number
}

/**
 * How many times `other` a target reached. The n-th run is compared with the n-th run of the other, which came next to
 * it, so that what slows the whole machine for a while slows both. Undefined where there is no pair.
 */
export function pairedRatio(own: readonly number[], other: readonly number[]): Ratio | undefined {
  const ratios: number[] = []
  for (let i = 0; i < Math.min(own.length, other.length); i++) {
    const ratio = own[i]! / other[i]!
    if (Number.isFinite(ratio)) ratios.push(ratio)
  }
  if (ratios.length === 0) return undefined
  return { value: median(ratios), low: Math.min(...ratios), high: Math.max(...ratios) }
}
