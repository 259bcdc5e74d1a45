/** A line typed without echo: the bytes that were typed, with what editing keys do. */
import t from 'tap'
import { TypedLine } from '../../../lib/cli/typed-line.ts'

function type(...chunks: (string | Buffer)[]): { line: string; end: string | undefined; rest: string | undefined } {
  const line = new TypedLine()
  let ended: ReturnType<TypedLine['feed']>
  for (const chunk of chunks) ended = line.feed(Buffer.from(chunk as string))
  return { line: line.bytes.toString(), end: ended?.end, rest: ended?.rest.toString() }
}

t.test('a line ends once, and what follows is left', async (t) => {
  t.same(type('a', 'bc'), { line: 'abc', end: undefined, rest: undefined })
  t.same(type('abc\r'), { line: 'abc', end: 'return', rest: '' })
  t.same(type('abc\nabc\n'), { line: 'abc', end: 'return', rest: 'abc\n' })
  t.same(type('ab\x04'), { line: 'ab', end: 'end', rest: '' })
  t.same(type('ab\x03cd'), { line: 'ab', end: 'interrupt', rest: 'cd' })
})

t.test('characters are erased whole', async (t) => {
  t.equal(type('ab\x7fc').line, 'ac')
  t.equal(type('a\u00fc\x08b').line, 'ab')
  t.equal(type('a\u{1f600}\x7f\x7fb').line, 'b')
  t.equal(type('\x7f\x7fb').line, 'b')
  t.equal(type('abc\x15d').line, 'd')
})

t.test('keys that type nothing are left out', async (t) => {
  t.equal(type('a\x1b[Db\x1bOPc\x1b[3~d\x1ae').line, 'abcde')
  t.equal(type('\x1b[200~a b\tc\x1b[201~').line, 'a b\tc')
})

t.test('bytes that are no UTF-8 stay', async (t) => {
  const line = new TypedLine()
  line.feed(Buffer.from([0x61, 0xe4, 0xff]))
  t.same(line.bytes, Buffer.from([0x61, 0xe4, 0xff]))
})
