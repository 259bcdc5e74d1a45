/** Whatever a server puts into an ErrorResponse, or leaves out of it, is read without an exception. */
import t from 'tap'
import { readError } from '../../../lib/protocol/error-response.ts'
import { backend } from '../../fixtures/messages.ts'

const nothing = { severity: '', sqlstate: '', message: '', detail: '', routine: '' }

t.test('the fields that matter', async (t) => {
  const body = Buffer.from('SFEHLER\0VERROR\0C42601\0MSyntaxfehler\0Dan „x“\0Hhint\0P7\0\0')
  t.strictSame(readError(body), {
    severity: 'ERROR',
    sqlstate: '42601',
    message: 'Syntaxfehler',
    detail: 'an „x“',
    routine: '',
  })
})

t.test('before PostgreSQL 9.6 there is only the translated severity', async (t) => {
  t.equal(readError(Buffer.from('SFATAL\0C57P01\0\0')).severity, 'FATAL')
})

t.test('missing, doubled, unknown and empty fields', async (t) => {
  t.strictSame(readError(Buffer.from('\0')), nothing)
  t.strictSame(readError(Buffer.alloc(0)), nothing)
  t.strictSame(readError(Buffer.from('?what\0\0')), nothing)
  t.strictSame(readError(Buffer.from('C\0M\0\0')), nothing)
  t.equal(readError(Buffer.from('Mfirst\0Msecond\0\0')).message, 'first')
  t.strictSame(readError(Buffer.from('C42601\0\0Mbehind the end\0')), { ...nothing, sqlstate: '42601' })
})

t.test('a body cut at every byte', async (t) => {
  const body = backend.error('22012', 'division by zero').subarray(5)
  for (let end = 0; end <= body.length; end++) {
    const { sqlstate, message } = readError(body.subarray(0, end))
    if (!'22012'.startsWith(sqlstate) || !'division by zero'.startsWith(message)) t.fail(`cut at ${end}`)
  }
  t.match(readError(body.subarray(0, -1)), { sqlstate: '22012', message: 'division by zero' })
})

t.test('names of properties are no fields', async (t) => {
  t.strictSame(readError(Buffer.from('__proto__\0constructor\0\0')), nothing)
})
