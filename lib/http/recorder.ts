/** Looks at the pooler once a second, keeps what it did lately (observe/history.ts), and tells those who follow. */

import { History, type SampleColumns, shownSample } from '../observe/history.ts'
import { every } from '../util/clock.ts'
import type { HttpPorts } from './ports.ts'
import type { EventStream } from './stream.ts'

const PERIOD_MS = 1000

/** Records. */
export class Recorder {
  readonly #history = new History()
  readonly #stop: () => void

  constructor(ports: Pick<HttpPorts, 'pulse'>, stream: Pick<EventStream, 'tell'>) {
    this.#history.add(ports.pulse())
    this.#stop = every(PERIOD_MS, () => {
      const sample = this.#history.add(ports.pulse())
      if (sample !== undefined) stream.tell('sample', shownSample(sample))
    })
  }

  /** All that is kept. */
  columns(): { seconds: SampleColumns; minutes: SampleColumns } {
    return this.#history.columns()
  }

  stop(): void {
    this.#stop()
  }
}
