/** What of an answer is held back, so that another server may give it. */
import t from 'tap'
import { UnansweredRead } from '../../../../lib/client/link/unanswered-read.ts'
import { backend } from '../../../fixtures/messages.ts'

const row = Buffer.from('D\0\0\0\x0a\0\x01\xff\xff\xff\xff', 'latin1')
const { parseComplete, rowDescription } = backend

t.test('until the first row', async (t) => {
  const read = new UnansweredRead(Buffer.from('Q'))
  t.ok(read.holds(parseComplete()))
  t.ok(read.holds(Buffer.concat([rowDescription('a'), rowDescription('b')])))
  t.equal(Buffer.concat(read.held).length, parseComplete().length + 2 * rowDescription('a').length)
  t.notOk(read.holds(Buffer.concat([rowDescription('a'), row])))
})

t.test('no part of a message, and not without a limit', async (t) => {
  for (const bytes of [row, rowDescription('a').subarray(0, 4), rowDescription('a').subarray(0, -1)])
    t.notOk(new UnansweredRead(Buffer.from('Q')).holds(bytes))
  const read = new UnansweredRead(Buffer.from('Q'))
  let held = 0
  while (read.holds(rowDescription('x'.repeat(1000)))) held++
  t.ok(held > 5 && held < 20)
})

t.test('an error that another server may not have, to its end', async (t) => {
  const error = (code: string): Buffer => backend.error(code, 'no')
  const read = new UnansweredRead(Buffer.from('Q'))
  t.ok(read.holds(rowDescription('a')))
  t.notOk(read.failed)
  t.ok(read.holds(Buffer.concat([error('25006'), backend.ready()])))
  t.ok(read.failed)
  for (const code of ['22012', '57014', 'P0001']) t.notOk(new UnansweredRead(Buffer.from('Q')).holds(error(code)), code)
  t.notOk(new UnansweredRead(Buffer.from('Q')).holds(backend.ready()), 'the end of what is no error')
})

t.test('which errors these are', async (t) => {
  for (const code of ['0A000', '25006', '3F000', '40001', '42P01', '53300', '55P03', '58P01', 'XX000', 'XX001']) {
    t.ok(new UnansweredRead(Buffer.from('Q')).holds(backend.error(code, 'no')), code)
  }
  for (const code of ['22012', '23505', '57014', 'P0001']) {
    t.notOk(new UnansweredRead(Buffer.from('Q')).holds(backend.error(code, 'no')), code)
  }
})
