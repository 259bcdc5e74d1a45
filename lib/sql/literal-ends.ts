/**
 * Where literals and comments of a text end (documentation chapter "Lexical Structure"): the position behind them, or the
 * end of the text where they have none. Each goes through its part of the text once. Pure.
 */

const BACKSLASH = 0x5c
const QUOTE = 0x27
const SLASH = 0x2f
const STAR = 0x2a

/**
 * Of the string whose quote is at `at`; -1 where that depends on standard_conforming_strings or on client_encoding.
 * @param escapes a backslash takes the next character with it, whatever the settings are
 */
export function stringEnd(text: Uint8Array, at: number, end: number, escapes: boolean): number {
  const begin = at + 1
  for (let to = begin; to < end; to++) {
    if (text[to] !== QUOTE) continue
    if (to > begin && text[to - 1] === BACKSLASH) {
      let run = to - 1
      while (run > begin && text[run - 1] === BACKSLASH) run--
      // The first backslash may be the second byte of a letter (SJIS, BIG5, GBK).
      if (run > begin && text[run - 1]! >= 0x80) return -1
      if (((to - run) & 1) === 1) {
        if (!escapes) return -1
        continue
      }
    }
    if (to + 1 === end || text[to + 1] !== QUOTE) return to + 1
    to++
  }
  return end
}

/** Of the string in dollars whose first tag reaches from `at` to `begin`. */
export function dollarEnd(text: Uint8Array, at: number, begin: number, end: number): number {
  const tag = Buffer.from(text.buffer, text.byteOffset + at, begin - at)
  const found = Buffer.from(text.buffer, text.byteOffset, end).indexOf(tag, begin)
  return found < 0 ? end : found + tag.length
}

/** Of the comment at `at` that ends with its line. */
export function lineEnd(text: Uint8Array, at: number, end: number): number {
  let to = at
  while (to < end && text[to] !== 0x0a && text[to] !== 0x0d) to++
  return to
}

/** Of the comment at `at` that may have others in it. */
export function commentEnd(text: Uint8Array, at: number, end: number): number {
  let open = 1
  for (let to = at + 2; to < end - 1; to++) {
    if (text[to] === STAR && text[to + 1] === SLASH) {
      to++
      if (--open === 0) return to + 1
    } else if (text[to] === SLASH && text[to + 1] === STAR) {
      to++
      open++
    }
  }
  return end
}
