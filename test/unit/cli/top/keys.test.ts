/** What terminals send for keys. */
import t from 'tap'
import { keysOf } from '../../../../lib/cli/top/keys.ts'

t.test('keys and characters', async (t) => {
  t.strictSame(keysOf('q1/ü🐘'), ['q', '1', '/', 'ü', '🐘'])
  t.strictSame(keysOf('\x1b[A\x1b[B\x1bOC\x1b[D\x1b[5~\x1b[6~\x1b[H\x1b[F'), [
    'up',
    'down',
    'right',
    'left',
    'page-up',
    'page-down',
    'home',
    'end',
  ])
  t.strictSame(keysOf('\x1b'), ['escape'])
  t.strictSame(keysOf('a\x1b[Ab\r\n\x7f\x03\x0c\x15\x1a'), [
    'a',
    'up',
    'b',
    'enter',
    'enter',
    'backspace',
    'interrupt',
    'redraw',
    'erase-line',
    'suspend',
  ])
  t.strictSame(keysOf('\x1b[99~\x1b[200~\x01\x00'), [], 'what has no meaning')
})
