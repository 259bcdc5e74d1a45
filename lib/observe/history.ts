/**
 * What a pooler did lately: each second of the last ten minutes, each minute of the last day. Takes `HISTORY_BYTES` from its
 * beginning on, and never more. Pure.
 */

import { type Pulse, SAMPLE_FIELDS, type Sample, type SampleField, sampleBetween } from './pulse.ts'

const SECONDS = 600
const MINUTES = 24 * 60
const MINUTE_MS = 60_000

/** Memory for the numbers. */
export const HISTORY_BYTES = (SECONDS + MINUTES) * SAMPLE_FIELDS.length * Float64Array.BYTES_PER_ELEMENT

/** Samples by field, the oldest first; null where nothing was measured. */
export type SampleColumns = Record<SampleField, (number | null)[]>

/** The last so many samples. */
class SampleRing {
  readonly #values: Float64Array
  readonly #limit: number
  #count = 0

  constructor(limit: number) {
    this.#limit = limit
    this.#values = new Float64Array(limit * SAMPLE_FIELDS.length)
  }

  push(sample: Sample): void {
    const start = (this.#count++ % this.#limit) * SAMPLE_FIELDS.length
    for (const [index, field] of SAMPLE_FIELDS.entries()) this.#values[start + index] = sample[field]
  }

  columns(): SampleColumns {
    const first = Math.max(0, this.#count - this.#limit)
    const column = (index: number): (number | null)[] =>
      Array.from({ length: this.#count - first }, (_, behind) => {
        const row = (first + behind) % this.#limit
        return shown(this.#values[row * SAMPLE_FIELDS.length + index]!)
      })
    return Object.fromEntries(SAMPLE_FIELDS.map((field, index) => [field, column(index)])) as SampleColumns
  }
}

/** Samples of seconds and of minutes. */
export class History {
  readonly #seconds = new SampleRing(SECONDS)
  readonly #minutes = new SampleRing(MINUTES)
  #last: Pulse | undefined
  /** At the beginning of the minute. */
  #minute: Pulse | undefined
  /** The most clients that waited, and the longest wait, in the minute so far: what is over by its end counts, too. */
  #waiting = 0
  #maxWait = 0

  /** A look at the pooler; the sample that follows from it, which the first has not. */
  add(pulse: Pulse): Sample | undefined {
    const { waiting, maxWait, at } = pulse
    const last = this.#last
    this.#last = pulse
    this.#waiting = Math.max(this.#waiting, waiting)
    this.#maxWait = Math.max(this.#maxWait, maxWait)
    const begun = this.#minute
    if (last === undefined || begun === undefined) {
      this.#minute = pulse
      return undefined
    }
    const sample = sampleBetween(last, pulse)
    this.#seconds.push(sample)
    if (Math.floor(at / MINUTE_MS) !== Math.floor(begun.at / MINUTE_MS)) {
      this.#minutes.push({ ...sampleBetween(begun, pulse), waiting: this.#waiting, maxWait: this.#maxWait })
      this.#minute = pulse
      this.#waiting = this.#maxWait = 0
    }
    return sample
  }

  /** All that is kept. */
  columns(): { seconds: SampleColumns; minutes: SampleColumns } {
    return { seconds: this.#seconds.columns(), minutes: this.#minutes.columns() }
  }
}

/** A sample as JSON can say it. */
export function shownSample(sample: Sample): Record<SampleField, number | null> {
  return Object.fromEntries(SAMPLE_FIELDS.map((field) => [field, shown(sample[field])])) as Record<
    SampleField,
    number | null
  >
}

/** Three digits behind the point are enough for milliseconds, and make half of the text. */
function shown(value: number): number | null {
  return Number.isNaN(value) ? null : Math.round(value * 1000) / 1000
}
