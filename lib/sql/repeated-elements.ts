/**
 * The lists of a text while it is normalized (normal-text.ts): of `IN (1, 2, 3)`, `ARRAY[1, 2, 3]` and the rows of VALUES,
 * elements that look like the first one, or like the one before, are left out, so that the length of a list makes no other
 * statement of it. Of elements that all differ so many are kept, and the rest is left out as well. Pure.
 */

/** What is written, and can be taken back to an earlier length. */
export interface ElementWriter {
  /** Bytes that make the identity of the text, and bytes that are shown of it. */
  readonly length: number
  readonly shownLength: number
  /** Forget what was written behind these lengths. */
  truncate(length: number, shownLength: number): void
  /** Whether two stretches of the former are the same. */
  sameBytes(from: number, to: number, otherFrom: number, otherTo: number): boolean
  /** Elements were left out here. */
  writeRepeated(): void
}

/** So many elements that differ are kept of one list. */
const KEPT = 16
/** Lists are looked for in so many brackets within each other. */
const DEPTH = 32

// What an open bracket is.
const PLAIN = 0
const LIST = 1
/** Around the rows of VALUES, which have no bracket together. */
const ROWS = 2

// Fields of one bracket.
const KIND = 0
const ELEMENT = 1
const SEPARATOR = 2
const SEPARATOR_SHOWN = 3
const FIRST_FROM = 4
const FIRST_TO = 5
const LAST_FROM = 6
const LAST_TO = 7
const COUNT = 8
const REPEATED = 9
const STRIDE = 10

/** The brackets that are open at one place of a text. */
export class RepeatedElements {
  readonly #writer: ElementWriter
  readonly #open = new Int32Array((DEPTH + 1) * STRIDE)
  #depth = 0
  /** Brackets beyond DEPTH. */
  #deeper = 0

  constructor(writer: ElementWriter) {
    this.#writer = writer
  }

  /** Between two rows of VALUES, or behind the last. */
  get betweenRows(): boolean {
    return this.#betweenRows
  }

  /** A text begins. */
  clear(): void {
    this.#betweenRows = false
    this.#depth = 0
    this.#deeper = 0
  }

  #betweenRows = false

  /** A bracket is about to be written that begins the first row of VALUES. */
  beginRows(): void {
    if (this.#deeper === 0 && this.#depth < DEPTH - 1) this.#push(ROWS)
  }

  /** A bracket was written. */
  opened(list: boolean): void {
    if (this.#deeper > 0 || this.#depth === DEPTH) this.#deeper++
    else this.#push(list ? LIST : PLAIN)
  }

  /** A comma is about to be written. */
  beforeComma(): void {
    if (this.#deeper > 0 || this.#depth === 0) return
    const at = (this.#depth - 1) * STRIDE
    if (this.#open[at] === LIST) this.#endElement(at)
    this.#open[at + SEPARATOR] = this.#writer.length
    this.#open[at + SEPARATOR_SHOWN] = this.#writer.shownLength
  }

  /** It was written. */
  behindComma(): void {
    if (this.#deeper === 0 && this.#depth > 0) this.#open[(this.#depth - 1) * STRIDE + ELEMENT] = this.#writer.length
  }

  /** A closing bracket is about to be written. */
  beforeClose(): void {
    if (this.#deeper > 0) {
      this.#deeper--
      return
    }
    if (this.#betweenRows) this.endRows()
    if (this.#depth === 0) return
    this.#pop()
    const at = this.#depth * STRIDE
    if (this.#open[at] !== LIST) return
    this.#endElement(at)
    if (this.#open[at + REPEATED] === 1) this.#writer.writeRepeated()
  }

  /** It was written. */
  behindClose(): void {
    if (this.#betweenRows) this.#endElement((this.#depth - 1) * STRIDE)
  }

  /** What comes is no row any more. */
  endRows(): void {
    this.#pop()
    if (this.#open[this.#depth * STRIDE + REPEATED] === 1) this.#writer.writeRepeated()
  }

  /** The text is over: lists that are open have no end. */
  end(): void {
    for (; this.#depth > 0; this.#depth--) {
      const at = (this.#depth - 1) * STRIDE
      if (this.#open[at] === LIST) this.#endElement(at)
      if (this.#open[at] !== PLAIN && this.#open[at + REPEATED] === 1) this.#writer.writeRepeated()
    }
  }

  #push(kind: number): void {
    const at = this.#depth++ * STRIDE
    this.#open[at + KIND] = kind
    this.#open[at + ELEMENT] = this.#writer.length
    this.#open[at + COUNT] = 0
    this.#open[at + REPEATED] = 0
    this.#betweenRows = kind === ROWS
  }

  #pop(): void {
    this.#depth--
    this.#betweenRows = this.#depth > 0 && this.#open[(this.#depth - 1) * STRIDE] === ROWS
  }

  /** An element of the list at `at` is whole: it stays if it is another one than those before. */
  #endElement(at: number): void {
    const open = this.#open
    const writer = this.#writer
    const from = open[at + ELEMENT]!
    const to = writer.length
    const count = open[at + COUNT]!
    if (count === 0) {
      open[at + FIRST_FROM] = from
      open[at + FIRST_TO] = to
    } else if (
      count === KEPT ||
      writer.sameBytes(from, to, open[at + LAST_FROM]!, open[at + LAST_TO]!) ||
      writer.sameBytes(from, to, open[at + FIRST_FROM]!, open[at + FIRST_TO]!)
    ) {
      writer.truncate(open[at + SEPARATOR]!, open[at + SEPARATOR_SHOWN]!)
      open[at + REPEATED] = 1
      return
    }
    open[at + LAST_FROM] = from
    open[at + LAST_TO] = to
    open[at + COUNT] = count + 1
  }
}
