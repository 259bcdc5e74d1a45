/**
 * A scrape: all metrics as text. Hundreds of pools make megabytes of it, so that clients have their turn between two
 * pieces. Those who ask while one is under way get the same text.
 */

import { type ExpositionFormat, expose, OPENMETRICS, PROMETHEUS } from '../observe/exposition.ts'
import { nextTurn } from '../util/clock.ts'
import { SharedWork } from '../util/shared-work.ts'
import type { Answer } from './answer.ts'
import { familiesOf } from './families.ts'
import type { HttpPorts } from './ports.ts'

/** Writes metrics. */
export class Scrapes {
  readonly #ports: Pick<HttpPorts, 'view' | 'process'>
  readonly #underway = new SharedWork<string>()

  constructor(ports: Pick<HttpPorts, 'view' | 'process'>) {
    this.#ports = ports
  }

  /** The metrics, in the format that `accept` asks for. */
  async answer(accept: string | undefined): Promise<Answer> {
    const type = formatOf(accept)
    return { status: 200, type, body: await this.#underway.join(type, undefined, () => this.#write(type)) }
  }

  async #write(format: ExpositionFormat): Promise<string> {
    const view = this.#ports.view()
    const process = this.#ports.process()
    const pieces: string[] = []
    for await (const piece of expose(familiesOf(view, process), format)) {
      pieces.push(piece)
      await nextTurn()
    }
    return pieces.join('')
  }
}

/** OpenMetrics for who accepts it, as Prometheus does; its old format for all others. */
export function formatOf(accept = ''): ExpositionFormat {
  return /\bapplication\/openmetrics-text\b/i.test(accept) ? OPENMETRICS : PROMETHEUS
}
