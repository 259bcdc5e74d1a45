/** The first section: what goes through pgbun now and lately, and who waits. */

import type { SampleColumns } from '../../observe/history.ts'
import { Chart, type ChartData } from './chart.ts'
import { button, element, setText } from './elements.ts'
import { ask, type PageSample } from './feed.ts'
import { duration, number } from './format.ts'
import type { Section } from './sections.ts'

type Ranges = { seconds: SampleColumns; minutes: SampleColumns }
type Field = keyof SampleColumns

/** As many as pgbun keeps. */
const SECONDS = 600

const TILES: readonly (readonly [label: string, text: (sample: PageSample) => string])[] = [
  ['queries/s', ({ queries }) => number(queries)],
  ['transactions/s', ({ transactions }) => number(transactions)],
  ['p50', ({ p50 }) => duration(p50)],
  ['p99', ({ p99 }) => duration(p99)],
  ['clients', ({ clients }) => number(clients)],
  ['waiting', ({ waiting }) => number(waiting)],
  ['servers, active', ({ servers, active }) => `${number(active)} / ${number(servers)}`],
  ['errors/s', ({ errors }) => number(errors)],
]

const CHARTS: readonly {
  readonly chart: () => Chart
  readonly fields: readonly Field[]
}[] = [
  {
    chart: () => {
      const lines = [
        { label: 'queries/s', color: '--accent' },
        { label: 'transactions/s', color: '--second' },
      ] as const
      return new Chart({ title: 'Throughput', format: number, lines })
    },
    fields: ['queries', 'transactions'],
  },
  {
    chart: () => {
      const lines = [
        { label: 'p50', color: '--accent' },
        { label: 'p99', color: '--second' },
      ] as const
      return new Chart({ title: 'Latency of queries', format: duration, lines })
    },
    fields: ['p50', 'p99'],
  },
  {
    chart: () => {
      const lines = [
        { label: 'waiting', color: '--bad' },
        { label: 'active servers', color: '--accent' },
      ] as const
      return new Chart({ title: 'Clients that wait', format: number, lines })
    },
    fields: ['waiting', 'active'],
  },
  {
    chart: () => new Chart({ title: 'Errors', format: number, lines: [{ label: 'errors/s', color: '--bad' }] }),
    fields: ['errors'],
  },
]

/** Shows samples. */
export class Overview implements Section {
  readonly root: HTMLElement
  readonly title = 'Overview'
  readonly periodMs = 60_000
  readonly #tiles: readonly HTMLElement[]
  readonly #charts = CHARTS.map(({ chart, fields }) => ({ chart: chart(), fields }))
  readonly #choices: readonly HTMLButtonElement[]
  #ranges: Ranges | undefined
  #range: keyof Ranges = 'seconds'

  constructor() {
    this.#tiles = TILES.map(() => element('dd', {}, '–'))
    const tiles = TILES.map(([label], at) => element('div', {}, element('dt', {}, label), this.#tiles[at]!))
    this.#choices = [
      button('10 minutes', () => this.#choose('seconds'), { 'aria-pressed': 'true' }),
      button('24 hours', () => this.#choose('minutes'), { 'aria-pressed': 'false' }),
    ]
    this.root = element(
      'div',
      {},
      element('dl', { class: 'tiles' }, ...tiles),
      element('div', { class: 'bar', role: 'group', 'aria-label': 'Range of the charts' }, ...this.#choices),
      element('div', { class: 'charts' }, ...this.#charts.map(({ chart }) => chart.root)),
    )
  }

  /** All of it anew: the minutes, and what was missed. */
  async refresh(): Promise<void> {
    this.#ranges = await ask<Ranges>('api/history')
    this.#draw()
  }

  /** One second more. */
  add(sample: PageSample): void {
    for (const [at, [, text]] of TILES.entries()) setText(this.#tiles[at]!, text(sample))
    if (this.#ranges === undefined) return
    const { seconds } = this.#ranges
    if ((seconds.at.at(-1) ?? 0) >= sample.at!) return
    for (const [field, column] of Object.entries(seconds)) {
      column.push(sample[field as Field])
      if (column.length > SECONDS) column.shift()
    }
    if (this.#range === 'seconds' && this.root.isConnected) this.#draw()
  }

  #choose(range: keyof Ranges): void {
    this.#range = range
    for (const [at, choice] of this.#choices.entries())
      choice.setAttribute('aria-pressed', String((at === 0) === (range === 'seconds')))
    this.#draw()
  }

  #draw(): void {
    if (this.#ranges === undefined) return
    const columns = this.#ranges[this.#range]
    const times = columns.at.map((at) => at! / 1000)
    for (const { chart, fields } of this.#charts) {
      const data: ChartData = [times, ...fields.map((field) => columns[field])]
      chart.show(data)
    }
  }
}
