/**
 * What comes from pgbun: the stream of events, and answers that are asked for. Tells when the connection is lost, and tries
 * again until it is back. A stream that is silent is lost, too: events come once a second.
 */

import type { DeltaEvent, WholeEvent } from '../../observe/activity-delta.ts'
import type { SampleField } from '../../observe/pulse.ts'

const SILENT_MS = 6000
const LEAST_PAUSE_MS = 1000
const MOST_PAUSE_MS = 15_000

/** One sample of the history. */
export type PageSample = Record<SampleField, number | null>

/** Told of what comes. */
export interface FeedReader {
  whole(event: WholeEvent): void
  changed(event: DeltaEvent): void
  sampled(sample: PageSample): void
  /** Connected for the first time, or again. */
  live(): void
  lost(): void
}

/** Follows the stream. */
export class Feed {
  readonly #reader: FeedReader
  #source: EventSource | undefined
  #heard = 0
  #pause = LEAST_PAUSE_MS
  #live = false
  #again: ReturnType<typeof setTimeout> | undefined

  constructor(reader: FeedReader) {
    this.#reader = reader
    this.#connect()
    setInterval(() => {
      if (this.#source !== undefined && Date.now() - this.#heard > SILENT_MS) this.#lose()
    }, 1000)
  }

  #connect(): void {
    const source = new EventSource('api/stream')
    this.#source = source
    this.#heard = Date.now()
    const on = <Event>(name: string, take: (event: Event) => void): void => {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => {
        this.#hear()
        take(JSON.parse(data) as Event)
      })
    }
    on<WholeEvent>('snapshot', (event) => this.#reader.whole(event))
    on<DeltaEvent>('delta', (event) => this.#reader.changed(event))
    on<PageSample>('sample', (event) => this.#reader.sampled(event))
    source.addEventListener('error', () => this.#lose())
  }

  #hear(): void {
    this.#heard = Date.now()
    this.#pause = LEAST_PAUSE_MS
    if (this.#live) return
    this.#live = true
    this.#reader.live()
  }

  /** The browser's own attempts end with the first refusal: these do not. */
  #lose(): void {
    this.#source?.close()
    this.#source = undefined
    this.#live = false
    this.#reader.lost()
    clearTimeout(this.#again)
    this.#again = setTimeout(() => this.#connect(), this.#pause)
    this.#pause = Math.min(MOST_PAUSE_MS, this.#pause * 2)
  }
}

/** The answer at `path`. Rejects with pgbun's words. */
export async function ask<Answer>(path: string): Promise<Answer> {
  const response = await fetch(path)
  const answer: unknown = await response.json()
  if (!response.ok) throw new Error((answer as { error?: string }).error ?? `HTTP ${response.status}`)
  return answer as Answer
}
