/**
 * The terminal of `pgbun top`: the alternate screen in raw mode, from `enter` to `leave`. What must hold: whichever way
 * the program ends or stops, the terminal is left as it was found.
 */
import type { ReadStream, WriteStream } from 'node:tty'
import { type Key, keysOf } from './keys.ts'
import type { Line, Style } from './render.ts'

/** The other screen, no cursor, no wrapping at its edge. */
const ENTER = '\x1b[?1049h\x1b[?25l\x1b[?7l'
const LEAVE = '\x1b[?7h\x1b[?25h\x1b[?1049l'

const STYLES: Readonly<Record<Style, string>> = {
  plain: '',
  head: '\x1b[1m',
  titles: '\x1b[7m',
  alert: '\x1b[1;7m',
  faint: '\x1b[2m',
}

/** Owns standard input and output while somebody watches. */
export class Screen {
  readonly #input: ReadStream
  readonly #output: WriteStream
  readonly #onKey: (key: Key) => void
  #entered = false
  #drawn = ''

  constructor(input: ReadStream, output: WriteStream, onKey: (key: Key) => void) {
    this.#input = input
    this.#output = output
    this.#onKey = onKey
  }

  get size(): { columns: number; rows: number } {
    return { columns: this.#output.columns || 80, rows: this.#output.rows || 24 }
  }

  enter(): void {
    if (this.#entered) return
    this.#entered = true
    this.#drawn = ''
    this.#output.write(ENTER)
    this.#input.setRawMode(true)
    this.#input.on('data', this.#onData)
    // Who asked for a password has let go of it.
    this.#input.ref()
    this.#input.resume()
  }

  leave(): void {
    if (!this.#entered) return
    this.#entered = false
    this.#input.off('data', this.#onData)
    this.#input.pause()
    // Of a terminal that is gone nothing is to be restored.
    try {
      this.#input.setRawMode(false)
    } finally {
      this.#output.write(LEAVE)
    }
  }

  /** Draw what has changed; `anew` draws all of it. */
  draw(lines: readonly Line[], anew = false): void {
    if (!this.#entered) return
    // A line is cleared before: behind a full line, the cursor stands on its last character.
    const text = lines
      .map(({ text, style }) => `\x1b[K${style === 'plain' ? text : `${STYLES[style]}${text}\x1b[0m`}`)
      .join('\r\n')
    if (text === this.#drawn && !anew) return
    this.#drawn = text
    this.#output.write(`${anew ? '\x1b[2J' : ''}\x1b[H${text}`)
  }

  readonly #onData = (chunk: Buffer | string): void => {
    for (const key of keysOf(chunk.toString())) this.#onKey(key)
  }
}
