/**
 * An SQL text without what differs from call to call (documentation chapter "Lexical Structure"): literals are marks,
 * comments are left out, words are in lower case, lists are short (repeated-elements.ts). Written twice: as bytes that make
 * its identity, where parameters are literals and blanks do not count, and, up to a length, as bytes that are shown.
 *
 * What must hold: nothing of a literal is ever written, whatever standard_conforming_strings and client_encoding are. Where a
 * backslash leaves open where a string ends, the rest of the text is left out. Goes through a text once. Pure.
 */

import {
  AS_IS,
  BLANK,
  CLOSE,
  COLON,
  COMMA,
  DIGIT,
  DOLLAR,
  DOT,
  IN_WORD,
  isDigit,
  KINDS,
  LOWER,
  NAME,
  OPEN,
  OPERATOR,
  OTHER,
  QUOTE,
  SEMICOLON,
  SIGNED,
  WORD,
} from './byte-kinds.ts'
import { commentEnd, dollarEnd, lineEnd, stringEnd } from './literal-ends.ts'
import { type ElementWriter, RepeatedElements } from './repeated-elements.ts'

/** So many bytes of a text are shown. */
export const SHOWN_LIMIT = 1000

// Marks in what is written; control characters of a text itself are written as `?`.
/** A literal. */
export const LITERAL_MARK = 1
/** Between two tokens. */
const SEPARATOR_MARK = 2
/** Elements of a list were left out. */
export const REPEATED_MARK = 3
/** The rest was left out. */
const CUT_MARK = 4

/** Besides: what the last token was. */
const LITERAL = 14
const STRING = 15
const NOTHING = 16

const MINUS = 0x2d
const PLUS = 0x2b
const SLASH = 0x2f
const STAR = 0x2a
const QUOTE_BYTE = 0x27
const NAME_BYTE = 0x22
const DOLLAR_BYTE = 0x24
const SEMICOLON_BYTE = 0x3b
const SPACE = 0x20
const LETTER_B = 0x62
const LETTER_E = 0x65
const LETTER_N = 0x6e
const LETTER_X = 0x78
/** Bytes that are written besides a text's own tokens and the marks in front of them. */
const MARGIN = 128

const IN = word('in')
const VALUES = word('values')
/** What stands for a value, like a literal, where an expression begins. */
const CONSTANTS = [word('null'), word('true'), word('false'), word('default')]

/** Reads one text after another. */
export class NormalText implements ElementWriter {
  /** The same memory as `bytes`, four at a time; the last is filled up with zeros. */
  words = new Int32Array(1024)
  /** Up to `length`. */
  bytes = new Uint8Array(this.words.buffer)
  length = 0
  /** Up to `shownLength`. */
  readonly shown = new Uint8Array(SHOWN_LIMIT)
  shownLength = 0
  /** The highest number of a parameter. */
  highest = 0
  /** There is more than one statement. */
  several = false
  /** The end of it was left out. */
  cut = false
  readonly #lists = new RepeatedElements(this)
  #text: Uint8Array = this.shown
  #end = 0
  /** Bytes that may be written to what is shown. */
  #room = 0
  /** Kinds of the last two tokens, and where the last one begins. */
  #last = NOTHING
  #before = NOTHING
  #from = 0
  #shownFrom = 0
  /** There was a blank or a comment behind the last token. */
  #blank = false
  #semicolon = false
  /** One of the rare things is to be done before the next token. */
  #rare = false

  /**
   * Read `text` from `from` to `to`.
   * @param shows what is shown is written as well
   */
  read(text: Uint8Array, from: number, to: number, shows: boolean): void {
    this.#text = text
    this.#end = to
    this.#room = shows ? SHOWN_LIMIT : 0
    this.length = 0
    this.shownLength = 0
    this.highest = 0
    this.several = false
    this.cut = false
    this.#lists.clear()
    // Each token has a mark in front.
    this.#reserve(2 * (to - from) + MARGIN)
    this.#last = NOTHING
    this.#rare = false
    this.#before = NOTHING
    this.#blank = false
    this.#semicolon = false
    for (let at = from; at < to; ) at = this.#token(at)
    this.#lists.end()
    if (this.cut) this.bytes[this.length++] = CUT_MARK
    // What is behind it, of the last word, is no part of the text.
    for (let i = this.length; i < this.length + 3; i++) this.bytes[i] = 0
    // It is somebody's buffer.
    this.#text = this.shown
  }

