/** How many cells a text takes, how it is cut, and what of it is escaped. */
import t from 'tap'
import { cell, fit, visible, widthOf } from '../../../lib/cli/terminal-text.ts'

t.test('widths', async (t) => {
  for (const [text, width] of [
    ['', 0],
    ['abc', 3],
    ['é', 1],
    ['e\u0301', 1],
    ['日本', 4],
    ['한', 2],
    ['ｆ', 2],
    ['🐘', 2],
    ['𠀀', 2],
    ['…', 1],
  ] as const) {
    t.equal(widthOf(text), width, text)
  }
})

t.test('cut to a width', async (t) => {
  t.equal(fit('abc', 3), 'abc')
  t.equal(fit('abcd', 3), 'ab…')
  t.equal(fit('日本語', 4), '日…', 'no half of a character')
  t.equal(fit('abc', 1), '…')
  t.equal(fit('abc', 0), '')
  for (let width = 0; width < 12; width++) t.equal(widthOf(cell('a日本e\u0301語🐘', width)), width)
  t.equal(cell('7', 3, 'right'), '  7')
})

t.test('what is no visible character is escaped', async (t) => {
  t.equal(visible('plain ü 日本 🐘'), 'plain ü 日本 🐘')
  t.equal(visible('\x1b[2J\n\x9b\u202e\ufeff\u00ad'), '\\u001b[2J\\u000a\\u009b\\u202e\\ufeff\\u{ad}')
  t.equal(visible('\u{e0041}'), '\\u{e0041}')
})
