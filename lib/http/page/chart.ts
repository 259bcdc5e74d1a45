/** Charts of the last minutes or hours, drawn by uPlot, whose script index.html loads before. */

import type Library from 'uplot'
import { element } from './elements.ts'
import { NOTHING } from './format.ts'

type Plot = Library
const Plot = (globalThis as unknown as { uPlot: typeof Library }).uPlot

/** One line of a chart. */
export interface ChartLine {
  readonly label: string
  /** A variable of page.css. */
  readonly color: '--accent' | '--second' | '--bad'
}

/** What a chart shows. */
export interface ChartOptions {
  readonly title: string
  readonly lines: readonly ChartLine[]
  format(value: number): string
}

/** Times in seconds since 1970, and the values of each line. */
export type ChartData = [times: number[], ...lines: (number | null)[][]]

/** One chart in a card of its own. */
export class Chart {
  readonly root: HTMLElement
  readonly #box: HTMLElement
  readonly #options: ChartOptions
  #data: ChartData
  #plot: Plot | undefined

  constructor(options: ChartOptions) {
    this.#options = options
    this.#data = [[], ...options.lines.map(() => [])]
    // The tiles say the same in numbers.
    this.#box = element('div', { class: 'chart', role: 'img', 'aria-label': `${options.title}, as a chart` })
    this.root = element('section', { class: 'card' }, element('h2', {}, options.title), this.#box)
    new ResizeObserver(() => this.#fit()).observe(this.#box)
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#make())
  }

  show(data: ChartData): void {
    this.#data = data
    if (this.#box.clientWidth > 0) this.#plot?.setData(data)
  }

  #fit(): void {
    if (this.#box.clientWidth === 0) return
    if (this.#plot === undefined) this.#make()
    else this.#plot.setSize(this.#size())
  }

  #size(): { width: number; height: number } {
    // Below it is the legend.
    return { width: this.#box.clientWidth, height: Math.max(80, this.#box.clientHeight - 30) }
  }

  #make(): void {
    if (this.#box.clientWidth === 0) return
    const { lines, format } = this.#options
    const style = getComputedStyle(this.#box)
    const color = (name: string): string => style.getPropertyValue(name).trim()
    const axis = { stroke: color('--soft'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } }
    const shown = (value: number | null): string => (value === null ? NOTHING : format(value))
    this.#plot?.destroy()
    this.#plot = new Plot(
      {
        ...this.#size(),
        scales: { y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
        axes: [
          { ...axis, values: (_, times) => timeTexts(times) },
          { ...axis, size: 62, values: (_, values) => values.map(shown) },
        ],
        series: [
          { value: (_: Plot, time: number | null) => (time === null ? NOTHING : timeText(time, true)) },
          ...lines.map((line) => ({
            label: line.label,
            stroke: color(line.color),
            width: 1.5,
            value: (_: Plot, value: number | null) => shown(value),
          })),
        ],
        cursor: { drag: { x: false, y: false } },
      },
      this.#data,
      this.#box,
    )
  }
}

/** Times of an axis: with seconds where they are less than a minute apart. */
function timeTexts(times: readonly number[]): string[] {
  const seconds = times.length > 1 && times[1]! - times[0]! < 60
  return times.map((time) => timeText(time, seconds))
}

function timeText(time: number, seconds: boolean): string {
  const format: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit', hour12: false }
  if (seconds) format.second = '2-digit'
  return new Date(time * 1000).toLocaleTimeString('en-GB', format)
}
