/** What each byte is at the beginning and within tokens of an SQL text, and how it is written when that is normalized. Pure. */

// What a token begins with.
export const OTHER = 0
export const BLANK = 1
export const WORD = 2
export const DIGIT = 3
export const QUOTE = 4
export const NAME = 5
export const DOLLAR = 6
export const OPERATOR = 7
export const OPEN = 8
export const CLOSE = 9
export const COMMA = 10
export const SEMICOLON = 11
export const DOT = 12
export const COLON = 13
export const KINDS = kinds()
/** 1 for what a word goes on with. */
export const IN_WORD = Uint8Array.from({ length: 256 }, (_, byte) =>
  KINDS[byte]! === WORD || isDigit(byte) || byte === 0x24 ? 1 : 0,
)
/** How a byte is written, in words and outside of them. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : printed(byte),
)
export const AS_IS = Uint8Array.from({ length: 256 }, (_, byte) => printed(byte))
/** Operators with one of these may end in a sign ("Operators"). */
export const SIGNED = Uint8Array.from({ length: 256 }, (_, byte) =>
  '~!@#%^&|`?'.includes(String.fromCharCode(byte)) ? 1 : 0,
)

function kinds(): Uint8Array {
  const kinds = new Uint8Array(256)
  for (let byte = 0; byte < 256; byte++) {
    const letter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a && byte < 0x80
    if (byte >= 0x80 || letter || byte === 0x5f) kinds[byte] = WORD
    else if (isDigit(byte)) kinds[byte] = DIGIT
    else if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) kinds[byte] = BLANK
  }
  for (const char of '+-*/<>=~!@#%^&|`?') kinds[char.charCodeAt(0)] = OPERATOR
  const others: [string, number][] = [
    ["'", QUOTE],
    ['"', NAME],
    ['$', DOLLAR],
    ['([', OPEN],
    [')]', CLOSE],
    [',', COMMA],
    [';', SEMICOLON],
    ['.', DOT],
    [':', COLON],
  ]
  for (const [chars, kind] of others) for (const char of chars) kinds[char.charCodeAt(0)] = kind
  return kinds
}

export function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function printed(byte: number): number {
  return byte < 0x20 || byte === 0x7f ? 0x3f : byte
}
