/**
 * The lines of pgbun's log, in text or in JSON, that tell its totals: `stats`, and the start, which sets them to zero. Reads what was
 * added since the last time; a file that has become shorter was replaced and is read from its beginning.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'

export interface Totals {
  leases: number
  opened: number
}

const CHUNK = 1 << 20
/** Time, level, and what is said. */
const TEXT = /^(\d{4}-\d\d-\d\dT\S+Z) \w+ +(stats|pgbun \S+ is ready)\b(.*)/
const START = /^pgbun \S+ is ready/

export class LogReader {
  /** The last `stats` line since the last start. */
  latest: (Totals & { time: number }) | undefined
  /** The shortest time between two `stats` lines, in milliseconds: they are left out where nothing happens. */
  period: number | undefined
  /** Starts of pgbun that were seen. */
  starts = 0
  readonly #file: string
  #offset = 0
  #decoder = new StringDecoder('utf8')
  /** The beginning of a line whose end is not written yet. */
  #rest = ''

  constructor(file: string) {
    this.#file = file
  }

  /** @throws Error of the file system */
  read(): void {
    const file = openSync(this.#file, 'r')
    try {
      if (fstatSync(file).size < this.#offset) {
        this.#offset = 0
        this.#rest = ''
        this.#decoder = new StringDecoder('utf8')
      }
      const chunk = Buffer.allocUnsafe(CHUNK)
      for (;;) {
        const length = readSync(file, chunk, 0, CHUNK, this.#offset)
        if (length === 0) return
        this.#offset += length
        const lines = (this.#rest + this.#decoder.write(chunk.subarray(0, length))).split('\n')
        this.#rest = lines.pop()!
        for (const line of lines) this.#take(line)
      }
    } finally {
      closeSync(file)
    }
  }

  #take(line: string): void {
    // Most lines are about clients.
    if (!line.includes('stats') && !line.includes(' is ready')) return
    const { msg, time, leases_total: leases, connections_opened_total: opened } = fieldsOf(line)
    if (typeof msg === 'string' && START.test(msg)) {
      this.starts++
      this.latest = undefined
      return
    }
    if (msg !== 'stats' || typeof time !== 'number' || typeof leases !== 'number' || typeof opened !== 'number') return
    if (this.latest) this.period = Math.min(this.period ?? Number.POSITIVE_INFINITY, time - this.latest.time)
    this.latest = { time, leases, opened }
  }
}

/** What a line says; nothing where it is none of pgbun's. */
function fieldsOf(line: string): Record<string, unknown> {
  const [, time, msg, rest] = TEXT.exec(line) ?? []
  if (time !== undefined) {
    const pairs = [...rest!.matchAll(/ (\w+)=(\S+)/g)].map(([, name, value]) => [name, Number(value)])
    return { time: Date.parse(time), msg, ...Object.fromEntries(pairs) }
  }
  try {
    const fields: unknown = JSON.parse(line)
    return typeof fields === 'object' && fields !== null ? (fields as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