  /** Take the token at `at`; returns the position behind it. */
  #token(at: number): number {
    const text = this.#text
    const byte = text[at]!
    const kind = KINDS[byte]!
    switch (kind) {
      case BLANK: {
        this.#blank = true
        let to = at + 1
        while (to < this.#end && KINDS[text[to]!] === BLANK) to++
        return to
      }
      case WORD:
        return this.#word(at)
      case DIGIT:
        return this.#number(at)
      case QUOTE:
        return this.#string(at, false)
      case NAME:
        return this.#name(at)
      case DOLLAR:
        return this.#dollar(at)
      case OPERATOR:
        return this.#operator(at, byte)
      case OPEN:
        return this.#bracket(at, byte)
      case CLOSE:
        this.#lists.beforeClose()
        this.#write(CLOSE, at, at + 1, AS_IS)
        this.#lists.behindClose()
        this.#rare = this.#lists.betweenRows
        return at + 1
      case COMMA:
        this.#lists.beforeComma()
        this.#write(COMMA, at, at + 1, AS_IS)
        this.#lists.behindComma()
        return at + 1
      case SEMICOLON:
        if (this.#lists.betweenRows) this.#lists.endRows()
        // One at the end, or of an empty statement, says nothing.
        this.#semicolon = this.length > 0
        this.#rare = this.#semicolon
        return at + 1
      case DOT:
        if (at + 1 < this.#end && isDigit(text[at + 1]!)) return this.#number(at)
        break
      case COLON: {
        let to = at + 1
        while (to < this.#end && KINDS[text[to]!] === COLON) to++
        this.#write(COLON, at, to, AS_IS)
        return to
      }
    }
    this.#write(kind, at, at + 1, AS_IS)
    return at + 1
  }

  #word(at: number): number {
    const text = this.#text
    const end = this.#end
    // Letters directly in front of a string are part of it.
    if (at + 1 < end && text[at + 1] === QUOTE_BYTE) {
      const letter = LOWER[text[at]!]!
      if (letter === LETTER_E) return this.#string(at + 1, true)
      if (letter === LETTER_B || letter === LETTER_N || letter === LETTER_X) return this.#string(at + 1, false)
    }
    const last = this.#last
    this.#begin(WORD)
    // Read and written in one go: most of a text is words.
    const { bytes } = this
    let { length } = this
    let to = at
    do bytes[length++] = LOWER[text[to++]!]!
    while (to < end && IN_WORD[text[to]!] === 1)
    this.length = length
    if (this.#room > 0) this.#show(text, at, to, LOWER)
    if (beginsExpression(last) && to - at >= 4 && to - at <= 7 && this.#isConstant()) {
      this.truncate(this.#from, this.#shownFrom)
      this.#put(LITERAL_MARK)
      this.#last = LITERAL
    }
    return to
  }

  /** The word that was written last stands for a value, where a value begins. */
  #isConstant(): boolean {
    for (let i = 0; i < CONSTANTS.length; i++) if (this.#lastIs(CONSTANTS[i]!)) return true
    return false
  }

  /** Numbers of all kinds, and letters that are not separated from them. */
  #number(at: number): number {
    const text = this.#text
    let to = at + 1
    for (; to < this.#end; to++) {
      const byte = text[to]!
      const sign = (byte === MINUS || byte === PLUS) && LOWER[text[to - 1]!] === 0x65
      if (byte === DOLLAR_BYTE || !(IN_WORD[byte] === 1 || KINDS[byte] === DOT || sign)) break
      // A comment behind it.
      if (sign && byte === MINUS && text[to + 1] === MINUS) break
    }
    // A sign that belongs to it.
    if (this.#last === OPERATOR && beginsExpression(this.#before) && this.length === this.#from + 1) {
      const sign = this.bytes[this.#from]
      if (sign === MINUS || sign === PLUS) {
        this.truncate(this.#from, this.#shownFrom)
        this.#put(LITERAL_MARK)
        this.#last = LITERAL
        this.#blank = false
        return to
      }
    }
    this.#literal(LITERAL)
    return to
  }

  /** The string whose quote is at `at`. */
  #string(at: number, escapes: boolean): number {
    const to = stringEnd(this.#text, at, this.#end, escapes)
    // 'two' 'parts' of one.
    if (this.#last === STRING) this.#blank = false
    else {
      // The & of U&'...': the u in front of it is written like a word.
      this.#literal(STRING)
    }
    if (to >= 0) return to
    this.cut = true
    return this.#end
  }

  #name(at: number): number {
    const text = this.#text
    let to = at + 1
    for (; to < this.#end; to++) {
      if (text[to] !== NAME_BYTE) continue
      if (text[to + 1] !== NAME_BYTE || to + 1 === this.#end) {
        this.#write(NAME, at, to + 1, AS_IS)
        return to + 1
      }
      to++
    }
    // Without an end it is no name.
    this.cut = true
    return this.#end
  }

  /** A parameter, a string in dollars, or neither. */
  #dollar(at: number): number {
    const text = this.#text
    const end = this.#end
    let to = at + 1
    if (to < end && isDigit(text[to]!)) {
      let number = 0
      for (; to < end && isDigit(text[to]!); to++) number = number * 10 + text[to]! - 0x30
      if (number <= 65_535) this.highest = Math.max(this.highest, number)
      this.#parameter(at, to)
      return to
    }
    while (to < end && IN_WORD[text[to]!] === 1 && text[to] !== DOLLAR_BYTE) to++
    if (to === end || text[to] !== DOLLAR_BYTE) {
      this.#write(OTHER, at, at + 1, AS_IS)
      return at + 1
    }
    this.#literal(STRING)
    // A literal in dollars is none of the parts of one in quotes.
    this.#last = LITERAL
    return dollarEnd(text, at, to + 1, end)
  }

  #operator(at: number, byte: number): number {
    const text = this.#text
    const next = at + 1 < this.#end ? text[at + 1] : 0
    if ((byte === MINUS && next === MINUS) || (byte === SLASH && next === STAR)) {
      this.#blank = true
      return byte === MINUS ? lineEnd(text, at, this.#end) : commentEnd(text, at, this.#end)
    }
    let to = at + 1
    let signed = SIGNED[byte] === 1
    for (; to < this.#end && KINDS[text[to]!] === OPERATOR; to++) {
      const byte = text[to]!
      const next = to + 1 < this.#end ? text[to + 1] : 0
      if ((byte === MINUS && next === MINUS) || (byte === SLASH && next === STAR)) break
      signed ||= SIGNED[byte] === 1
    }
    let signs = to
    if (!signed) while (signs > at + 1 && (text[signs - 1] === MINUS || text[signs - 1] === PLUS)) signs--
    this.#write(OPERATOR, at, signs, AS_IS)
    for (; signs < to; signs++) this.#write(OPERATOR, signs, signs + 1, AS_IS)
    return to
  }

  #bracket(at: number, byte: number): number {
    const square = byte === 0x5b
    const afterWord = this.#last === WORD
    if (afterWord && !square && this.#lastIs(VALUES)) this.#lists.beginRows()
    const list = square || (afterWord && this.#lastIs(IN))
    this.#write(OPEN, at, at + 1, AS_IS)
    this.#lists.opened(list)
    return at + 1
  }

  /** The token written last is `word`. */
  #lastIs(word: Uint8Array): boolean {
    const { bytes } = this
    const from = this.#from
    if (this.length - from !== word.length) return false
    for (let i = 0; i < word.length; i++) if (bytes[from + i] !== word[i]) return false
    return true
  }

  // ---- what is written ----

  truncate(length: number, shownLength: number): void {
    this.length = length
    this.shownLength = shownLength
  }

  sameBytes(from: number, to: number, otherFrom: number, otherTo: number): boolean {
    if (to - from !== otherTo - otherFrom) return false
    const { bytes } = this
    for (let i = from, j = otherFrom; i < to; i++, j++) if (bytes[i] !== bytes[j]) return false
    return true
  }

  writeRepeated(): void {
    this.#put(REPEATED_MARK)
  }

  /** The token from `from` to `to`, each of its bytes as `spelling` has it. */
  #write(kind: number, from: number, to: number, spelling: Uint8Array): void {
    this.#begin(kind)
    const text = this.#text
    const { bytes } = this
    let { length } = this
    for (let i = from; i < to; i++) bytes[length++] = spelling[text[i]!]!
    this.length = length
    if (this.#room > 0) this.#show(text, from, to, spelling)
  }

  #show(text: Uint8Array, from: number, to: number, spelling: Uint8Array): void {
    for (let i = from; i < to && this.shownLength < this.#room; i++) {
      this.shown[this.shownLength++] = spelling[text[i]!]!
    }
  }

  #literal(kind: number): void {
    this.#begin(kind)
    this.#put(LITERAL_MARK)
  }

  #parameter(from: number, to: number): void {
    this.#begin(LITERAL)
    this.bytes[this.length++] = LITERAL_MARK
    if (this.#room > 0) this.#show(this.#text, from, to, AS_IS)
  }

  /** A token of `kind` is about to be written. */
  #begin(kind: number): void {
    if (this.#rare) this.#beginRarely(kind)
    if (this.length > 0) this.bytes[this.length++] = SEPARATOR_MARK
    if (this.#blank) {
      this.#blank = false
      if (this.shownLength > 0 && this.shownLength < this.#room) this.shown[this.shownLength++] = SPACE
    }
    this.#before = this.#last
    this.#last = kind
    this.#from = this.length
    this.#shownFrom = this.shownLength
  }

  /** The same behind a row of VALUES, or a semicolon. */
  #beginRarely(kind: number): void {
    this.#rare = false
    if (this.#lists.betweenRows && kind !== COMMA && kind !== CLOSE && kind !== OPEN) this.#lists.endRows()
    if (!this.#semicolon) return
    this.#semicolon = false
    this.several = true
    this.bytes[this.length++] = SEPARATOR_MARK
    this.#put(SEMICOLON_BYTE)
    this.#last = NOTHING
  }

  #put(mark: number): void {
    this.bytes[this.length++] = mark
    if (this.shownLength < this.#room) this.shown[this.shownLength++] = mark
  }

  /** Have room for `size` bytes. */
  #reserve(size: number): void {
    if (size <= this.bytes.length) return
    this.words = new Int32Array((size >> 2) + 1)
    this.bytes = new Uint8Array(this.words.buffer)
  }
}

/** Behind a token of `kind` a value begins, and no operator can come. */
function beginsExpression(kind: number): boolean {
  return kind === OPERATOR || kind === OPEN || kind === COMMA || kind === NOTHING
}

function word(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}
