/** Parameters of a Bind as they are logged: bounded, whatever the message is. */
import t from 'tap'
import { shownParameters } from '../../../lib/protocol/bind-parameters.ts'
import { cstring, int16, int32 } from '../../fixtures/messages.ts'

const value = (text: string | null): Buffer =>
  text === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(text)), Buffer.from(text)])
const body = (formats: number[], values: (string | null)[]): Buffer =>
  Buffer.concat([
    ...[cstring('portal'), cstring('statement'), int16(formats.length), ...formats.map(int16)],
    ...[int16(values.length), ...values.map(value), int16(0)],
  ])

t.test('by their formats', async (t) => {
  t.same(shownParameters(body([], ['a', null, ''])), ["'a'", 'NULL', "''"])
  t.same(shownParameters(body([0], ['a', 'b'])), ["'a'", "'b'"])
  t.same(shownParameters(body([1], ['a', 'bc'])), ['(1 bytes)', '(2 bytes)'])
  t.same(shownParameters(body([0, 1, 0], ['a', 'bc', 'd'])), ["'a'", '(2 bytes)', "'d'"])
})

t.test('bounded', async (t) => {
  t.same(shownParameters(body([], ['x'.repeat(1000)])), [`'${'x'.repeat(100)}'...`])
  const many = shownParameters(body([], new Array<string>(1000).fill('y')))
  t.equal(many.length, 51)
  t.equal(many.at(-1), '...')
})

t.test('of every part of a message something or nothing', async (t) => {
  const whole = body([0, 1], ['a', 'bc'])
  for (let length = 0; length <= whole.length; length++) {
    const shown = shownParameters(whole.subarray(0, length))
    t.ok(shown.length <= 2)
  }
  t.same(shownParameters(Buffer.from([0, 0, 255, 255, 0, 1])), [])
  t.same(shownParameters(Buffer.concat([Buffer.alloc(4), int16(1), int32(2 ** 31 - 1), Buffer.from('x')])), ["'x'..."])
})
