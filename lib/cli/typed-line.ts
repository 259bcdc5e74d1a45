/**
 * What is typed on a terminal that neither echoes nor edits (raw mode) -> a line, byte for byte: pgbun does what the
 * terminal would do with its editing keys. Pure; called by ask-password.ts.
 */

const INTERRUPT = 0x03
const END = 0x04
const BACKSPACE = 0x08
const TAB = 0x09
const LINE_FEED = 0x0a
const RETURN = 0x0d
const ERASE_LINE = 0x15
const DELETE = 0x7f

/** What arrow keys and the like send, and what encloses a paste. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they begin with a control character
const KEY_SEQUENCE = /\x1b(?:\[[0-9;?]*[@-~]|O.)/g

/** How a line has ended. */
export type LineEnd = 'return' | 'end' | 'interrupt'

export class TypedLine {
  readonly #bytes: number[] = []

  /** Takes what was typed, up to the end of the line. Returns how it ended and what follows, undefined if it goes on. */
  feed(chunk: Buffer): { end: LineEnd; rest: Buffer } | undefined {
    const keys = Buffer.from(chunk.toString('latin1').replace(KEY_SEQUENCE, ''), 'latin1')
    for (const [index, key] of keys.entries()) {
      const end = this.#take(key)
      if (end !== undefined) return { end, rest: keys.subarray(index + 1) }
    }
    return undefined
  }

  /** The line so far. */
  get bytes(): Buffer {
    return Buffer.from(this.#bytes)
  }

  #take(key: number): LineEnd | undefined {
    if (key === RETURN || key === LINE_FEED) return 'return'
    if (key === INTERRUPT) return 'interrupt'
    if (key === END) return 'end'
    if (key === BACKSPACE || key === DELETE) this.#eraseCharacter()
    else if (key === ERASE_LINE) this.#bytes.length = 0
    else if (key >= 0x20 || key === TAB) this.#bytes.push(key)
    return undefined
  }

  /** A character of UTF-8 is one byte, or one from 0xc0 on and those from 0x80 to 0xbf that follow it. */
  #eraseCharacter(): void {
    let byte = this.#bytes.pop()
    while (byte !== undefined && byte >= 0x80 && byte < 0xc0) byte = this.#bytes.pop()
  }
}
