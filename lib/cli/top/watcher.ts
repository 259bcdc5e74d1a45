/**
 * Looks at a console again and again, over a connection that is opened anew when it is lost. Goes out: samples, and why
 * there are none. One question is asked at a time.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { after } from '../../util/clock.ts'
import type { OpenConsole } from '../console/open-console.ts'
import { type Missing, type Sample, type Table, tableOf } from './sample.ts'

/** Longest wait for the answers of one look. */
const PATIENCE_MS = 10_000

export interface WatcherParts {
  open(): Promise<OpenConsole>
  /** Topics to ask for, as long as somebody looks; undefined while nobody does. */
  wanted(): readonly string[] | undefined
  onSample(sample: Sample): void
  onTrouble(message: string): void
  intervalMs: number
}

export class Watcher {
  readonly #parts: WatcherParts
  #console: OpenConsole | undefined
  /** It is a pgbun, which says more of itself. */
  #own = false
  #over = false
  #wake = new AbortController()

  /** @param console what is open already */
  constructor(parts: WatcherParts, console: OpenConsole) {
    this.#parts = parts
    this.#console = console
  }

  /** Look until `stop`. */
  async run(): Promise<void> {
    while (!this.#over) {
      const began = performance.now()
      const wanted = this.#parts.wanted()
      if (wanted !== undefined) await this.#look(wanted)
      await this.#rest(this.#parts.intervalMs - (performance.now() - began))
    }
    await this.#console?.session.close()
  }

  /** Look now. */
  wake(): void {
    this.#wake.abort()
  }

  stop(): void {
    this.#over = true
    this.wake()
  }

  async #look(wanted: readonly string[]): Promise<void> {
    let console = this.#console
    try {
      if (console === undefined || console.session.ended !== undefined) {
        this.#own = false
        this.#console = undefined
        console = await this.#parts.open()
        this.#console = console
      }
      const { session } = console
      const stop = after(PATIENCE_MS, () => session.abort(`no answer within ${PATIENCE_MS / 1000} s`))
      try {
        this.#parts.onSample(await this.#sample(console, wanted))
      } finally {
        stop()
      }
    } catch (error) {
      if (this.#over) return
      const what = error instanceof Error ? error.message : String(error)
      this.#parts.onTrouble(`no connection: ${what.split('\n')[0]}; trying again`)
    }
  }

  async #sample({ session }: OpenConsole, wanted: readonly string[]): Promise<Sample> {
    const tables = new Map<string, Table | Missing>()
    for (const topic of ['VERSION', ...wanted]) {
      const sql = topic === 'VERSION' && this.#own ? 'SELECT * FROM version' : `SHOW ${topic}`
      const table = tableOf(await session.ask(sql))
      tables.set(topic, table)
      if (topic === 'VERSION' && !('missing' in table)) this.#own = /\(pgbun /.test(table.rows[0]?.[0] ?? '')
    }
    return { at: performance.now(), tables }
  }

  async #rest(ms: number): Promise<void> {
    this.#wake = new AbortController()
    if (this.#over) return
    await sleep(Math.max(50, ms), undefined, { signal: this.#wake.signal }).catch(() => {})
  }
}
