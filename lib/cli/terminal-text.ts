/**
 * Text for a terminal: names come from strangers, so that nothing in them may move the cursor, change colours or turn the
 * direction of writing; and a character may take two cells, or none. Pure.
 */
import { escapeUnprintable } from '../util/logger.ts'

/** Characters that a terminal shows in two cells: East Asian wide and full-width ones, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{16fe0}-\u{18aff}\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
/** Characters that are drawn over the one before. */
const NONE = /[\p{Mn}\p{Me}\p{Cf}]/u
/** Other than these, anything in a name would still do something to a terminal or a line. */
const REST = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Cf}]/gu

/** `text` with everything escaped that is no visible character. */
export function visible(text: string): string {
  return escapeUnprintable(text).replace(REST, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`)
}

/** Cells that a visible text takes. */
export function widthOf(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length
  let width = 0
  for (const char of text) width += widthOfCharacter(char)
  return width
}

function widthOfCharacter(char: string): number {
  if (char < '\u0300') return 1
  return NONE.test(char) ? 0 : WIDE.test(char) ? 2 : 1
}

/** The beginning of `text` that fits `width` cells; where it was longer, it ends with an ellipsis. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text
  if (width < 1) return ''
  let cells = 0
  let kept = ''
  for (const char of text) {
    cells += widthOfCharacter(char)
    if (cells > width - 1) break
    kept += char
  }
  return `${kept}…`
}

/** `text` in exactly `width` cells. */
export function cell(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const fitted = fit(text, width)
  const space = ' '.repeat(Math.max(0, width - widthOf(fitted)))
  return align === 'right' ? space + fitted : fitted + space
}
