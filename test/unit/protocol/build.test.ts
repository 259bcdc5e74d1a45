/** Every message built is what the protocol says, byte for byte, and no value can break out of its field. */
import t from 'tap'
import type { ErrorFields } from '../../../lib/errors.ts'
import {
  AUTHENTICATION_CLEARTEXT,
  AUTHENTICATION_OK,
  authenticationMd5,
  authenticationSasl,
  authenticationSaslContinue,
  authenticationSaslFinal,
  backendKeyData,
  CLOSE_COMPLETE,
  copyFail,
  errorResponse,
  message,
  negotiateProtocolVersion,
  PARSE_COMPLETE,
  parameterStatus,
  passwordMessage,
  query,
  READY_IDLE,
  SYNC,
  TERMINATE,
} from '../../../lib/protocol/build.ts'
import { readError } from '../../../lib/protocol/error-response.ts'
import { backend, frontend, parse } from '../../fixtures/messages.ts'

t.test('what a server sends', async (t) => {
  const secret = Buffer.alloc(32, 7)
  const salt = Buffer.from([1, 2, 3, 4])
  t.strictSame(AUTHENTICATION_OK, backend.authentication(0))
  t.strictSame(AUTHENTICATION_CLEARTEXT, backend.authentication(3))
  t.strictSame(authenticationMd5(salt), backend.authentication(5, salt))
  t.strictSame(
    authenticationSasl(['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']),
    backend.authentication(10, Buffer.from('SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0')),
  )
  t.strictSame(authenticationSaslContinue(Buffer.from('r=1')), backend.authentication(11, Buffer.from('r=1')))
  t.strictSame(authenticationSaslFinal(Buffer.from('v=1')), backend.authentication(12, Buffer.from('v=1')))
  t.strictSame(backendKeyData(42, secret), backend.keyData(42, secret))
  t.strictSame(parameterStatus('TimeZone', 'Europe/Zürich'), backend.parameterStatus('TimeZone', 'Europe/Zürich'))
  t.strictSame(negotiateProtocolVersion(0x30002, []), backend.negotiateProtocolVersion(0x30002, []))
  t.strictSame(
    negotiateProtocolVersion(0x30002, ['_pq_.a', '_pq_.b']),
    backend.negotiateProtocolVersion(0x30002, ['_pq_.a', '_pq_.b']),
  )
  t.strictSame(READY_IDLE, backend.ready('I'))
  t.strictSame(PARSE_COMPLETE, backend.parseComplete())
  t.strictSame(CLOSE_COMPLETE, backend.closeComplete())
})

t.test('what a client sends', async (t) => {
  t.strictSame(query('select 1'), frontend.query('select 1'))
  t.strictSame(SYNC, frontend.sync())
  t.strictSame(TERMINATE, frontend.terminate())
  t.strictSame(copyFail('gone'), frontend.copyFail('gone'))
  t.strictSame(passwordMessage(Buffer.from('pw\0')), frontend.password('pw'))
})

t.test('a zero byte in a string is refused: it would end the string and begin a field', async (t) => {
  for (const build of [
    () => query('select 1\0; drop table t'),
    () => parameterStatus('a\0b', 'c'),
    () => parameterStatus('a', 'b\0c'),
    () => copyFail('\0'),
    () => authenticationSasl(['a\0b']),
    () => negotiateProtocolVersion(0x30002, ['a\0']),
  ]) {
    t.throws(build, RangeError)
  }
})

t.test('a body that does not fit its length word is refused', async (t) => {
  // A length is all that is looked at; nobody has to have two gigabytes.
  const huge = { length: 2 ** 31 - 4 } as Buffer
  t.throws(() => message(0x51, huge), { name: 'RangeError', message: 'message too long' })
})

t.test('errors', async (t) => {
  const fields: ErrorFields = {
    severity: 'FATAL',
    sqlstate: '53300',
    message: 'no more',
    detail: 'really',
    hint: 'wait',
    routine: 'Here',
  }
  const bytes = errorResponse(fields)
  t.equal(bytes[0], 'E'.charCodeAt(0))
  t.equal(bytes.readInt32BE(1), bytes.length - 1)
  t.equal(bytes.at(-1), 0)
  t.strictSame(parse.fields(bytes.subarray(5)), {
    S: 'FATAL',
    V: 'FATAL',
    C: '53300',
    M: 'no more',
    D: 'really',
    H: 'wait',
    R: 'Here',
  })
  t.strictSame(readError(bytes.subarray(5)), {
    severity: 'FATAL',
    sqlstate: '53300',
    message: 'no more',
    detail: 'really',
    routine: 'Here',
  })
})

t.test('a value of an error cannot begin a field of its own', async (t) => {
  const bytes = errorResponse({ severity: 'ERROR', sqlstate: 'XX000', message: 'a\0C00000\0', detail: '' })
  t.strictSame(parse.fields(bytes.subarray(5)), { S: 'ERROR', V: 'ERROR', C: 'XX000', M: 'aC00000' })
})
